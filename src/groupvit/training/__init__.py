"""Training: settings, loop and folder of a run."""
