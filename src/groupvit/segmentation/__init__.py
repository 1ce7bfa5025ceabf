"""From a picture and words to pixels that have a name."""
