"""Takes an O= folder, gives the files of the tree that it was compiled from.

Read from the `.cmd` files that kbuild leaves beside each object, with its source and every header
(scripts/basic/fixdep.c writes them).
"""

import os
from collections.abc import Iterator
from pathlib import Path


def sources(out: Path, source: Path) -> list[str]:
    """Return the paths in the tree `source`, sorted; none if no build has left any.

    Files that the build has generated and those of this machine are left out.
    """
    prefix = f"{source}/".encode()
    words: set[bytes] = set()
    for path in _cmd_files(out):
        with path.open("rb") as stream:
            # The command before it names folders of the tree as well.
            _, _, rest = stream.read().partition(b"\nsource_")
        # 44 MB of a tiny kernel, and nearly all of it again and again: looked at when it is a set.
        words.update(rest.split())
    names = {
        os.path.normpath(word.removeprefix(prefix).decode(errors="replace"))
        for word in words
        if word.startswith(prefix)
    }
    # An object that an earlier tree had is still there, with its `.cmd` file.
    return sorted(name for name in names if (source / name).is_file())


def _cmd_files(out: Path) -> Iterator[Path]:
    folders = [os.fspath(out)]
    while folders:
        for entry in os.scandir(folders.pop()):
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.name.endswith(".cmd") and entry.name.startswith("."):
                yield Path(entry.path)
