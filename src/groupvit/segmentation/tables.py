"""Tables of scores of a window: of the parts that take labels, and of its last groups."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from groupvit.segmentation.groups import GroupedWindow
from groupvit.segmentation.labels import Labels
from groupvit.segmentation.protocol import Protocol
from groupvit.segmentation.scoring import Reduction, max_over_synonyms, score
from groupvit.text.background import Background, Certainty

LearnedThresholds = Callable[[Float[Tensor, "row embedding"]], Float[Tensor, " row"]]
"""Cosine threshold of every row that the model has learned; 0 without a background layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """Scores of windows by given labels."""

    words: Float[Tensor, "word embedding"]
    """Embeddings of all words, L2-normalized."""
    labels: Labels
    """Labels that the words belong to."""
    logit_scale: Float[Tensor, ""]
    """Inverse temperature of the model."""
    protocol: Protocol
    """Way in which scores are made of similarities."""
    background: Background | None
    """Thresholds and words of the background."""
    certainty: Certainty
    """Value that thresholds are compared with."""
    learned_thresholds: LearnedThresholds
    """Thresholds that margins are taken from."""
    spatial_block: nn.Module | None = None
    """Regularization of the similarities of patches to labels; None: none."""

    def of_parts(self, window: GroupedWindow) -> Float[Tensor, "part label"]:
        """Scores of the parts that take labels."""
        return self._score(window, window.naming_embeddings, window.part_means)

    def of_groups(self, window: GroupedWindow) -> Float[Tensor, "group label"]:
        """Scores of the groups of the last stage, by their own embeddings or those of patches."""
        if window.naming == "parts":
            in_groups = partial(window.means, stage=-1)
            return self._score(window, window.naming_embeddings, in_groups)
        return self._score(window, window.segments, None)

    def of_both(
        self, window: GroupedWindow
    ) -> tuple[Float[Tensor, "part label"], Float[Tensor, "group label"]]:
        """Both tables, which may be one."""
        groups = self.of_groups(window)
        return (groups if window.labels_last_groups else self.of_parts(window)), groups

    def _score(
        self,
        window: GroupedWindow,
        rows: Float[Tensor, "row embedding"],
        reduction: Reduction | None,
    ) -> Float[Tensor, "part label"]:
        regularization = None
        if self.spatial_block is not None and rows is window.naming_embeddings:
            regularization = partial(window.on_maps, self.spatial_block)
        return score(
            rows,
            window.embedding,
            self.words,
            self.labels,
            logit_scale=self.logit_scale,
            protocol=self.protocol,
            background=self.background,
            certainty=self.certainty,
            learned_thresholds=None if self.background is None else self.learned_thresholds(rows),
            reduction=reduction,
            regularization=regularization,
        )


def margins(
    window: GroupedWindow,
    words: Float[Tensor, "word embedding"],
    labels: Labels,
    learned_thresholds: LearnedThresholds,
) -> Float[Tensor, "part label"]:
    """Cosine of every label minus the learned threshold, of the parts that take labels."""
    rows = window.naming_embeddings
    cosines = max_over_synonyms(rows @ words.mT, labels)
    return window.part_means(cosines - learned_thresholds(rows)[:, None])
