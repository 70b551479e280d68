"""Small facts in files of the cache, each sealed with what it is about.

A note that was damaged, or that stands where another belongs, is thrown away, and said; whoever
wanted it makes it again.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from harness import log
from harness.store import digest_of, write_atomically

_SEAL = "seal"


def write(path: Path, about: str, facts: Mapping[str, str]) -> None:
    """Write `facts`; `about` says of what, and must be said again to read them."""
    sealed = {**facts, _SEAL: _seal(about, facts)}
    write_atomically(path, json.dumps(sealed, indent=1).encode())


def read(path: Path, about: str) -> dict[str, str] | None:
    """Return the facts, or None if there are none that can be believed.

    A note without a seal, as earlier versions wrote them, is believed.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        found = None
    if isinstance(found, dict) and all(isinstance(value, str) for value in found.values()):
        seal = found.pop(_SEAL, None)
        if seal in {None, _seal(about, found)}:
            return found
    log.warn(f"{path}: damaged; thrown away, and made again")
    path.unlink(missing_ok=True)
    return None


def _seal(about: str, facts: Mapping[str, str]) -> str:
    return digest_of(json.dumps([about, dict(facts)], sort_keys=True).encode())
