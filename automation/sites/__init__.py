"""Site modules: how one web site logs in, takes a post and shows it afterwards. ``SITES`` lists them by platform."""
