"""From a model to ONNX: one graph for images of any size, one for texts of any length."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from groupvit.errors import InputError
from groupvit.exported.folder import IMAGE_FILE, TEXT_FILE, Precision
from groupvit.model.config import GroupViTConfig, ImageEncoderConfig, TextEncoderConfig
from groupvit.model.cues import Reduced
from groupvit.model.features import Features
from groupvit.model.groupvit import GroupViT
from groupvit.model.part_encoder import PartEncoder

OPSET = 20
"""ONNX opset: the newest that both ONNX Runtime and OpenVINO support completely."""
MOST_PATCHES = 1024
"""Largest number of patches along a side of an image."""
CUES = tuple(f"{name}_cue" for name in Reduced._fields)
"""Outputs for the cues, behind a trunk."""
TRUNK_EXAMPLE = torch.zeros(2, 3, 72, 104)
"""Input that `TrunkGraph` is traced with; its lengths hold for no other input."""
QUANTIZED = ("MatMul", "Gather")
"""Operators that int8 quantizes: products with weights, and tables; convolutions get slower."""


class ImageGraph(nn.Module):
    """Image encoder and projectors with plain tensors as outputs."""

    def __init__(self, model: GroupViT) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> tuple[Tensor, ...]:
        """Image, patches (if the model projects them), then the segments and the assignments."""
        found = self.model.embed_image(pixels)
        patches = () if found.patches is None else (found.patches,)
        return found.image, *patches, *found.segments, *found.assignments


class TrunkGraph(nn.Module):
    """Image encoder behind a trunk without its grouping, with plain tensors as outputs."""

    def __init__(self, model: GroupViT) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> tuple[Tensor, ...]:
        """Image, patches, then their tokens and the maps of the cues."""
        encoder = self.model.image_encoder
        assert isinstance(encoder, PartEncoder)
        found = encoder.ungrouped(pixels)
        rows = found.tokens.flatten(2).transpose(1, 2)
        embedded = self.model.embed_features(Features(rows, (), (), ()))
        assert embedded.patches is not None
        return embedded.image, embedded.patches, found.tokens, *found.maps


class TextGraph(nn.Module):
    """Texts as a module of their own."""

    def __init__(self, model: GroupViT) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Int[Tensor, "text position"]) -> Float[Tensor, "text embedding"]:
        """See `GroupViT.encode_text`."""
        return self.model.encode_text(tokens)


def write(folder: Path, model: GroupViT, precision: Precision) -> None:
    """Write `image.onnx` and `text.onnx`.

    The first takes normalized `pixels` "batch 3 height width" with sides that are multiples of the
    patch size, and gives `image`, `patches` (if the model projects them) and `segments_1` and so on
    in the space shared with text, and `assignment_1` and so on, "batch group token". Where groups
    are found inside each image, it takes images of any size and gives `image`, `patches` and what
    the groups are made of outside of the graph (see `groupvit.exported.network`): `tokens`
    "batch dim row column" and `fine_cue`, `middle_cue` and `coarse_cue` "batch axis row column".
    The second takes `tokens` "text position" and gives `embeddings`, not normalized.

    Args:
        folder: Where; it exists.
        model: In float32 on the CPU.
        precision: `int8` stores matrices as 8-bit integers and quantizes activations dynamically.

    Raises:
        InputError: A package is missing.
    """
    check_packages()
    with TemporaryDirectory() as temporary:
        exact = folder if precision == "float32" else Path(temporary)
        with torch.no_grad(), quiet():
            if model.config.image.grouping == "rounds":
                _write_trunk(exact / IMAGE_FILE, model)
            else:
                _write_image(exact / IMAGE_FILE, model)
            _write_text(exact / TEXT_FILE, model)
            if precision == "int8":
                for name in (IMAGE_FILE, TEXT_FILE):
                    _quantize(exact / name, folder / name)


def check_packages() -> None:
    """Raise if a package that writes graphs is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"exporting needs {error.name}; install it with pip install 'groupvit[export]'"
        ) from None


def output_names(config: GroupViTConfig) -> list[str]:
    """Names of the outputs of the image graph, in their order."""
    if config.image.grouping == "rounds":
        return ["image", "patches", "tokens", *CUES]
    grouping = sum(stage.num_groups > 0 for stage in config.image.stages)
    return [
        "image",
        *(["patches"] if config.patch_projector else []),
        *(f"segments_{number}" for number in range(1, max(1, grouping) + 1)),
        *(f"assignment_{number}" for number in range(1, grouping + 1)),
    ]


class Example(NamedTuple):
    """Example of an input that a graph is made with."""

    tensor: Tensor
    axes: dict[int, Any]
    """Axes that may have any length, within bounds."""


def example_image(config: ImageEncoderConfig) -> Example:
    """Example for `ImageGraph`."""
    from torch.export import Dim  # 0.2 s, for which no other use of this module should wait

    patch = config.patch_size
    rows, columns = (patch * Dim(name, max=MOST_PATCHES) for name in ("rows", "columns"))
    # A grid that is not square, so that it is not the one of training.
    example = torch.zeros(2, 3, 3 * patch, 4 * patch)
    return Example(example, {0: Dim("batch"), 2: rows, 3: columns})


def example_text(config: TextEncoderConfig) -> Example:
    """Example for `TextGraph`."""
    from torch.export import Dim

    tokens = torch.zeros(3, min(10, config.context_length - 1), dtype=torch.long)
    return Example(tokens, {0: Dim("batch"), 1: Dim("length", max=config.context_length)})


def _write_image(file: Path, model: GroupViT) -> None:
    example = example_image(model.config.image)
    torch.onnx.export(
        ImageGraph(model).eval(),
        (example.tensor,),
        file,
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        external_data=False,
        dynamic_shapes=(example.axes,),
        input_names=["pixels"],
        output_names=output_names(model.config),
    )


def _write_trunk(file: Path, model: GroupViT) -> None:
    # Traced: the zeros around each map depend on whether its sides are odd, and the formulas of the
    # lengths that torch.export then works with grow from layer to layer. No branch depends on them.
    torch.onnx.export(
        TrunkGraph(model).eval(),
        (TRUNK_EXAMPLE,),
        file,
        dynamo=False,
        opset_version=OPSET,
        dynamic_axes={"pixels": {0: "batch", 2: "height", 3: "width"}},
        input_names=["pixels"],
        output_names=output_names(model.config),
    )


def _write_text(file: Path, model: GroupViT) -> None:
    example = example_text(model.config.text)
    torch.onnx.export(
        TextGraph(model).eval(),
        (example.tensor,),
        file,
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        external_data=False,
        dynamic_shapes=(example.axes,),
        input_names=["tokens"],
        output_names=["embeddings"],
    )


def _quantize(exact: Path, file: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(exact, file, op_types_to_quantize=list(QUANTIZED), weight_type=QuantType.QInt8)


@contextmanager
def quiet() -> Iterator[None]:
    """Context without log messages and warnings of the exporter."""
    loggers = [
        logging.getLogger("torch.onnx._internal.exporter._registration"),
        logging.getLogger(),
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
