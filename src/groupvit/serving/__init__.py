"""A program that answers over HTTP: pictures and words in, labelled pixels out."""
