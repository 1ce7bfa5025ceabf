"""Training: the settings of a run, its loop, and the folder that it leaves behind."""
