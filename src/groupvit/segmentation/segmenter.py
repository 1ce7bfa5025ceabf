"""The segmenter: a model that is loaded once and labels the pixels of images."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal, overload

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from groupvit.devices import usable
from groupvit.errors import InputError
from groupvit.exported.compiling import CompiledNetwork
from groupvit.model.groupvit import GroupViT
from groupvit.model.inference import DEFAULT_INFERENCE, InferenceConfig, Naming
from groupvit.model.precision import with_matrices_in
from groupvit.segmentation import encoding, image_input, loading
from groupvit.segmentation import protocol as protocols
from groupvit.segmentation.expansion import LabelParser
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.image_input import ImageInput
from groupvit.segmentation.known_words import KnownWords, UnknownWordWarning
from groupvit.segmentation.labels import Labels, held, without_labels
from groupvit.segmentation.network import Network
from groupvit.segmentation.preparation import normalize
from groupvit.segmentation.protocol import OURS, THRESHOLDS, Protocol
from groupvit.segmentation.refinement import Refinement
from groupvit.segmentation.result import Segmentation
from groupvit.segmentation.score_map import assemble, refined
from groupvit.segmentation.tables import Scorer
from groupvit.segmentation.word_embeddings import WordEmbeddings
from groupvit.text.background import Background, Certainty, as_background
from groupvit.text.coverage import Coverage
from groupvit.text.prompts import BACKGROUND, list_of_texts
from groupvit.weights.checkpoint import Origin
from groupvit.weights.packaged import DEFAULT

BackgroundInput = Background | float | Literal["auto"] | None
"""Settings of the background, a threshold, or `auto` for those of the model."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Segmenter:
    """Model that assigns a label to every pixel of an image.

    ```python
    segmenter = Segmenter.load()
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
        coverage: Coverage = Coverage(),  # noqa: B008 - it is frozen
        protocol: Protocol | str = OURS,
        device: str | torch.device = "cpu",
        dtype: str = "float32",
        batch_size: int = 8,
    ) -> None:
        """Make a segmenter of a model.

        Args:
            network: Model, which is moved to the device and to evaluation mode; or one with
                compiled encoders, or an exported one.
            origin: Source of its weights.
            inference: Settings that suit the model, used where the protocol leaves them open.
            background: Background thresholds that the model was calibrated to, if it was.
            protocol: Protocol, or its name: `ours`, `quick`, `groupvit`, `tcl`, `sclip`.
            coverage: Domain and words of its training data; empty: unknown.
            device: Device to compute on, such as `cpu`, `cuda`, or `auto`: a GPU if there is one.
            dtype: `float32`, or `bfloat16`: encoders run under autocast, with a copy of the present
                weights; faster on hardware with bfloat16 arithmetic, with slightly other borders.
            batch_size: Number of windows in a batch.

        Raises:
            InputError: The protocol, device or dtype does not exist, or the protocol needs a
                background that the model has not learned.
        """
        if dtype not in DTYPES:
            raise InputError(f"dtype is {dtype!r}; known are {', '.join(DTYPES)}")
        if not isinstance(batch_size, int) or batch_size < 1:
            raise InputError(f"batch_size is {batch_size!r}; give at least 1")
        self.device = usable(device)
        if isinstance(network, GroupViT):
            network = network.to(self.device).eval()
        self._network = network
        self.network = network.model if isinstance(network, CompiledNetwork) else network
        self.origin = origin
        self.calibrated = background
        self.inference = inference
        self.protocol = protocols.named(protocol).for_model(inference)
        self.naming: Naming = self.protocol.naming or inference.naming
        """Embeddings that are compared with labels."""
        encoding.check_naming(network, self.naming)
        refinement = self.protocol.refinement
        self.refinement = refinement if isinstance(refinement, Refinement) else None
        """Refinement of borders; None: none."""
        self.certainty: Certainty = self.protocol.certainty_of(network.config)
        """Value that background thresholds are compared with."""
        if self.certainty == "margin" and network.background_layer is None:
            raise InputError(
                f"the protocol {self.protocol.name!r} needs margins, but this model has learned no "
                "background; train one with groupvit learn-background"
            )
        self.dtype = DTYPES[dtype]
        self.batch_size = batch_size
        if isinstance(network, GroupViT) and self.dtype != torch.float32:
            self._network = with_matrices_in(network, self.dtype)
        self._words = WordEmbeddings(self._network)
        self.coverage = coverage
        self.known_words = KnownWords(coverage, network, self.protocol.templates[0])
        self.parse = LabelParser(coverage if self.protocol.lexicon else None)
        """Parser of labels, which expands them by the lexicon where the protocol is set so."""

    @classmethod
    def load(
        cls,
        name: str | Path = DEFAULT,
        *,
        revision: str | None = None,
        protocol: Protocol | str = OURS,
        device: str | torch.device = "cpu",
        dtype: str = "float32",
        batch_size: int = 8,
        runtime: str = "auto",
    ) -> "Segmenter":
        """Load a model by name: bundled, a folder, a file, or a hub id.

        See `groupvit.weights.catalogue.load` for names and errors, and the constructor for the
        other arguments. A folder may also hold an exported model, which runs on the CPU.

        Args:
            name: Name of the model; by default the bundled one for photographs.
            revision: Branch, tag or commit; for hub ids only.
            protocol: Settings of resizing, windows and scoring.
            device: Device to compute on.
            dtype: `float32` or `bfloat16`.
            batch_size: Number of windows in a batch.
            runtime: Runtime of the encoders. `torch`; `openvino`: compiled by OpenVINO, on the
                CPU, the first time in some seconds (see `groupvit.exported.compiling`);
                `onnxruntime`: for exported models. `auto`: OpenVINO where it is installed, a cache
                folder can be written and its outputs are those of PyTorch but for rounding; else
                `torch`, or `onnxruntime` for an exported model.
        """
        found = loading.load(name, revision=revision, device=device, dtype=dtype, runtime=runtime)
        return cls(
            found.network,
            origin=found.origin,
            inference=found.inference,
            background=found.background,
            coverage=found.coverage,
            protocol=protocol,
            device=device if isinstance(found.network, GroupViT) else "cpu",
            dtype=dtype,
            batch_size=batch_size,
        )

    @property
    def model(self) -> GroupViT:
        """Model in PyTorch.

        Raises:
            InputError: It is an exported model.
        """
        if not isinstance(self.network, GroupViT):
            raise InputError(
                "this needs a model in PyTorch, and an exported model was given; give the model "
                "that it was exported from"
            )
        return self.network

    def default_background(self, labels: Iterable[str] | Labels) -> Background:
        """Background thresholds to use where none are given.

        These are the ones that the model was calibrated to, if that was done for the same
        `certainty`; else the words of the background that the model recommends; else 0.5 for
        scores, 0.2 for cosines and 0 for margins.

        Args:
            labels: Labels of the segmentation; thresholds of other labels are left out.
        """
        found = self.calibrated
        if found is not None and found.certainty in (None, self.certainty):
            return found.among(self.parse(labels).names)
        words: tuple[str, ...] = ()
        if self.inference.background_words and self.protocol.synonyms == "sum":
            words = without_labels(self.inference.background_words, self.parse(labels))
        if words:
            return Background(words=words)
        return Background(threshold=THRESHOLDS[self.certainty], certainty=self.certainty)

    def _background(
        self, given: BackgroundInput, labels: Iterable[str] | Labels
    ) -> Background | None:
        return (
            self.default_background(labels)
            if isinstance(given, str) and given == "auto"
            else as_background(given)
        )

    def learned_thresholds(self, parts: Float[Tensor, "*axes embedding"]) -> Float[Tensor, "*axes"]:
        """Cosine threshold of each part that the model has learned; 0 unless margins are used."""
        if self.network.background_layer is None or self.certainty != "margin":
            return parts.new_zeros(parts.shape[:-1])
        with torch.inference_mode():
            thresholds: Tensor = self.network.background_layer(parts)[..., 0]
            return thresholds

    @overload
    def __call__(
        self,
        images: ImageInput,
        labels: Iterable[str] | Labels,
        *,
        background: BackgroundInput = None,
        top_labels: int | Literal["all"] | None = None,
    ) -> Segmentation: ...
    @overload
    def __call__(
        self,
        images: list[ImageInput] | tuple[ImageInput, ...],
        labels: Iterable[str] | Labels,
        *,
        background: BackgroundInput = None,
        top_labels: int | Literal["all"] | None = None,
    ) -> list[Segmentation]: ...
    def __call__(
        self,
        images: ImageInput | list[ImageInput] | tuple[ImageInput, ...],
        labels: Iterable[str] | Labels,
        *,
        background: BackgroundInput = None,
        top_labels: int | Literal["all"] | None = None,
    ) -> Segmentation | list[Segmentation]:
        """Segment an image, or several in one batch, by labels.

        Several threads may call it. Scores move by the rounding of float32 (about 1e-6) with
        the words and images that were encoded together; labels differ only between equal scores.

        Args:
            images: A file or its bytes, a Pillow image, an array or a tensor (see `ImageInput`); or
                a list or tuple of them, of any sizes.
            labels: Free text. Synonyms share a label: `car|automobile|taxi`. Commas separate labels
                within a text; quotation marks keep one: `"salt, pepper"`.
            background: Thresholds and words of the background; a number: a threshold; `auto`: that
                of `default_background`; None: every pixel has a label.
            top_labels: Number of labels that may be used in a window, those that fit the whole of
                it best, or `all`; None: as the protocol is set.

        Returns:
            One segmentation, or a list of them for several images.

        Raises:
            InputError: An image cannot be read, or the labels are empty, doubled or too long.
        """
        background = self._background(background, texts := held(labels))
        parsed = self.parse(
            texts, background
        )  # mistakes in labels are found before the work on images
        if sentences := self.known_words.new_warnings(parsed.words):
            warnings.warn(". ".join(sentences), UnknownWordWarning, stacklevel=2)
        several = list(images) if isinstance(images, (list, tuple)) else [images]
        results = [
            self.label(grouped, parsed, background=background, top_labels=top_labels)
            for grouped in self.group(several)
        ]
        return results if isinstance(images, (list, tuple)) else results[0]

    def group(self, images: Sequence[ImageInput]) -> list[GroupedImage]:
        """Group the patches of images, independent of labels: one pass for each window.

        Raises:
            InputError: An image cannot be read or is too thin for the protocol.
        """
        arrays, sizes, crops, counts = [], [], [], []
        for image in images:
            array = image_input.read(image)
            size, of_image = encoding.cut(array, self.protocol, self.network.config.image)
            arrays.append(array)
            sizes.append(size)
            crops += of_image
            counts.append(len(of_image))
        with self._inference():
            windows = encoding.encode(
                self._network,
                crops,
                naming=self.naming,
                naming_stage=self.inference.parts_stage,
                border=self.protocol.border,
                batch_size=self.batch_size,
            )
        rest = iter(windows)
        results = []
        for array, size, count in zip(arrays, sizes, counts, strict=True):
            grouped = GroupedImage(
                image=array,
                working_size=size,
                windows=tuple(islice(rest, count)),
                refinement=self.refinement,
            )
            results.append(grouped)
        return results

    def label(
        self,
        grouped: GroupedImage,
        labels: Iterable[str] | Labels,
        *,
        background: BackgroundInput = None,
        top_labels: int | Literal["all"] | None = None,
    ) -> Segmentation:
        """Assign labels to the groups of an image; see `__call__`.

        Labels that many images share can be parsed once, with `Segmenter.parse` and the same
        background.
        """
        protocol = self.protocol
        if top_labels is not None:
            protocol = replace(protocol, top_labels=None if top_labels == "all" else top_labels)
        background = self._background(background, texts := held(labels))
        parsed = self.parse(texts, background)
        if background and background.certainty not in (None, self.certainty):
            raise InputError(
                f"these background thresholds are of the kind {background.certainty!r}, but this "
                f"model, with this protocol, uses {self.certainty!r}; calibrate them for it"
            )
        with self._inference():
            scorer = Scorer(
                words=self._words.embed(parsed.words, protocol.templates),
                labels=parsed,
                logit_scale=self.network.logit_scale,
                protocol=protocol,
                background=background,
                certainty=self.certainty,
                learned_thresholds=self.learned_thresholds,
                spatial_block=self.network.spatial_block,
            )
        with torch.inference_mode():
            tables, group_tables = zip(*map(scorer.of_both, grouped.windows), strict=True)
            scores = assemble(grouped, tables, resized=protocol.resized)
            if self.refinement is not None:
                scores = refined(scores, grouped, self.refinement)
            label_map = scores.best(final_softmax=protocol.final_softmax).cpu().numpy()
        return Segmentation(
            labels=parsed.names if background is None else (BACKGROUND, *parsed.names),
            label_map=label_map.astype(np.uint8 if label_map.max() < 256 else np.uint16),
            groups=grouped,
            score_map=scores,
            group_scores=group_tables,
            expansions=parsed.expansions(),
        )

    def embed_words(self, words: Sequence[str]) -> Float[Tensor, "word embedding"]:
        """Embed words in the space shared with images, by the protocol's templates; L2-normalized.

        Raises:
            InputError: There are no words, or one is no text or too long for the text encoder.
        """
        words = list_of_texts(words, name="words")
        if not words:
            raise InputError("words is empty; give at least one word, such as dog")
        with self._inference():
            return self._words.embed(words, self.protocol.templates)

    def unknown_words(self, labels: Iterable[str] | Labels) -> dict[str, tuple[str, ...]]:
        """The nearest known words of each word of labels that the model was not trained with.

        None are unknown if the model does not store its words; see `KnownWords.unknown`.
        """
        return self.known_words.unknown(self.parse(labels).words)

    def embed_images(
        self, pixels: UInt8[Tensor, "image 3 height width"]
    ) -> Float[Tensor, "image embedding"]:
        """Embed whole images in the space shared with words, without resizing; L2-normalized.

        Args:
            pixels: RGB, 0 to 255, with sides that are multiples of the patch size.
        """
        with self._inference():
            normalized = normalize(pixels.to(self.device))
            return self._network.embed_image(normalized, num_stages=1).image.float()

    @contextmanager
    def _inference(self) -> Iterator[None]:
        mixed = self.dtype != torch.float32
        with torch.inference_mode(), torch.autocast(self.device.type, self.dtype, enabled=mixed):
            yield
