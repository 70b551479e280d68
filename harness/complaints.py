"""The warnings of all that stands in an O= folder, whichever make it was that made each part.

A make that builds little says little: what it did not compile again it did not complain of again.
So the warnings of each target are kept in the folder itself, and go when that goes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from harness.job import CompilerWarning
from harness.store import write_atomically

_NAME = ".harness-warnings.json"
_MOST = 64 << 20

_Kept = dict[str, list[CompilerWarning]]


def keep(out: Path, made: Mapping[str, Sequence[CompilerWarning]]) -> None:
    """Note what a make has said of each target that it has made."""
    if not out.is_dir():
        return
    whole: _Kept = {target: found for target, found in _read(out).items() if target not in made}
    whole.update({target: list(found) for target, found in made.items() if found})
    write_atomically(out / _NAME, msgspec.json.encode(dict(sorted(whole.items()))))


def of(out: Path) -> tuple[CompilerWarning, ...]:
    """Return the warnings of what is there, in the order of the targets' names."""
    return tuple(
        each for target, found in _read(out).items() if _is_there(out, target) for each in found
    )


def _is_there(out: Path, target: str) -> bool:
    # What is said before the first target, and of what is no file, is said by every make.
    return not target.endswith(".o") or (out / target).exists()


def _read(out: Path) -> _Kept:
    path = out / _NAME
    # A build can write here: whatever it is, it is no reason to fail.
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST:
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError):
        return {}
