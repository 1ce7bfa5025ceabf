"""Evaluation of models on benchmarks: images with masks."""
