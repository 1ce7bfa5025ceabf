"""Loading models, for all commands."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from rich.console import Console

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
