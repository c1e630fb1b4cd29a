"""Herald on a rented GPU: one RunPod pod with a network volume, made, found again and given back by name."""
