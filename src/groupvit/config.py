"""Settings as frozen dataclasses: read strictly from JSON or TOML values, and written back."""

import dataclasses
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from groupvit import values as bounded
from groupvit.errors import InputError

Settings = TypeVar("Settings")
_MOST_TABLES = 1000
"""Tables in one list of settings."""
_LONGEST_REFUSAL = 300
"""Characters that are kept at both ends of a refusal that is too long."""
_LONGEST_SHOWN = 200
"""Characters of a value in a message."""


def load_toml(cls: type[Settings], path: Path) -> Settings:
    """Settings of the given dataclass from a TOML file, which lists what differs from the defaults.

    Raises:
        InputError: The file cannot be read, is not TOML, or holds settings that do not fit; the
            message names the file, and the line of a syntax error.
    """
    return from_values(cls, read_toml(path), where=str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """The values of a settings file, unchecked.

    Raises:
        InputError: The file cannot be read or is not TOML.
    """
    try:
        return bounded.read_toml(path)
    except FileNotFoundError as error:
        raise InputError(f"there is no settings file {path}; give a TOML file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a settings file: {error}") from error
    except ValueError as error:
        raise InputError(f"{path} is no TOML: {error}") from error


def from_values(
    cls: type[Settings], values: object, *, where: str, base: Settings | None = None
) -> Settings:
    """Settings of the given dataclass from the values of a JSON or TOML file.

    Args:
        cls: A dataclass whose fields are numbers, strings, literals, tuples or mappings of such, or
            such dataclasses.
        values: The mapping that was read.
        where: Name of the place in messages, such as `config.json`.
        base: Settings that hold wherever `values` gives none, instead of the defaults of `cls`.
            Nested dataclasses are merged field by field; tuples and mappings are replaced whole.

    Raises:
        InputError: A setting is unknown, missing, of the wrong type or refused by its dataclass.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where} is {_shown(values)}; it should be a table of settings")
    hints = get_type_hints(cls)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise InputError(
            f"{where}: unknown setting {_printable(unknown[0])}; known are {', '.join(hints)}"
        )
    given = {
        name: _value(hints[name], value, where=f"{where}: {name}", base=getattr(base, name, None))
        for name, value in values.items()
    }
    try:
        return cls(**given) if base is None else dataclasses.replace(base, **given)  # type: ignore[type-var]
    except (ValueError, TypeError) as error:  # the dataclass checks its own values
        text = str(error)
        if len(text) > 3 * _LONGEST_REFUSAL:  # it shows a long value
            text = f"{text[:_LONGEST_REFUSAL]}...{text[-_LONGEST_REFUSAL:]}"
        raise InputError(f"{where}: {text}") from error


def to_values(settings: Any) -> dict[str, Any]:
    """The settings as a mapping that JSON can hold; `from_values` reads it back."""
    values: dict[str, Any] = dataclasses.asdict(settings)
    return values


def differences(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    """Both values of every setting that differs, by its name with dots, such as `optim.lr`."""
    old, new = flat(to_values(before)), flat(to_values(after))
    names = list(old | new)
    return {
        name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)
    }


def shown_default(value: str) -> str:
    """The default of a setting as the help of its option shows it; an empty tuple has no text."""
    return f"(default: {value or 'none'})"


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values of nested tables by their names with dots, such as `optim.lr`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _value(kind: Any, value: Any, *, where: str, base: Any = None) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return from_values(kind, value, where=where, base=base)
    if get_origin(kind) is tuple:
        return _tuple(get_args(kind)[0], value, where=where)
    if get_origin(kind) is Mapping:
        if not isinstance(value, Mapping):
            raise InputError(f"{where} is {_shown(value)}, which is not a table")
        item = get_args(kind)[1]
        return {
            str(name): _value(item, one, where=f"{where}: {name}") for name, one in value.items()
        }
    if get_origin(kind) in (Union, types.UnionType):
        options = [option for option in get_args(kind) if option is not type(None)]
        return None if value is None else _value(options[0], value, where=where, base=base)
    if not _fits(kind, value):
        raise InputError(f"{where} is {_shown(value)}, which is not {_describe(kind)}")
    if isinstance(value, str) and ("\0" in value or not _is_unicode(value)):
        raise InputError(f"{where} is {_shown(value)}, which holds NUL or half a character")
    try:
        return float(value) if kind is float else value
    except OverflowError:
        raise InputError(f"{where} is a number that is too large") from None


def _tuple(item: Any, value: Any, *, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise InputError(f"{where} is {_shown(value)}, which is not a list")
    if dataclasses.is_dataclass(item) and len(value) > _MOST_TABLES:
        raise InputError(f"{where} has {len(value):,} tables; {_MOST_TABLES:,} are the most")
    return tuple(_value(item, one, where=f"{where}[{i}]") for i, one in enumerate(value))


def _is_unicode(text: str) -> bool:
    """False for text with a surrogate alone, which JSON can hold and no file can."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _shown(value: Any) -> str:
    """Beginning of the text of a value."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _printable(name: str) -> str:
    return name if name.isprintable() and len(name) <= _LONGEST_SHOWN else _shown(name)


def _fits(kind: Any, value: Any) -> bool:
    if get_origin(kind) is Literal:
        return isinstance(value, str | int) and value in get_args(kind)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _describe(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    return getattr(kind, "__name__", str(kind))
