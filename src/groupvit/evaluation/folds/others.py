"""«Others»: what a class competes with where it is the only label besides.

words       labels such as `others`, as published, or `sky`, `wall`, `person`: their pixels are
            others. Words that name the class itself are left out for it.
threshold   pixels whose certainty is below it are others
neither     the background of the model: its calibrated thresholds, its learned layer, or the
            words that it recommends
"""

from dataclasses import dataclass

from groupvit.errors import InputError
from groupvit.segmentation.labels import without_labels
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background

PUBLISHED_WORDS = ("others",)
"""Words of the published protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """Rule for «others», for every class."""

    words: tuple[str, ...] = ()
    """Words that compete with the class."""
    threshold: float | None = None
    """Threshold of the certainty, [-1, 1]."""

    def __str__(self) -> str:
        parts = []
        if self.words:
            parts.append(", ".join(self.words))
        if self.threshold is not None:
            parts.append(f"below {self.threshold:g}")
        return " or ".join(parts) or "the background of the model"

    def background(self, segmenter: Segmenter, label: str) -> Background:
        """Background that competes with a label.

        Raises:
            InputError: No word is left beside the label, or the rule would call every pixel the
                class, since the softmax over a single label is 1.
        """
        parsed = segmenter.parse([label])
        if self.words or self.threshold is not None:
            words = without_labels(self.words, parsed)
            if self.threshold is None and not words:
                raise InputError(
                    f"all words of --others name the class {parsed.names[0]!r} too; add another "
                    "word, such as others"
                )
            found = Background(words=words, threshold=self.threshold)
        else:
            found = segmenter.default_background(parsed)
        if segmenter.certainty == "score" and not found.words:
            raise InputError(
                "this model compares thresholds with a softmax over the labels, which is 1 for a "
                "single label, so that a threshold cannot find others; give words, such as "
                "--others others"
            )
        return found
