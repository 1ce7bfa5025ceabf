"""Probes: tasks other than segmentation that show what a model has learned."""
