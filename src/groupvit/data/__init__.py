"""Image-caption pairs in tar shards: found, shuffled, decoded, batched and augmented."""
