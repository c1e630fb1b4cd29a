"""Quality of what the box proposes and writes, measured on cases."""
