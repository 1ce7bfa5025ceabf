"""Folds of a benchmark evaluated one by one, each with the best of several candidates.

A candidate is a model and a rule for «others». It is chosen by the mIoU of classes that are not
held out, on images without held-out classes. The published protocol chooses by the test itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from groupvit.distributed import Ranks
from groupvit.evaluation.folds.cutting import Fold, Folded, Part, PartKind
from groupvit.evaluation.folds.evaluate import PartEvaluation, Rules, evaluate_part
from groupvit.evaluation.folds.others import Others
from groupvit.evaluation.folds.scores import MODEL
from groupvit.evaluation.journal import NAME
from groupvit.progress import OnProgress
from groupvit.segmentation.segmenter import Segmenter


class Candidate(NamedTuple):
    """Model and rule that may be chosen."""

    model: str
    """Name of the model; `{fold}` in it stands for the name of the fold."""
    others: Others
    """Rule for «others»."""

    def of(self, fold: Fold) -> "Candidate":
        """The candidate for a fold."""
        return self._replace(model=self.model.replace("{fold}", fold.name))


class Tried(NamedTuple):
    """Candidate with its score."""

    candidate: Candidate
    miou: float
    """mIoU by which it was compared, [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldEvaluation:
    """Scores of one fold."""

    fold: Fold
    """Held-out classes."""
    candidate: Candidate
    """Candidate that was chosen."""
    tried: tuple[Tried, ...]
    """All candidates, if there were several."""
    test: PartEvaluation
    """Scores of the held-out classes."""
    validation: PartEvaluation | None
    """Scores of the other classes; None: not measured."""

    def to_values(self) -> dict[str, Any]:
        """Values for JSON."""
        return {
            "fold": self.fold.name,
            "model": self.candidate.model,
            "tried": [
                {
                    "model": one.candidate.model,
                    "others": str(one.candidate.others),
                    "miou": one.miou,
                }
                for one in self.tried
            ],
            "test": self.test.to_values(),
            "validation": self.validation.to_values() if self.validation else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Evaluation of parts of folds under the same rules."""

    folded: Folded
    """Benchmark with its folds."""
    rules: Rules
    """Rules besides those of the protocol; «others» are those of the candidate."""
    load: Callable[[str], Segmenter]
    """Function that loads a model by its name."""
    as_published: bool = False
    """1,000 episodes for each fold, and candidates chosen by them."""
    limit: int | None = None
    """Maximum number of images of each part; None: all."""
    out: Path | None = None
    """Folder of the journals, fold-0/test and so on; None: no journals."""
    overwrite: bool = False
    """Delete the journals in it first."""
    ranks: Ranks = field(default_factory=Ranks)
    """Processes that share the images."""
    on_progress: OnProgress | None = None
    """Called after every image of this process."""

    def evaluate(
        self, fold: Fold, candidates: Sequence[Candidate], *, with_seen: bool = False
    ) -> FoldEvaluation:
        """Choose among the candidates, and test the chosen one on the held-out classes.

        Args:
            fold: Fold to evaluate.
            candidates: At least one candidate.
            with_seen: Measure the classes that are not held out too, even for one candidate.

        Raises:
            InputError: See `evaluate_part`, or a model cannot be loaded.
        """
        candidates = [one.of(fold) for one in candidates]
        several = len(candidates) > 1
        test = self.folded.published_test(fold) if self.as_published else self.folded.test(fold)
        validation = None
        if with_seen or (several and not self.as_published):
            validation = self.folded.validation(fold)
        decisive = validation if validation and not self.as_published else test
        tried = [
            self._evaluate(decisive, one, f"{decisive.kind}-{number}")
            for number, one in enumerate(candidates)
            if several
        ]
        mious = [one.scores[MODEL].miou for one in tried]
        best = mious.index(max(mious)) if several else 0
        found: dict[PartKind, PartEvaluation] = {decisive.kind: tried[best]} if several else {}
        for part in (test, validation):
            if part is not None and part.kind not in found:
                found[part.kind] = self._evaluate(part, candidates[best], part.kind)
        return FoldEvaluation(
            fold=fold,
            candidate=candidates[best],
            tried=tuple(map(Tried, candidates, mious)) if several else (),
            test=found["test"],
            validation=found.get("validation"),
        )

    def _evaluate(self, part: Part, candidate: Candidate, name: str) -> PartEvaluation:
        """Evaluation of a candidate on a part, with a journal of this name."""
        folder = self.out / f"fold-{part.fold}" / name if self.out else None
        return evaluate_part(
            self.load(candidate.model),
            self.folded,
            part,
            replace(self.rules, others=candidate.others),
            limit=self.limit,
            folder=folder,
            prepare=partial(_clear, folder) if folder and self.overwrite else None,
            ranks=self.ranks,
            on_progress=self.on_progress,
        )


def _clear(folder: Path) -> None:
    """Delete the journal in a folder."""
    for file in folder.glob(f"{NAME}-*.jsonl"):
        file.unlink()
