"""Weights that an exported model keeps beside its graphs."""

from dataclasses import replace

import torch

from groupvit.exported.folder import Exported, read_remainder, write_beside_graphs
from groupvit.model.config import SpatialConfig
from groupvit.weights import checkpoint
from groupvit.weights.checkpoint import Origin


def test_the_spatial_block_is_kept(tiny_config, build, tmp_path):
    config = replace(tiny_config, spatial=SpatialConfig(kind="depthwise", depth=3))
    model = build(config)
    with torch.no_grad():
        model.spatial_block.weight.add_(torch.arange(10))
    settings = Exported(
        format=checkpoint.EXPORTED, model=config, origin=Origin(source="here"), precision="float32"
    )
    write_beside_graphs(tmp_path, settings, model)
    maps = torch.rand(1, 3, 4, 5)
    kept = read_remainder(tmp_path, config).spatial_block
    assert torch.equal(kept(maps), model.spatial_block(maps))
