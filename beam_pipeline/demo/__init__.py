"""The demo: a mini-Kinetics made on the spot, and a picture of what became of it."""
