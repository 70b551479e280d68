"""Takes a kernel tarball, gives its tree and one commit as a git pack with its index.

`git fast-import` needs 49 s for a kernel and `git add` 32 s with the unpacking; this takes 14 s,
since it hashes with the CPU's SHA instructions and writes no file but the pack.
"""

import hashlib
import os
import struct
import tarfile
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

import msgspec

from harness.errors import HostError
from harness.gitrepo import IDENTITY

_COMMIT, _TREE, _BLOB = (1, "commit"), (2, "tree"), (3, "blob")
_CHUNK = 1 << 20
# tarfile copies the rest of its buffer at every read: a large one is slower.
_TAR_BUFFER = 1 << 15
# From this offset on an index keeps offsets in a second table of 8 bytes each.
_LARGE = 1 << 31

_Folder = dict[bytes, "tuple[bytes, bytes] | _Folder"]


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """A pack on disk (`pack`, its index beside it) and what is in it, as hex object names."""

    pack: Path
    commit: str
    tree: str
    files: int


def pack_tarball(
    tarball: Path, folder: Path, message: str, *, on_progress: Callable[[int], None] | None = None
) -> Imported:
    """Write `folder/pack-….pack` and `.idx` with the tarball's tree, one level stripped.

    Only what git tracks is kept: names, contents, symlinks and the executable bit.
    `on_progress` is given the number of files so far.

    Raises:
        HostError: the tarball is damaged, or `folder` is full.
    """
    try:
        with _Pack(folder / "tmp.pack") as pack, _decompressed(tarball) as stream:
            root, files = _add_files(pack, stream, on_progress)
            tree = _add_tree(pack, root)
            who = f"{IDENTITY} 0 +0000"
            text = f"tree {tree.hex()}\nauthor {who}\ncommitter {who}\n\n{message}\n"
            commit = pack.add(_COMMIT, text.encode())
            path = pack.finish()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise HostError(f"{tarball} is no sound tarball: {error}") from error
    except OSError as error:
        raise HostError(f"cannot import {tarball} to {folder}: {error}") from error
    return Imported(pack=path, commit=commit.hex(), tree=tree.hex(), files=files)


def _add_files(
    pack: "_Pack", stream: IO[bytes], on_progress: Callable[[int], None] | None
) -> tuple[_Folder, int]:
    root: _Folder = {}
    count = 0
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_TAR_BUFFER) as tar:
        for member in tar:
            parts = os.fsencode(member.name).strip(b"/").split(b"/")[1:]
            if not parts or member.isdir():
                continue
            if b".." in parts:
                raise tarfile.TarError(f"it holds the path {member.name}")
            if member.issym():
                mode, data = b"120000", os.fsencode(member.linkname)
            elif member.isreg():
                mode = b"100755" if member.mode & 0o100 else b"100644"
                file = tar.extractfile(member)
                data = file.read() if file else b""
            else:
                raise tarfile.TarError(f"{member.name} is neither a file nor a symlink")
            _folder_of(root, parts)[parts[-1]] = (mode, pack.add(_BLOB, data))
            count += 1
            if on_progress:
                on_progress(count)
    return root, count


def _folder_of(root: _Folder, parts: list[bytes]) -> _Folder:
    for part in parts[:-1]:
        below = root.setdefault(part, {})
        if isinstance(below, tuple):
            raise tarfile.TarError(f"{os.fsdecode(part)} is a file and a folder")
        root = below
    return root


def _add_tree(pack: "_Pack", folder: _Folder) -> bytes:
    items = []
    for name, item in folder.items():
        if isinstance(item, dict):
            # git sorts a folder as if its name ended in a slash.
            items.append((name + b"/", b"40000 " + name, _add_tree(pack, item)))
        else:
            items.append((name, item[0] + b" " + name, item[1]))
    items.sort()
    return pack.add(_TREE, b"".join(head + b"\0" + name for _, head, name in items))


