"""Encoders of a model in PyTorch, compiled by OpenVINO for this processor and kept on disk."""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from groupvit import cache
from groupvit.errors import InputError
from groupvit.exported import graphs
from groupvit.exported.folder import Remainder, remaining
from groupvit.exported.network import GraphNetwork
from groupvit.exported.runtimes import (
    Compute,
    core,
    openvino_compute,
    openvino_import,
    openvino_name,
    openvino_settings,
)
from groupvit.model.features import Embedded
from groupvit.model.groupvit import GroupViT
from groupvit.weights.digest import digest

KIND, LAYOUT = "encoders", "1"
"""Kind of the files in the cache, and version of their content."""
LARGEST_ERROR = 1e-4
"""Largest error of an output in float32, relative to its size."""
LARGEST_RATIO = 2.0
"""Largest error in bfloat16, relative to that of PyTorch in bfloat16."""
_LOG = logging.getLogger(__name__)


class Blobs(NamedTuple):
    """Both encoders as OpenVINO compiled them."""

    image: bytes
    text: bytes


class CompiledNetwork(GraphNetwork):
    """Model in PyTorch whose encoders are computed by OpenVINO, on the CPU.

    They hold the weights that the model had when they were compiled. Once a weight is assigned or
    changed in place, the model itself computes.

    Args:
        model: In float32 and evaluation mode, on the CPU.
        image: See `GraphNetwork`.
        text: Likewise.
        runtime: Name, version and precision of what computes.
    """

    def __init__(self, model: GroupViT, *, image: Compute, text: Compute, runtime: str) -> None:
        remainder = Remainder(model.config)
        remainder.load_state_dict(remaining(model))
        remainder.requires_grad_(requires_grad=False).eval()
        super().__init__(model.config, remainder, image=image, text=text)
        self.model, self.runtime = model, runtime
        self._compiled = _versions(model)

    def embed_image(
        self, images: Float[Tensor, "batch 3 height width"], *, num_stages: int | None = None
    ) -> Embedded:
        """See `GroupViT.embed_image`."""
        if self.is_current:
            return super().embed_image(images, num_stages=num_stages)
        return self.model.embed_image(images, num_stages=num_stages)

    def embed_patches(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch patch embedding"]:
        """See `GroupViT.embed_patches`."""
        if self.is_current:
            return super().embed_patches(images)
        return self.model.embed_patches(images)

    def encode_text(self, tokens: Int[Tensor, "text position"]) -> Float[Tensor, "text embedding"]:
        """See `GroupViT.encode_text`."""
        if self.is_current:
            return super().encode_text(tokens)
        return self.model.encode_text(tokens)

    @property
    def is_current(self) -> bool:
        """True if the weights are those that were compiled."""
        return _versions(self.model) == self._compiled


def _versions(model: GroupViT) -> list[tuple[int, int]]:
    """Address and number of changes of every weight."""
    tensors = (*model.parameters(), *model.buffers())
    return [(x.data_ptr(), 0 if x.is_inference() else x._version) for x in tensors]


def compiled(model: GroupViT, *, dtype: str, forced: bool) -> CompiledNetwork | None:
    """The model with encoders compiled by OpenVINO, now or in an earlier run.

    Compiling takes some seconds, which a message of the logger of this module tells. It is kept, as
    is the finding that OpenVINO does not compute the same as PyTorch: see `groupvit.cache`.

    Args:
        model: In float32 and evaluation mode, on the CPU.
        dtype: `float32` or `bfloat16`.
        forced: Compile where nothing can be kept, too, and raise where the results differ.

    Returns:
        None if PyTorch is to compute.

    Raises:
        InputError: OpenVINO is not installed; or it is forced, but does not compute the same.
    """
    key = _key(model, dtype)
    network, is_known = _kept(key, model, dtype)
    if network is None and not is_known:
        network = _made(key, model, dtype, forced=forced)
    if network is None and forced:
        raise InputError(
            f"OpenVINO does not compute the same as PyTorch here in {dtype}; take --runtime torch"
        )
    return network


def _key(model: GroupViT, dtype: str) -> str:
    return digest(model, of=f"{LAYOUT} {openvino_name(dtype)} {model.config!r}")


def _kept(key: str, model: GroupViT, dtype: str) -> tuple[CompiledNetwork | None, bool]:
    """The network of an earlier run, and whether its file was found; without one, it differs."""
    path = cache.find(KIND, key)
    if path is None:
        return None, False
    try:
        with safe_open(path, framework="np") as file:
            blobs = [file.get_tensor(name).tobytes() for name in Blobs._fields if file.keys()]
        if not blobs:
            return None, True
        image, text = (openvino_import(blob, dtype) for blob in blobs)
    except (OSError, SafetensorError, RuntimeError):  # deleted by another process, or damaged
        return None, False
    return CompiledNetwork(model, image=image, text=text, runtime=openvino_name(dtype)), True


def _made(key: str, model: GroupViT, dtype: str, *, forced: bool) -> CompiledNetwork | None:
    """The network compiled now, and kept if that is possible; None if the results differ."""
    try:
        with cache.new(KIND, key) as path:
            network, blobs = _compile(model, dtype)
            values = blobs._asdict() if network else {}
            save_file(
                {
                    name: torch.frombuffer(bytearray(x), dtype=torch.uint8)
                    for name, x in values.items()
                },
                path,
            )
    except (InputError, SafetensorError):  # nothing can be kept
        return _compile(model, dtype)[0] if forced else None
    return network


def _compile(model: GroupViT, dtype: str) -> tuple[CompiledNetwork | None, Blobs]:
    """Compile both encoders; without a network if they do not compute the same."""
    _LOG.warning(
        "groupvit: OpenVINO compiles the encoders for this processor, which takes some seconds, "
        "once for this model; --runtime torch computes without it"
    )
    image, text = _modules(model)
    try:
        with torch.no_grad(), graphs.quiet():
            found = [
                core().compile_model(one, "CPU", openvino_settings(dtype))
                for one in _converted(model, image, text)
            ]
    except (RuntimeError, ValueError, TypeError) as error:
        _LOG.warning("groupvit: it cannot, so that PyTorch computes: %s", str(error)[:200])
        return None, Blobs(b"", b"")
    by_image, by_text = map(openvino_compute, found)
    network = CompiledNetwork(model, image=by_image, text=by_text, runtime=openvino_name(dtype))
    same = _is_same(image, by_image, _images(model), dtype)
    same = same and _is_same(text, by_text, _texts(model), dtype)
    blobs = Blobs(*(one.export_model().getvalue() for one in found))
    return (network if same else None), blobs


def _modules(model: GroupViT) -> tuple[nn.Module, nn.Module]:
    """Encoders of images and texts with plain tensors as outputs."""
    by_rounds = model.config.image.grouping == "rounds"
    image = graphs.TrunkGraph(model) if by_rounds else graphs.ImageGraph(model)
    return image.eval(), graphs.TextGraph(model).eval()


def _converted(model: GroupViT, image: nn.Module, text: nn.Module) -> tuple[Any, Any]:
    """Both as models of OpenVINO for inputs of any size."""
    from openvino import convert_model

    config = model.config
    of_text = _program(text, graphs.example_text(config.text))
    if config.image.grouping == "rounds":  # traced: see `graphs`
        return convert_model(image, example_input=graphs.TRUNK_EXAMPLE), convert_model(of_text)
    of_image = _program(image, graphs.example_image(config.image))
    return convert_model(of_image), convert_model(of_text)


def _program(module: nn.Module, example: graphs.Example) -> Any:
    import torch.export

    return torch.export.export(module, (example.tensor,), dynamic_shapes=(example.axes,))


def _images(model: GroupViT) -> list[Tensor]:
    """Random images of several sizes, of which none is the one that the graph was made with."""
    side, patch = model.config.image.image_size, model.config.image.patch_size
    generator = torch.Generator().manual_seed(0)
    sizes = ((1, side, side), (2, side + patch, side), (1, side, side + 3 * patch))
    return [torch.randn(n, 3, *size, generator=generator) for n, *size in sizes]


def _texts(model: GroupViT) -> list[Tensor]:
    """Random texts of several lengths, whose last token ends them."""
    config = model.config.text
    generator = torch.Generator().manual_seed(0)
    found = []
    for num, length in ((1, 3), (5, 7), (2, config.context_length)):
        some = torch.randint(config.vocabulary_size - 1, (num, length), generator=generator)
        some[:, -1] = config.vocabulary_size - 1
        found.append(some)
    return found


@torch.inference_mode()
def _is_same(module: nn.Module, compute: Compute, inputs: Sequence[Tensor], dtype: str) -> bool:
    """True if every output is that of PyTorch but for rounding."""
    for given in inputs:
        exact = _outputs(module(given))
        limits = [LARGEST_ERROR] * len(exact)
        if dtype == "bfloat16":
            with torch.autocast("cpu", torch.bfloat16):
                rounded = _outputs(module(given))
            limits = [LARGEST_RATIO * _error(*pair) for pair in zip(rounded, exact, strict=True)]
        found = compute(given.numpy())
        for one, other, limit in zip(found, exact, limits, strict=True):
            if not _error(torch.from_numpy(np.asarray(one)), other) <= limit:
                return False
    return True


def _outputs(found: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (found,) if isinstance(found, Tensor) else found


def _error(found: Tensor, exact: Tensor) -> float:
    """Length of the difference, relative to that of the exact values."""
    return float((found.float() - exact).norm() / exact.norm())
