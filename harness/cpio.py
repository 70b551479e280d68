"""Writes and reads newc archives, the format of an initramfs.

Takes members, gives bytes that depend on nothing else: sorted names, no times, no owners, inode
numbers in order. Device nodes are only numbers here, so nothing needs root.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from harness.errors import UsageError

_MAGIC = b"070701"
# "crc" archives differ by a checksum that the kernel verifies and a listing has no use for.
_MAGICS = (_MAGIC, b"070702")
_HEADER_SIZE = 110
_FIELDS = 13
_HEX = re.compile(rb"[0-9A-Fa-f]{%d}" % (8 * _FIELDS))
_TRAILER = "TRAILER!!!"
# The kernel skips a member whose name, with its NUL, is longer (init/initramfs.c, PATH_MAX).
_NAME_MAX = 4096
_FIELD_MAX = 0xFFFFFFFF
_COPY_SIZE = 1 << 20
_TYPES = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO)


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A file, folder, symlink (`data` is its target) or device node (`device` its numbers).

    `name` is relative to the root and has no `.` or `..`. A large file's `data` may be a path,
    which is read when it is written.
    """

    name: str
    mode: int
    data: bytes | Path = b""
    device: tuple[int, int] = (0, 0)

    @property
    def size(self) -> int:
        """How many bytes of data it has."""
        return self.data.stat().st_size if isinstance(self.data, Path) else len(self.data)


def folder(name: str, mode: int = 0o755) -> Member:
    """Return a folder."""
    return Member(name=name, mode=stat.S_IFDIR | mode)


def file(name: str, data: bytes | Path, mode: int = 0o644) -> Member:
    """Return a regular file."""
    return Member(name=name, mode=stat.S_IFREG | mode, data=data)


def symlink(name: str, target: str) -> Member:
    """Return a symbolic link."""
    return Member(name=name, mode=stat.S_IFLNK | 0o777, data=os.fsencode(target))


def character_device(name: str, major: int, minor: int, mode: int = 0o600) -> Member:
    """Return a character device's node."""
    return Member(name=name, mode=stat.S_IFCHR | mode, device=(major, minor))


# --- writing --------------------------------------------------------------------------------


def write(stream: BinaryIO, members: Iterable[Member]) -> None:
    """Write an archive of `members`, whatever their order, to `stream`.

    Raises:
        UsageError: the kernel would drop a member or put it elsewhere: a bad name, one that is
            there twice, a folder that is missing or is none, a size or number out of range.
    """
    ordered = sorted(members, key=lambda member: os.fsencode(member.name))
    _check_names(ordered)
    for number, member in enumerate(ordered, start=1):
        _check_content(member)
        _write_member(stream, member, number)
    _write_member(stream, Member(name=_TRAILER, mode=0), 0)


def _write_member(stream: BinaryIO, member: Member, inode: int) -> None:
    name = os.fsencode(member.name) + b"\0"
    size = member.size
    links = 2 if stat.S_ISDIR(member.mode) else 1
    # inode, mode, uid, gid, nlink, mtime, size, device of the file, device it is, name size, sum
    fields = (inode, member.mode, 0, 0, links, 0, size, 0, 0, *member.device, len(name), 0)
    stream.write(_MAGIC + b"".join(b"%08X" % field for field in fields) + name)
    stream.write(_padding(_HEADER_SIZE + len(name)))
    written = _write_data(stream, member.data)
    if written != size:
        raise UsageError(f"{member.data!s} changed while it was packed as {member.name!r}")
    stream.write(_padding(size))


def _write_data(stream: BinaryIO, data: bytes | Path) -> int:
    if isinstance(data, bytes):
        return stream.write(data)
    written = 0
    with data.open("rb") as source:
        while chunk := source.read(_COPY_SIZE):
            written += stream.write(chunk)
    return written


def _padding(size: int) -> bytes:
    return b"\0" * (-size % 4)


