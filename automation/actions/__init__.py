"""Action types: what the box can be asked to do, one module each. ``registry`` lists them."""
