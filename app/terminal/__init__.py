"""What the command line shows and asks. It talks to the running app over its HTTP API (``app.client``)."""
