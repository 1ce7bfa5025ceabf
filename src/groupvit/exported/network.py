"""Exported model as the network of a segmenter: the encoders run without torch."""

import hashlib
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from groupvit.exported import folder as folders
from groupvit.exported.graphs import output_names
from groupvit.exported.runtimes import Runtime, ready
from groupvit.model.config import GroupViTConfig
from groupvit.model.features import Embedded
from groupvit.model.grouping import occupied_by_stage
from groupvit.model.groupvit import bounded_scale
from groupvit.model.layers import in_whole_patches
from groupvit.model.text_encoder import trim


class ExportedNetwork:
    """Network of a segmenter whose encoders are the graphs of a folder, on the CPU."""

    device = torch.device("cpu")

    def __init__(
        self, folder: Path, *, runtime: Runtime = "onnxruntime", dtype: str = "float32"
    ) -> None:
        """Read the folder and load both graphs.

        Args:
            folder: Folder that `groupvit export` wrote.
            runtime: Runtime of the graphs.
            dtype: Precision of OpenVINO, `float32` or `bfloat16`.

        Raises:
            InputError: A file is missing or damaged, or the runtime is not installed.
        """
        self.settings = folders.read(folder)
        self.runtime = runtime
        remainder = folders.read_remainder(folder, self.config)
        self.background_layer = remainder.background_layer
        self.logit_scale = bounded_scale(remainder.log_scale)
        self._files = [folder / folders.IMAGE_FILE, folder / folders.TEXT_FILE]
        self._image, self._text = (ready(runtime, file, dtype=dtype) for file in self._files)

    @property
    def config(self) -> GroupViTConfig:
        """The architecture."""
        return self.settings.model

    def patch_grid(self, height: int, width: int) -> tuple[int, int]:
        """See `GroupViT.patch_grid`."""
        return self.config.image.patch_grid(height, width)

    def embed_image(
        self, images: Float[Tensor, "batch 3 height width"], *, num_stages: int | None = None
    ) -> Embedded:
        """See `GroupViT.embed_image`."""
        images = in_whole_patches(images, self.config.image.patch_size)
        outputs = self._image(images.contiguous().numpy())
        found = {
            name: torch.from_numpy(values)
            for name, values in zip(output_names(self.config), outputs, strict=True)
        }
        assignments = [x for name, x in found.items() if name.startswith("assignment_")]
        segments = [x for name, x in found.items() if name.startswith("segments_")]
        first = 0 if num_stages is None else max(0, len(segments) - num_stages)
        return Embedded(
            found["image"],
            tuple(segments[first:]),
            found.get("patches"),
            tuple(assignments),
            occupied_by_stage(assignments),
        )

    def embed_patches(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch patch embedding"]:
        """Embed the patches of normalized images alone; needs a model that has them."""
        patches = self.embed_image(images, num_stages=1).patches
        assert patches is not None
        return patches

    def encode_text(self, tokens: Int[Tensor, "text position"]) -> Float[Tensor, "text embedding"]:
        """See `GroupViT.encode_text`."""
        (embeddings,) = self._text(trim(tokens).contiguous().numpy())
        return torch.from_numpy(embeddings)

    def fingerprint(self) -> str:
        """Digest of the graphs: 16 hexadecimal digits."""
        digest = hashlib.sha256()
        for file in self._files:
            digest.update(file.read_bytes())
        return digest.hexdigest()[:16]
