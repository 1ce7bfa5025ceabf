"""Benchmarks: images with masks, published, drawn, or your own."""
