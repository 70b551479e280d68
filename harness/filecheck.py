"""Takes a check of files as they are in a tree, gives what it says of them; it is asked once.

What it says is kept by what decides it: the files it reads, its own, and the programs it needs.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from harness.arch import Arch
from harness.job import CompilerWarning, Tree
from harness.limits import Limits
from harness.store import Store, digest_of
from harness.toolchain import Toolchain

# The Python that runs this, for what is written in it: that of PATH may be a link to where the
# sandbox has nothing.
PYTHON = (sys.executable, "-B")
PYTHON_PARTS = (Path(sys.prefix), Path(sys.base_prefix))

_SCHEMA = "1"
_RESULT = "said.json"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a check says, or why it could not be asked; `version` is of what was asked."""

    warnings: tuple[CompilerWarning, ...] = ()
    why_not: str = ""
    version: str = ""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A tree, files of it by their paths, and what else a check may need."""

    tree: Tree
    files: Sequence[str]
    arch: Arch
    toolchain: Toolchain
    store: Store
    limits: Limits


def once(kind: str, inputs: Mapping[str, str], store: Store, look: Callable[[], Said]) -> Said:
    """Return what `look` says, or what it said on equal `inputs`."""

    def make(folder: Path) -> None:
        (folder / _RESULT).write_bytes(msgspec.json.encode(look()))

    entry = store.get_or_make(kind, {"schema": _SCHEMA, **inputs}, make)
    return msgspec.json.decode((entry.path / _RESULT).read_bytes(), type=Said)


def digest(blobs: Mapping[str, str]) -> str:
    """Return a digest of some files and what is in them."""
    return digest_of(
        "".join(f"{blob} {path}\n" for path, blob in sorted(blobs.items())).encode(
            errors="surrogateescape"
        )
    )
