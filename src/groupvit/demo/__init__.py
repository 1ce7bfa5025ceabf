"""Demo page: segmentations of drawn scenes that the model was not trained on."""
