"""Held-out classes: a model is tested on classes that its training masks do not have."""
