"""Version of the package, which pyproject.toml reads here."""

VERSION = "0.2.0"
