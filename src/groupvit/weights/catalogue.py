"""Models by name: a bundled name, a folder, a file, or a hub id."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from groupvit.errors import InputError, suggestion
from groupvit.model.config import GroupViTConfig
from groupvit.model.groupvit import GroupViT
from groupvit.text.coverage import Coverage
from groupvit.weights import checkpoint, foreign
from groupvit.weights.checkpoint import LoadedModel, Origin
from groupvit.weights.packaged import PACKAGED


def load(name: str | Path, *, revision: str | None = None, heads: int | None = None) -> LoadedModel:
    """The model of this name, in float32 and evaluation mode, on the CPU.

    Args:
        name: A bundled name (`photos`, `storybook`, `random`), a checkpoint or run folder of ours,
            a folder of `transformers`, a `.safetensors`, `.bin` or `.pth` file, or a hub id such as
            `nvidia/groupvit-gcc-yfcc`. A folder or file of that name goes before the hub.
        revision: Branch, tag or commit; for hub ids only.
        heads: Attention heads of the image encoder, for an original `.pth` without settings.

    Raises:
        InputError: Nothing is found under the name, or what is found is no GroupViT.
    """
    if not isinstance(name, str | Path):
        raise InputError(f"a model cannot be a {type(name).__name__}; give its name or a path")
    path = Path(name).expanduser()
    if revision is not None and (str(name) in BUNDLED or path.exists()):
        raise InputError(f"{name} is not on the hub, so it has no revision {revision!r}")
    if heads is not None and not path.is_file():
        raise InputError(f"{name} is no file of the original, so that --heads does not apply")
    if str(name) in BUNDLED:
        return BUNDLED[str(name)]()
    if path.is_dir():
        return load_folder(path)
    if path.is_file():
        return load_file(path, heads=heads)
    from groupvit.weights import hub  # whose library no other model should wait for

    if not hub.is_hub_id(str(name)):
        raise InputError(
            f"there is no model {str(name)!r}; give a bundled name ({', '.join(BUNDLED)}), "
            "a folder, a file of weights, or a hub id such as nvidia/groupvit-gcc-yfcc"
            + suggestion(name, BUNDLED)
        )
    loaded = load_folder(hub.fetch(str(name), revision))
    source = f"{name}@{revision}" if revision else str(name)
    return loaded._replace(origin=replace(loaded.origin, source=source))


def load_folder(folder: Path) -> LoadedModel:
    """A checkpoint folder of ours or of `transformers`, recognized by its `config.json`.

    Of a training run it is the latest checkpoint.
    """
    latest = folder / "latest"
    if latest.is_file():
        folder = folder / Path(latest.read_text(encoding="utf-8").strip()).name
    written = checkpoint.read_config(folder).get("format")
    if str(written).startswith("groupvit-run"):
        names = ", ".join(sorted(path.name for path in folder.glob("step-*"))) or "none"
        raise InputError(
            f"{folder} is a training run without a file latest that names a checkpoint; give one "
            f"of its checkpoints: {names}"
        )
    if written == checkpoint.EXPORTED:
        raise InputError(
            f"{folder} is an exported model, which segments and can be evaluated; for anything "
            "else give the model that it was made of"
        )
    if written == "groupvit-1":
        raise InputError(
            f"{folder} was written by groupvit 0.1, whose settings had other names; train it again "
            "or load it with groupvit 0.1 (CHANGELOG.md lists the new names)"
        )
    ours = written == checkpoint.FORMAT
    return checkpoint.load(folder) if ours else foreign.load_folder(folder)


def load_file(path: Path, *, heads: int | None = None) -> LoadedModel:
    """A file of weights; the `model.safetensors` of a folder of ours stands for the folder."""
    beside = path.with_name(checkpoint.CONFIG_FILE)
    if path.name == checkpoint.WEIGHTS_FILE and beside.exists():
        return load_folder(path.parent)
    return foreign.load_file(path, heads=heads)


def untrained() -> LoadedModel:
    """The released architecture drawn at random, always the same: for trying things out."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GroupViT(GroupViTConfig()).eval()
    return LoadedModel(model, Origin(source="drawn at random with seed 0", trained=False))


def packaged(name: str) -> LoadedModel:
    """A model whose folder is in the package."""
    return checkpoint.load(HERE / name)


def packaged_coverage() -> dict[str, Coverage]:
    """Domains and words of the models in the package, by their names."""
    return {name: checkpoint.read_coverage(HERE / name) for name in PACKAGED}


HERE = Path(__file__).parent
BUNDLED: dict[str, Callable[[], LoadedModel]] = {
    **{name: partial(packaged, name) for name in PACKAGED},
    "random": untrained,
}
"""Models that need no file beside the package."""
