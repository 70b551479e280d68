"""What a compiler or linker calls itself, without running it twice.

Takes the path of a program, gives the first line of its `--version`. It is remembered by the
program's stat, so a warm path costs no process; the stat is no part of any key.
"""

from pathlib import Path

from harness import proc
from harness.errors import HostError
from harness.store import Store, digest_of, write_atomically

# Programs that stand in for a compiler: theirs is not the version that counts, and they do not
# change when the compiler does.
_WRAPPERS = frozenset({"ccache", "sccache", "distcc", "icecc"})


def toolchain_id(path: str, store: Store) -> str:
    """Return how the program at `path` names itself and its version.

    Raises:
        HostError: there is no such program, or it does not run.
    """
    try:
        real = Path(path).resolve(strict=True)
        seen = real.stat()
    except OSError as error:
        raise HostError(f"cannot use {path}: {error.strerror}") from error
    if real.name in _WRAPPERS:
        return _ask(path)
    # The name counts too: one file may be several programs by the name it is called.
    facts = (Path(path).absolute(), real, seen.st_size, seen.st_mtime_ns, seen.st_ino)
    note = store.root / "toolchain" / digest_of(repr(facts).encode())[:32]
    try:
        version = note.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        version = ""
    if not version:
        version = _ask(path)
        write_atomically(note, version.encode())
    return version


def _ask(path: str) -> str:
    text = proc.check([path, "--version"], timeout_s=30).text
    if not text:
        raise HostError(f"`{path} --version` says nothing")
    return text.splitlines()[0]
