"""Small real web apps for automation to be tried on, served on loopback. ``python -m tests.sites`` runs one by hand."""
