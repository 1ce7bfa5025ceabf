"""Label maps as files of other programs: index PNG, COCO, GeoJSON."""

from typing import Literal

Format = Literal["overlay", "index", "groups", "coco", "geojson", "npz"]
"""Kinds of files that a segmentation can be written to."""
ShardFormat = Literal["parquet", "webdataset", "files"]
"""Kinds of files that the masks of a shard of images can be written to."""
