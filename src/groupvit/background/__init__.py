"""Background of a model: thresholds calibrated on images, or a layer learned for it."""
