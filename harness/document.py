"""How the tool's JSON documents, and the schemas of them in docs/, are written. Pure."""

from pathlib import Path
from typing import Any

import msgspec


def encode(found: msgspec.Struct) -> bytes:
    """Return a document."""
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"


def schema_of(kind: type[msgspec.Struct]) -> bytes:
    """Return the JSON Schema of a kind of document."""
    schema = msgspec.json.schema(kind)
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def decode_path(type_: type, value: Any) -> Path:
    """Read a path back, which JSON has as a string: msgspec's `dec_hook`."""
    if type_ is not Path:
        raise NotImplementedError
    return Path(value)
