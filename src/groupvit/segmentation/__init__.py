"""From an image and words to pixels that have a name."""
