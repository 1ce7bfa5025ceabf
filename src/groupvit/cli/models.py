"""Loading models, for all commands."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from rich.console import Console

    from groupvit.segmentation.segmenter import Segmenter
    from groupvit.weights.checkpoint import Origin


@runtime_checkable
class HasOrigin(Protocol):
    """A `Segmenter` or a `LoadedModel`."""

    @property
    def origin(self) -> "Origin | None":
        """Source of the weights."""
        ...


Model = TypeVar("Model", bound=HasOrigin)


def load_model(console: "Console", name: str, load: Callable[[], Model]) -> Model:
    """Load a model, with a status line and a warning if it is untrained.

    Args:
        console: Console for both.
        name: Name of the model.
        load: Function that loads it, such as `ModelOptions.segmenter`.

    Raises:
        InputError: There is no such model.
    """
    with console.status(f"loading {name}"):
        model = load()
    if model.origin and not model.origin.trained:
        console.print("[yellow]this model is untrained: its results are meaningless[/]")
    return model


def warn_of_unknown_words(
    console: "Console", segmenter: "Segmenter", labels: Iterable[str], *background_words: str
) -> None:
    """Print a warning for words that the model was not trained with."""
    from groupvit.text.background import Background

    background = Background(words=background_words) if background_words else None
    for sentence in segmenter.known_words.warnings(segmenter.parse(labels, background).words):
        console.print(sentence, style="yellow", markup=False)
