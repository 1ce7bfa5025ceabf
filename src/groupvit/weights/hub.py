"""Models on the Hugging Face hub, downloaded through its local cache."""

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

# Base of network errors, whichever HTTP client the hub's library uses.
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # isort: skip

from groupvit.errors import InputError
from groupvit.weights.checkpoint import CONFIG_FILE
from groupvit.weights.foreign import WEIGHT_FILES

TIMEOUT = 10.0
"""Time after which the hub counts as unreachable [s]."""
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def is_hub_id(name: str) -> bool:
    """True if the name has the form `owner/model`."""
    return bool(_HUB_ID.fullmatch(name)) and not name.startswith((".", "/", "~"))


def fetch(hub_id: str, revision: str | None) -> Path:
    """Local folder with the configuration and the weights of a model.

    Cached files are used without a request to the hub; others are downloaded with a progress bar.
    Pickled weights are downloaded only if there are no others.

    Raises:
        InputError: The hub has no such model or revision, or it is neither cached nor reachable.
    """
    return _cached(hub_id, revision) or _download(hub_id, revision)


def send(folder: Path, hub_id: str, *, private: bool) -> str:
    """Upload a folder to a repository, which is made if it does not exist; return its address.

    Args:
        folder: Folder to upload, with all its files.
        hub_id: Owner and name of the repository.
        private: A new repository is visible to its owner only.

    Raises:
        InputError: This machine has no access token, the token may not write there, or the hub
            cannot be reached.
    """
    hub = HfApi(library_name="groupvit")
    try:
        hub.create_repo(hub_id, private=private, exist_ok=True, token=True)
        hub.upload_folder(
            repo_id=hub_id, folder_path=folder, commit_message="Upload by groupvit push", token=True
        )
    except LocalTokenNotFoundError as error:
        raise InputError("the hub needs an account: run 'hf auth login' first") from error
    except HfHubHTTPError as error:
        raise InputError(f"the hub refused {hub_id}: {_first_line(error)}") from error
    except (HTTPError, OfflineModeIsEnabled, OSError) as error:
        raise InputError(
            f"the hub cannot be reached, and nothing was uploaded: {_first_line(error)}"
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
        files = model_info(hub_id, revision=revision, timeout=TIMEOUT).siblings or []
        names = {file.rfilename for file in files}
        weights = next((name for name in WEIGHT_FILES if name in names), None)
        if weights is None or CONFIG_FILE not in names:
            needed = f"{CONFIG_FILE} and {' or '.join(WEIGHT_FILES)}"
            raise InputError(f"{hub_id} on the hub is no GroupViT; it needs {needed}")
        config = hf_hub_download(hub_id, CONFIG_FILE, revision=revision)
        hf_hub_download(hub_id, weights, revision=revision)
    return Path(config).parent


@contextmanager
def _explained(hub_id: str, revision: str | None) -> Iterator[None]:
    """Turn errors of the hub into messages of one sentence."""
    try:
        yield
    except RevisionNotFoundError as error:
        raise InputError(f"{hub_id} on the hub has no revision {revision!r}") from error
    except GatedRepoError as error:
        raise InputError(f"{hub_id} needs an account: run 'hf auth login' first") from error
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