def _check_names(ordered: list[Member]) -> None:
    """Hold the sorted names against what the kernel needs: a folder before what is in it."""
    kinds: dict[str, int] = {}
    for member in ordered:
        name = member.name
        problem = _name_problem(name) or _place_problem(name, kinds)
        if problem:
            raise UsageError(f"cannot pack {name!r} in an initramfs: {problem}")
        kinds[name] = member.mode


def _name_problem(name: str) -> str:
    if not name or "\0" in name or name == _TRAILER:
        return "this cannot be a name"
    if name.startswith("/"):
        return "it is an absolute path"
    if any(part in {"", ".", ".."} for part in name.split("/")):
        return "it has an empty, `.` or `..` part"
    if len(os.fsencode(name)) >= _NAME_MAX:
        return f"its name has more than {_NAME_MAX - 1} bytes"
    return ""


def _place_problem(name: str, kinds: dict[str, int]) -> str:
    parent = name.rpartition("/")[0]
    if name in kinds:
        return "it is there twice"
    if parent and parent not in kinds:
        return f"its folder {parent!r} is not there"
    if parent and not stat.S_ISDIR(kinds[parent]):
        return f"{parent!r} is no folder"
    return ""


def _check_content(member: Member) -> None:
    mode = member.mode
    size = member.size
    problem = ""
    if stat.S_IFMT(mode) not in _TYPES or mode >> 16:
        problem = f"{mode:o} is no mode"
    elif stat.S_ISLNK(mode) and not 0 < size < _NAME_MAX:
        problem = f"a symlink's target has 1 to {_NAME_MAX - 1} bytes, not {size}"
    elif size and not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        problem = "only files and symlinks have data"
    elif size > _FIELD_MAX:
        problem = "it has 4 GiB or more"
    elif not all(0 <= number <= _FIELD_MAX for number in member.device):
        problem = f"{member.device} are no device numbers"
    if problem:
        raise UsageError(f"cannot pack {member.name!r} in an initramfs: {problem}")


# --- reading --------------------------------------------------------------------------------


def read(data: bytes, *, where: Path | str = "archive") -> Iterator[Member]:
    """Yield the members of an archive, or of several one behind the other, as the kernel would.

    Raises:
        UsageError: it is no newc archive, or is damaged; the message has the offset.
    """
    at = 0
    while at < len(data):
        if data[at] == 0:  # between archives, and behind the last one
            at += 1
            continue
        member, at = _read_member(data, at, where)
        if member.name != _TRAILER:
            yield member
        elif not data[at:].strip(b"\0"):
            return
    raise UsageError(f"{where}: it ends without a {_TRAILER} entry")


def _read_member(data: bytes, at: int, where: Path | str) -> tuple[Member, int]:
    header = data[at : at + _HEADER_SIZE]
    if header[:6] not in _MAGICS:
        raise UsageError(
            f"{where}: no newc member at byte {at}, but {header[:6]!r}",
            hint="a compressed archive has to be unpacked first" if at == 0 else None,
        )
    # No sign, space or underscore: int() reads them, and a negative size would lead back.
    if not _HEX.fullmatch(header, 6):
        raise UsageError(f"{where}: the header at byte {at} is damaged")
    fields = [int(header[6 + 8 * i : 14 + 8 * i], 16) for i in range(_FIELDS)]
    mode, size, name_size = fields[1], fields[6], fields[11]
    name_at = at + _HEADER_SIZE
    data_at = name_at + name_size + len(_padding(_HEADER_SIZE + name_size))
    end = data_at + size
    name = data[name_at : name_at + name_size]
    if end > len(data) or not name.endswith(b"\0"):
        raise UsageError(f"{where}: the member at byte {at} is cut short")
    member = Member(
        name=os.fsdecode(name[:-1]),
        mode=mode,
        data=data[data_at:end],
        device=(fields[9], fields[10]),
    )
    return member, end + len(_padding(size))
