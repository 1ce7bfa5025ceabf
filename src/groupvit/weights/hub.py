"""Models on the Hugging Face hub: their files, by way of the local cache."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, model_info, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

# The network's own error, whichever client the hub's library is built on.
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # isort: skip

from groupvit.errors import InputError
from groupvit.weights.checkpoint import CONFIG_FILE
from groupvit.weights.foreign import WEIGHT_FILES

PATIENCE = 10.0
"""How long the hub may take to answer before it counts as out of reach [seconds]."""
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def is_hub_id(name: str) -> bool:
    """Whether the name has the form `owner/model`."""
    return bool(_HUB_ID.fullmatch(name)) and not name.startswith((".", "/", "~"))


def fetch(hub_id: str, revision: str | None) -> Path:
    """The local folder that holds the model's configuration and weights.

    What is in the cache is taken from there without asking the hub; what is not is downloaded,
    which shows its progress.

    Raises:
        InputError: The hub has no such model or revision, or it is neither cached nor reachable.
    """
    return _cached(hub_id, revision) or _download(hub_id, revision)


def send(folder: Path, hub_id: str, *, private: bool) -> str:
    """Make the repository if there is none, and send a folder to it; returns its address.

    Args:
        folder: What is sent, with everything in it.
        hub_id: Owner and name.
        private: Only its owner sees it; one that is there stays as it is.

    Raises:
        InputError: There is no account on this machine, it may not write there, or the hub cannot
            be reached.
    """
    hub = HfApi(library_name="groupvit")
    try:
        hub.create_repo(hub_id, private=private, exist_ok=True, token=True)
        hub.upload_folder(
            repo_id=hub_id, folder_path=folder, commit_message="Sent by groupvit push", token=True
        )
    except LocalTokenNotFoundError as error:
        raise InputError("the hub asks for an account: run 'hf auth login' first") from error
    except HfHubHTTPError as error:
        raise InputError(f"the hub refused {hub_id}: {_first_line(error)}") from error
    except (HTTPError, OfflineModeIsEnabled, OSError) as error:
        raise InputError(
            f"the hub cannot be reached, and nothing was sent: {_first_line(error)}"
        ) from error
    return f"{hub.endpoint}/{hub_id}"


def _cached(hub_id: str, revision: str | None) -> Path | None:
    with _explained(hub_id, revision):
        config, *weights = (
            try_to_load_from_cache(hub_id, name, revision=revision)
            for name in (CONFIG_FILE, *WEIGHT_FILES)
        )
    if isinstance(config, str) and any(isinstance(path, str) for path in weights):
        return Path(config).parent
    return None


def _download(hub_id: str, revision: str | None) -> Path:
    with _explained(hub_id, revision):
        held = model_info(hub_id, revision=revision, timeout=PATIENCE).siblings or []
        names = {file.rfilename for file in held}
        weights = next((name for name in WEIGHT_FILES if name in names), None)
        if weights is None or CONFIG_FILE not in names:
            needed = f"{CONFIG_FILE} and {' or '.join(WEIGHT_FILES)}"
            raise InputError(f"{hub_id} on the hub is no GroupViT; it needs {needed}")
        config = hf_hub_download(hub_id, CONFIG_FILE, revision=revision)
        hf_hub_download(hub_id, weights, revision=revision)
    return Path(config).parent


@contextmanager
def _explained(hub_id: str, revision: str | None) -> Iterator[None]:
    """Turns the errors of the hub into one sentence."""
    try:
        yield
    except RevisionNotFoundError as error:
        raise InputError(f"{hub_id} on the hub has no revision {revision!r}") from error
    except GatedRepoError as error:
        raise InputError(f"{hub_id} asks for an account: run 'hf auth login' first") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise InputError(f"there is no folder and no model on the hub named {hub_id}") from error
    except HfHubHTTPError as error:
        raise InputError(f"the hub refused {hub_id}: {_first_line(error)}") from error
    except (HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise InputError(_unreachable(hub_id)) from error
    except OSError as error:
        raise InputError(f"{hub_id} cannot be fetched: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _unreachable(hub_id: str) -> str:
    return (
        f"there is no folder {hub_id}, it is not in the hub's local cache, and the hub cannot be "
        f"reached; where there is a network, run 'hf download {hub_id}', or download its folder "
        "there and give its path"
    )
