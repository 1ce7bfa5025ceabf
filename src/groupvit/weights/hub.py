"""Models on the Hugging Face hub: their files, by way of the local cache."""

import re
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from groupvit.errors import InputError
from groupvit.weights.checkpoint import CONFIG_FILE
from groupvit.weights.foreign import WEIGHT_FILES

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def is_hub_id(name: str) -> bool:
    """Whether the name has the form ``owner/model``."""
    return bool(_HUB_ID.fullmatch(name)) and not name.startswith((".", "/", "~"))


def fetch(hub_id: str, revision: str | None) -> Path:
    """The local folder that holds the model's configuration and weights; shows the download.

    Raises:
        InputError: The hub has no such model or revision, or it is neither cached nor reachable.
    """
    try:
        config = hf_hub_download(hub_id, CONFIG_FILE, revision=revision)
        _fetch_weights(hub_id, revision)
    except RemoteEntryNotFoundError as error:
        needed = f"{CONFIG_FILE} and {' or '.join(WEIGHT_FILES)}"
        raise InputError(f"{hub_id} on the hub is no GroupViT; it needs {needed}") from error
    except LocalEntryNotFoundError as error:
        raise InputError(_offline(hub_id)) from error
    except RevisionNotFoundError as error:
        raise InputError(f"{hub_id} on the hub has no revision {revision!r}") from error
    except GatedRepoError as error:
        raise InputError(f"{hub_id} asks for an account: run 'hf auth login' first") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise InputError(f"there is no folder and no model on the hub named {hub_id}") from error
    except HfHubHTTPError as error:
        raise InputError(f"the hub refused {hub_id}: {_first_line(error)}") from error
    except OSError as error:
        raise InputError(f"{hub_id} cannot be fetched: {_first_line(error)}") from error
    return Path(config).parent


def _fetch_weights(hub_id: str, revision: str | None) -> None:
    """The first of the files that can hold weights and that the model has."""
    *earlier, last = WEIGHT_FILES
    for name in earlier:
        try:
            hf_hub_download(hub_id, name, revision=revision)
        except (RemoteEntryNotFoundError, LocalEntryNotFoundError):
            continue
        return
    hf_hub_download(hub_id, last, revision=revision)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _offline(hub_id: str) -> str:
    return (
        f"there is no folder {hub_id}, it is not in the hub's local cache, and the hub cannot be "
        f"reached; where there is a network, run 'hf download {hub_id}', or download its folder "
        "there and give its path"
    )
