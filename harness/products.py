"""Takes what a build left in its folder, gives it only if it is what it should be: a plain file.

A build may leave a link to a file of the user's in a product's place, or a pipe that never ends.
"""

import stat
from pathlib import Path

from harness.proc import Breach

# Bytes. A vmlinux with all debug information has a tenth of it.
_MOST = 4 << 30


def take(folder: Path, name: str, *, most: int = _MOST) -> Path:
    """Return the file `name` in a build's folder, with no link left in its path.

    Raises:
        Breach: it is not there, leads out of the folder, is no file, or has over `most` bytes.
    """
    try:
        path = (folder / name).resolve(strict=True)
        seen = path.lstat()
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
        raise Breach(f"made no {name}") from error
    if not path.is_relative_to(folder.resolve()):
        raise Breach(f"made {name} a link out of its folder")
    if not stat.S_ISREG(seen.st_mode):
        raise Breach(f"made {name} something else than a file")
    if seen.st_size > most:
        raise Breach(f"made {name} larger than {most >> 20} MiB")
    return path
