"""Demo page: segmentations of photographs, and of drawn scenes with scores."""
