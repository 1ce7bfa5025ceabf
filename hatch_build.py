"""README.md as an index shows it: links that are relative in the repository become absolute."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

IMAGES = (".jpg", ".png", ".svg")


def absolute(text: str, repository: str) -> str:
    """Markdown whose links to files of the repository are absolute."""

    def replaced(match: re.Match[str]) -> str:
        kind = "raw" if match[1].partition("#")[0].endswith(IMAGES) else "blob"
        return f"]({repository}/{kind}/main/{match[1]})"

    return re.sub(r"\]\((?!https?://|#|mailto:)([^)\s]+)\)", replaced, text)


class ReadmeHook(MetadataHookInterface):
    """Sets the long description of the package."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add `readme` to the metadata of pyproject.toml."""
        text = Path(self.root, "README.md").read_text("utf-8")
        text = absolute(text, metadata["urls"]["Repository"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
