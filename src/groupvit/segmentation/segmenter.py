"""The segmenter: load a model once, then give it images and words."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal, overload

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8, UInt16
from PIL import Image
from torch import Tensor

from groupvit import imaging
from groupvit.errors import InputError
from groupvit.exported.folder import is_exported
from groupvit.exported.network import ExportedNetwork
from groupvit.exported.runtimes import Runtime
from groupvit.model.groupvit import GroupViT
from groupvit.model.inference import DEFAULT_INFERENCE, InferenceConfig, Naming
from groupvit.model.precision import with_matrices_in
from groupvit.segmentation import encoding
from groupvit.segmentation import protocol as protocols
from groupvit.segmentation.devices import on_cpu, usable
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.network import Network
from groupvit.segmentation.preparation import normalize
from groupvit.segmentation.protocol import OURS, THRESHOLDS, Protocol
from groupvit.segmentation.result import Segmentation
from groupvit.segmentation.score_map import assemble, refined
from groupvit.segmentation.scoring import score
from groupvit.segmentation.vocabulary import Query, Vocabulary, query
from groupvit.text.background import Background, Certainty
from groupvit.text.prompts import BACKGROUND, parse_labels
from groupvit.weights import catalogue
from groupvit.weights.checkpoint import Origin

ImageInput = str | Path | Image.Image | np.ndarray
"""A file, a Pillow image, or an array of uint8 "height width 3" or "height width"."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Segmenter:
    """Says which pixels of an image belong to which word.

    ```python
    segmenter = Segmenter.load("nvidia/groupvit-gcc-yfcc")
    result = segmenter("dog.jpg", ["dog", "grass", "sky"])
    result.to_overlay().save("dog.overlay.png")
    ```
    """

    def __init__(
        self,
        network: Network,
        *,
        origin: Origin | None = None,
        inference: InferenceConfig = DEFAULT_INFERENCE,
        background: Background | None = None,
        protocol: Protocol | str = OURS,
        device: str | torch.device = "cpu",
        dtype: str = "float32",
        batch_size: int = 8,
    ) -> None:
        """Make a segmenter of a model.

        Args:
            network: A model, which is moved to the device and to evaluation mode, or an exported
                one.
            origin: Where its weights come from.
            inference: Settings that suit the model, for what the protocol leaves open.
            background: Where the background of this model begins, if it was calibrated.
            protocol: How images are resized, cut and scored; `ours`, `groupvit`, or your own.
            device: Where to compute, such as `cpu`, `cuda`, or `auto`: a GPU if there is one.
            dtype: `float32` or `bfloat16`, which computes the encoders under autocast, with the
                weights as they are now: faster where the processor has it, with slightly other
                borders.
            batch_size: Windows that go through the network at once.

        Raises:
            InputError: The protocol, device or dtype does not exist, or the protocol wants what
                the model has not learned.
        """
        if dtype not in DTYPES:
            raise InputError(f"dtype is {dtype!r}; known are {', '.join(DTYPES)}")
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; give at least 1")
        self.device = usable(device)
        if isinstance(network, GroupViT):
            network = network.to(self.device).eval()
        self.network = self._network = network
        self.origin = origin
        self.calibrated = background
        self.inference = inference
        chosen = protocols.named(protocol) if isinstance(protocol, str) else protocol
        self.protocol = chosen.for_model(inference)
        if self.certainty == "margin" and network.background_layer is None:
            raise InputError(
                f"the protocol {self.protocol.name!r} wants margins, but this model has learned no "
                "background; teach it one with groupvit learn-background"
            )
        self.dtype = DTYPES[dtype]
        self.batch_size = batch_size
        if isinstance(network, GroupViT) and self.dtype != torch.float32:
            self._network = with_matrices_in(network, self.dtype)
        self._vocabulary = Vocabulary(self._network)

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        revision: str | None = None,
        protocol: Protocol | str = OURS,
        device: str | torch.device = "cpu",
        dtype: str = "float32",
        batch_size: int = 8,
        runtime: Runtime | None = None,
    ) -> "Segmenter":
        """A segmenter with the model of this name: bundled, a folder, a file, or a hub id.

        See `groupvit.weights.catalogue.load` for names and errors, and the constructor for the
        rest. A folder may hold an exported model, too, which computes on the CPU.

        Args:
            name: What people call it.
            revision: Branch, tag or commit; for hub ids only.
            protocol: How images are resized, cut and scored.
            device: Where to compute.
            dtype: In what to compute.
            batch_size: Windows that go through the network at once.
            runtime: What computes an exported model: `onnxruntime`, unless `openvino` is asked for.
        """
        folder = Path(name).expanduser()
        if is_exported(folder):
            exported = ExportedNetwork(folder, runtime=runtime or "onnxruntime", dtype=dtype)
            return cls(
                exported,
                origin=exported.settings.origin,
                inference=exported.settings.inference,
                background=exported.settings.background,
                protocol=protocol,
                device=on_cpu(device),
                dtype=dtype,
                batch_size=batch_size,
            )
        if runtime is not None:
            raise InputError(
                f"{name} is no exported model, so that {runtime} cannot compute it; "
                "groupvit export makes one"
            )
        loaded = catalogue.load(name, revision=revision)
        return cls(
            loaded.model,
            origin=loaded.origin,
            inference=loaded.inference,
            background=loaded.background,
            protocol=protocol,
            device=device,
            dtype=dtype,
            batch_size=batch_size,
        )

    @property
    def model(self) -> GroupViT:
        """The model in PyTorch.

        Raises:
            InputError: It is an exported one.
        """
        if not isinstance(self.network, GroupViT):
            raise InputError(
                "this is an exported model, which only computes; for this give the model that it "
                "was made of"
            )
        return self.network

    @property
    def naming(self) -> Naming:
        """What takes the words: what the protocol says, or else the model asks for."""
        return self.protocol.naming or self.inference.naming

    @property
    def certainty(self) -> Certainty:
        """What tells a background: what the protocol says, or else the model asks for."""
        return self.protocol.certainty_of(self.network.config)

    def usual_background(self, labels: Sequence[str]) -> Background:
        """The background where nobody says where it begins.

        It is what the model was calibrated to, if that was done for the same `certainty`, or else
        below 0.5 for scores, 0.2 for cosines, and 0 for margins.

        Args:
            labels: What is asked for; only their thresholds count.
        """
        found = self.calibrated
        if found is None or found.certainty not in (None, self.certainty):
            return Background(threshold=THRESHOLDS[self.certainty], certainty=self.certainty)
        return found.among([label.name for label in parse_labels(labels)])

    def limits(self, parts: Float[Tensor, "*axes embedding"]) -> Float[Tensor, "*axes"]:
        """What a word's cosine is compared with at every part before any threshold.

        It is what the model has learned, where its background is told by margins, else 0.
        """
        if self.network.background_layer is None or self.certainty != "margin":
            return parts.new_zeros(parts.shape[:-1])
        with torch.inference_mode():
            limits: Tensor = self.network.background_layer(parts)[..., 0]
            return limits

    @overload
    def __call__(
        self,
        images: ImageInput,
        labels: Sequence[str],
        *,
        background: Background | None = None,
        top_labels: int | Literal["all"] | None = None,
    ) -> Segmentation: ...
    @overload
    def __call__(
        self,
        images: list[ImageInput] | tuple[ImageInput, ...],
        labels: Sequence[str],
        *,
        background: Background | None = None,
        top_labels: int | Literal["all"] | None = None,
    ) -> list[Segmentation]: ...
    def __call__(
        self,
        images: ImageInput | list[ImageInput] | tuple[ImageInput, ...],
        labels: Sequence[str],
        *,
        background: Background | None = None,
        top_labels: int | Literal["all"] | None = None,
    ) -> Segmentation | list[Segmentation]:
        """Segment an image, or several at once, by words.

        Args:
            images: A file, a Pillow image, a uint8 array "height width 3" (RGB, 0 to 255) or
                "height width" (gray); or a list or tuple of them, of any sizes.
            labels: Free text. Synonyms share a label: `car|automobile|taxi`.
            background: What belongs to no label; None gives every pixel a label.
            top_labels: At most this many labels for each window, the ones that fit it best as a
                whole, or `all`; None: as many as the protocol says.

        Returns:
            One segmentation, or a list of them for several images.

        Raises:
            InputError: An image cannot be read, or the labels are empty, doubled or too long.
        """
        query(labels, background)  # refuse bad words before the work on the images
        several = list(images) if isinstance(images, (list, tuple)) else [images]
        results = [
            self.label(grouped, labels, background=background, top_labels=top_labels)
            for grouped in self.group(several)
        ]
        return results if isinstance(images, (list, tuple)) else results[0]

    def group(self, images: Sequence[ImageInput]) -> list[GroupedImage]:
        """Find the groups of images, without any words: one pass for each window.

        Raises:
            InputError: An image cannot be read or is too thin for the protocol.
        """
        arrays = [imaging.read(image) for image in images]
        cut = [encoding.cut(array, self.protocol, self.network.config.image) for array in arrays]
        with self._computing():
            encoded = encoding.encode(
                self._network,
                [crop for _, crops in cut for crop in crops],
                naming=self.naming,
                border=self.protocol.border,
                batch_size=self.batch_size,
            )
        found = iter(encoded)
        return [
            GroupedImage(
                image=array,
                working_size=size,
                windows=tuple(islice(found, len(crops))),
                refinement=self.protocol.refinement,
            )
            for array, (size, crops) in zip(arrays, cut, strict=True)
        ]

    def label(
        self,
        grouped: GroupedImage,
        labels: Sequence[str],
        *,
        background: Background | None = None,
        top_labels: int | Literal["all"] | None = None,
    ) -> Segmentation:
        """Give words to the groups of an image; see `__call__`."""
        protocol = self.protocol
        if top_labels is not None:
            count = None if top_labels == "all" else top_labels
            protocol = replace(protocol, top_labels=count)
        asked = query(labels, background)
        if background and background.certainty not in (None, self.certainty):
            raise InputError(
                f"these thresholds of the background are for a {background.certainty}, but this "
                f"model, by this protocol, goes by {self.certainty}; calibrate them for it"
            )
        with self._computing():
            words = self._vocabulary.embed(asked.words, protocol.templates)
            logit_scale = self.network.logit_scale
        with torch.inference_mode():
            fit = partial(
                score,
                words=words,
                query=asked,
                logit_scale=logit_scale,
                protocol=protocol,
                background=background,
                certainty=self.certainty,
            )
            windows = grouped.windows

            def all_of(parts: Sequence[Tensor]) -> tuple[Tensor, ...]:
                return tuple(
                    fit(some, one.embedding, limits=self.limits(some))
                    for some, one in zip(parts, windows, strict=True)
                )

            of_groups = all_of([one.segments for one in windows])
            of_speakers = of_groups
            if windows[0].patches is not None:
                of_speakers = all_of([one.naming_embeddings for one in windows])
            scores = assemble(grouped, of_speakers, resized=protocol.resized)
            if protocol.refinement is not None:
                scores = refined(scores, grouped, protocol.refinement)
            return Segmentation(
                labels=_names(asked, has_background=background is not None),
                label_map=_compact(scores.best()),
                groups=grouped,
                score_map=scores,
                group_scores=of_groups,
            )

    def embed_words(self, words: Sequence[str]) -> Float[Tensor, "word embedding"]:
        """Words in the space shared with images, by the protocol's sentences; L2-normalized.

        Raises:
            InputError: A word is too long for the text encoder.
        """
        with self._computing():
            return self._vocabulary.embed(words, self.protocol.templates)

    def embed_images(
        self, pixels: UInt8[Tensor, "image 3 height width"]
    ) -> Float[Tensor, "image embedding"]:
        """Whole images in the space shared with words, as they are; L2-normalized.

        Args:
            pixels: RGB, 0 to 255, with sides that are multiples of the patch size.
        """
        with self._computing():
            found = self._network.embed_image(normalize(pixels.to(self.device)), num_stages=1)
            return found.image.float()

    @contextmanager
    def _computing(self) -> Iterator[None]:
        mixed = self.dtype != torch.float32
        with torch.inference_mode(), torch.autocast(self.device.type, self.dtype, enabled=mixed):
            yield


def _names(asked: Query, *, has_background: bool) -> tuple[str, ...]:
    """The labels of the result: background words are merged into one."""
    names = asked.labels[: len(asked.labels) - asked.num_background]
    return (BACKGROUND, *names) if has_background else names


def _compact(
    label_map: Int[Tensor, "height width"],
) -> UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]:
    labels = label_map.cpu().numpy()
    return labels.astype(np.uint8 if labels.max() < 256 else np.uint16)
