"""Training data: image-caption pairs in tar shards, their order, decoding and augmentation."""
