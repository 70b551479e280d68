"""Reads a TOML file into a msgspec struct; anything unexpected is one clear line."""

import re
from pathlib import Path
from typing import TypeVar

from harness.errors import UsageError

T = TypeVar("T")


def decode(text: str, type_: type[T], *, where: Path | str) -> T:
    """Return `text` as a `type_`, a msgspec struct that forbids unknown fields.

    Raises:
        UsageError: not TOML (with the line), an unknown key (with the nearest name), a missing
            key, or a value of the wrong type.
    """
    # msgspec and tomllib cost 40 ms, which a warm run without a TOML file to read need not pay.
    import tomllib  # noqa: PLC0415

    import msgspec  # noqa: PLC0415

    try:
        return msgspec.convert(tomllib.loads(text), type_)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: not valid TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {_explain(str(error), type_)}") from error


def load(path: Path, type_: type[T]) -> T:
    """Read and decode a file.

    Raises:
        UsageError: as `decode`, or the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    return decode(text, type_, where=path)


def _explain(message: str, type_: type[object]) -> str:
    unknown = re.search(r"unknown field `([^`]+)`", message)
    if not unknown:
        return message
    import difflib  # noqa: PLC0415

    import msgspec  # noqa: PLC0415

    name = unknown.group(1)
    known = _all_keys(msgspec.json.schema(type_))
    near = difflib.get_close_matches(name, known, n=1)
    place = message.partition(" - at ")[2]
    inside = f" in {place}" if place else ""
    return f"unknown key {name!r}{inside}" + (
        f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
    )


def _all_keys(schema: object) -> list[str]:
    """Return every property name anywhere in a JSON schema."""
    names: set[str] = set()
    if isinstance(schema, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            names.update(properties)
        for value in schema.values():
            names.update(_all_keys(value))
    elif isinstance(schema, list):
        for value in schema:
            names.update(_all_keys(value))
    return sorted(names)
