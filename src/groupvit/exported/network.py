"""Networks of a segmenter whose encoders are graphs that run without PyTorch."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from groupvit.exported import folder as folders
from groupvit.exported.folder import Remainder
from groupvit.exported.graphs import CUES, output_names
from groupvit.exported.runtimes import Compute, Runtime, ready
from groupvit.model.config import GroupViTConfig
from groupvit.model.cues import Reduced
from groupvit.model.efficientnet import cell_colors
from groupvit.model.features import Embedded
from groupvit.model.grouping import occupied_by_stage
from groupvit.model.groupvit import bounded_scale, project
from groupvit.model.layers import in_whole_patches
from groupvit.model.part_encoder import Ungrouped, grouped
from groupvit.model.text_encoder import trim


def _last(segments: Sequence[Tensor], num_stages: int | None) -> tuple[Tensor, ...]:
    """Segments of this number of last stages; None: all."""
    return tuple(segments[0 if num_stages is None else max(0, len(segments) - num_stages) :])


class GraphNetwork:
    """Network of a segmenter whose encoders are two graphs, on the CPU.

    Args:
        config: Architecture.
        remainder: Parameters that are used outside of the graphs.
        image: Computes the outputs of the graph of images, in the order of
            `groupvit.exported.graphs.output_names`.
        text: Computes the graph of texts.
    """

    device = torch.device("cpu")

    def __init__(
        self, config: GroupViTConfig, remainder: Remainder, *, image: Compute, text: Compute
    ) -> None:
        self._config = config
        self.background_layer = remainder.background_layer
        self.spatial_block = remainder.spatial_block
        self._patch_projector = remainder.patch_projector
        self.logit_scale = bounded_scale(remainder.log_scale)
        self._image, self._text = image, text

    @property
    def config(self) -> GroupViTConfig:
        """The architecture."""
        return self._config

    def patch_grid(self, height: int, width: int) -> tuple[int, int]:
        """See `GroupViT.patch_grid`."""
        return self.config.image.patch_grid(height, width)

    def embed_image(
        self, images: Float[Tensor, "batch 3 height width"], *, num_stages: int | None = None
    ) -> Embedded:
        """See `GroupViT.embed_image`."""
        if self._patch_projector is not None:
            return self._embed_by_rounds(images, self._patch_projector, num_stages)
        found = self._outputs(in_whole_patches(images, self.config.image.patch_size))
        assignments = [x for name, x in found.items() if name.startswith("assignment_")]
        segments = [x for name, x in found.items() if name.startswith("segments_")]
        return Embedded(
            found["image"],
            _last(segments, num_stages),
            found.get("patches"),
            tuple(assignments),
            occupied_by_stage(assignments),
        )

    def embed_patches(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch patch embedding"]:
        """Embed the patches of normalized images alone; needs a model that has them."""
        if self._patch_projector is None:
            images = in_whole_patches(images, self.config.image.patch_size)
        return self._outputs(images)["patches"]

    @torch.no_grad()
    def _embed_by_rounds(
        self,
        images: Float[Tensor, "batch 3 height width"],
        projector: nn.Module,
        num_stages: int | None,
    ) -> Embedded:
        """Groups of the outputs of a trunk, found here by the functions that PyTorch takes, too.

        They have no weights, and their choices are made in float32 whatever the graph computes in.
        """
        found = self._outputs(images)
        maps = Reduced(*(found[name] for name in CUES))
        ungrouped = Ungrouped(found["tokens"], maps)
        features = grouped(ungrouped, cell_colors(images), self.config.image)
        return Embedded(
            found["image"],
            tuple(project(projector, one) for one in _last(features.segments, num_stages)),
            found["patches"],
            features.assignments,
            features.occupied,
        )

    def _outputs(self, images: Float[Tensor, "batch 3 height width"]) -> dict[str, Tensor]:
        """Outputs of the image graph by their names."""
        outputs = self._image(images.contiguous().numpy())
        names = output_names(self.config)
        return {name: torch.from_numpy(values) for name, values in zip(names, outputs, strict=True)}

    def encode_text(self, tokens: Int[Tensor, "text position"]) -> Float[Tensor, "text embedding"]:
        """See `GroupViT.encode_text`."""
        (embeddings,) = self._text(trim(tokens).contiguous().numpy())
        return torch.from_numpy(embeddings)


class ExportedNetwork(GraphNetwork):
    """Exported model: its graphs are files of a folder."""

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
        self._files = [folder / folders.IMAGE_FILE, folder / folders.TEXT_FILE]
        remainder = folders.read_remainder(folder, self.settings.model)
        image, text = (ready(runtime, file, dtype=dtype) for file in self._files)
        super().__init__(self.settings.model, remainder, image=image, text=text)

    def fingerprint(self) -> str:
        """Digest of the graphs: 16 hexadecimal digits."""
        digest = hashlib.sha256()
        for file in self._files:
            digest.update(file.read_bytes())
        return digest.hexdigest()[:16]