@contextmanager
def _decompressed(path: Path) -> Iterator[IO[bytes]]:
    """Yield the tar stream of `path`; a thread decompresses, which holds no GIL."""
    import bz2  # noqa: PLC0415 - these cost time and only an import needs them
    import gzip  # noqa: PLC0415
    import lzma  # noqa: PLC0415

    openers: dict[str, Callable[..., Any]] = {
        ".xz": lzma.open,
        ".gz": gzip.open,
        ".bz2": bz2.open,
    }
    failure: list[Exception] = []
    read_fd, write_fd = os.pipe()

    def feed() -> None:
        try:
            with (
                os.fdopen(write_fd, "wb") as sink,
                openers.get(path.suffix, Path.open)(path, "rb") as file,
            ):
                while chunk := file.read(_CHUNK):
                    sink.write(chunk)
        except BrokenPipeError:
            pass  # the reader gave up, and says why
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            failure.append(error)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    try:
        with os.fdopen(read_fd, "rb", buffering=_CHUNK) as stream:
            yield stream
            # tarfile stops at its end mark; what follows is read, so that a cut file is seen.
            while stream.read(_CHUNK):
                pass
    finally:
        thread.join()
        if failure:
            raise tarfile.ReadError(str(failure[0])) from failure[0]


class _Pack:
    """A pack while it is written: no deltas, no compression, every object once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w+b", buffering=_CHUNK)
        self._file.write(struct.pack(">4sII", b"PACK", 2, 0))
        self._offset = 12
        # object name -> (CRC of the packed bytes, offset)
        self._objects: dict[bytes, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        with suppress(FileNotFoundError):
            self._path.unlink()

    def add(self, kind: tuple[int, str], data: bytes) -> bytes:
        """Add an object unless it is there, and return its name (20 bytes)."""
        number, word = kind
        sha = hashlib.sha1(f"{word} {len(data)}\0".encode(), usedforsecurity=False)
        sha.update(data)
        name = sha.digest()
        if name not in self._objects:
            record = _object_header(number, len(data)) + zlib.compress(data, 0)
            self._objects[name] = (zlib.crc32(record), self._offset)
            self._file.write(record)
            self._offset += len(record)
        return name

    def finish(self) -> Path:
        """Complete the pack, write its index, and return the pack's final path."""
        # The count stands at the front, so the checksum can only be taken now.
        self._file.seek(8)
        self._file.write(struct.pack(">I", len(self._objects)))
        self._file.seek(0)
        sha = hashlib.sha1(usedforsecurity=False)
        while chunk := self._file.read(_CHUNK):
            sha.update(chunk)
        self._file.write(sha.digest())
        self._file.flush()
        final = self._path.with_name(f"pack-{sha.hexdigest()}.pack")
        final.with_suffix(".idx").write_bytes(_index(self._objects, sha.digest()))
        self._path.rename(final)
        return final


def _object_header(kind: int, size: int) -> bytes:
    byte = kind << 4 | size & 0x0F
    size >>= 4
    header = bytearray()
    while size:
        header.append(byte | 0x80)
        byte = size & 0x7F
        size >>= 7
    header.append(byte)
    return bytes(header)


def _index(objects: dict[bytes, tuple[int, int]], pack_sha: bytes) -> bytes:
    """Return a version 2 pack index, as gitformat-pack(5) has it."""
    names = sorted(objects)
    fanout, count = [0] * 256, len(names)
    for name in names:
        fanout[name[0]] += 1
    for byte in range(1, 256):
        fanout[byte] += fanout[byte - 1]
    offsets, large = [], []
    for name in names:
        offset = objects[name][1]
        if offset >= _LARGE:
            large.append(offset)
            offset = _LARGE | len(large) - 1
        offsets.append(offset)
    body = b"".join(
        (
            b"\377tOc" + struct.pack(">I256I", 2, *fanout),
            b"".join(names),
            struct.pack(f">{count}I", *(objects[name][0] for name in names)),
            struct.pack(f">{count}I", *offsets),
            struct.pack(f">{len(large)}Q", *large),
            pack_sha,
        )
    )
    return body + hashlib.sha1(body, usedforsecurity=False).digest()
