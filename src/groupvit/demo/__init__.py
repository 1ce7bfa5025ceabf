"""A page to look at: what a model makes of drawn scenes that it has never seen."""
