"""Weights: our checkpoint folders, the layouts of others, and where a model is found by name."""
