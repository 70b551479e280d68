"""Takes an initramfs, gives a disk image with the same files for the kernel to mount as its root.

The guest is the same; only who mounts its root differs. Nothing here needs root.
"""

import os
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from harness import cpio, proc
from harness.errors import UsageError
from harness.job import Initramfs
from harness.store import Store

# Bump when the same inputs should give other bytes.
SCHEMA = 1

_NAME = "disk.img"
_EXT4_SIZE = "16M"
# Any will do, if only it is always the same.
_UUID = "6e756c6c-6673-4e55-8c4c-4e554c4c4653"
_EPOCH = "1"


class _Form(msgspec.Struct, frozen=True):
    """Where a file system says what it is, and how many bytes it has."""

    magic: bytes
    magic_at: int
    size_of: Callable[[bytes], int]


# Documentation/filesystems/ext4/super.rst: s_magic at 0x38, s_blocks_count_lo at 0x4 and
# s_log_block_size at 0x18 of a superblock that starts at 1024; fs/squashfs/squashfs_fs.h:
# bytes_used is the 64 bits at 40.
_SUPERBLOCK = 1024
_FORMS = {
    "ext4": _Form(
        b"\x53\xef",
        _SUPERBLOCK + 0x38,
        lambda head: (
            struct.unpack_from("<I", head, _SUPERBLOCK + 0x4)[0]
            << 10 + struct.unpack_from("<I", head, _SUPERBLOCK + 0x18)[0]
        ),
    ),
    "squashfs": _Form(b"hsqs", 0, lambda head: struct.unpack_from("<Q", head, 40)[0]),
}


def check(image: Path, file_system: str) -> Path:
    """Return `image`, an image of the user's own, if it is one and whole.

    Raises:
        UsageError: it is no `file_system`, or has been cut short.
    """
    form = _FORMS[file_system]
    with image.open("rb") as stream:
        head = stream.read(_SUPERBLOCK * 2).ljust(_SUPERBLOCK * 2, b"\0")
        size = stream.seek(0, os.SEEK_END)
    if head[form.magic_at : form.magic_at + len(form.magic)] != form.magic:
        raise UsageError(f"{image}: no {file_system} image", hint="`disk` names its file system")
    expected = form.size_of(head)
    if size < expected:
        raise UsageError(
            f"{image}: cut short: the {file_system} in it has {expected} bytes, the file {size}",
            hint="copy or make it again",
        )
    return image


def build(source: Initramfs, file_system: str, *, store: Store) -> Path:
    """Return an image of `file_system`, `ext4` or `squashfs`, that holds the files of `source`.

    Raises:
        HostError: the program that makes it is not here, or fails.
    """
    inputs = {"schema": str(SCHEMA), "files": source.digest, "file system": file_system}

    def make(scratch: Path) -> None:
        with store.scratch("disk") as folder:
            members = list(cpio.read(source.path.read_bytes(), where=source.path))
            root = folder / "root"
            root.mkdir()
            nodes = [member for member in members if not _put(root, member)]
            _MAKERS[file_system](root, nodes, scratch / _NAME)

    return store.get_or_make("disk", inputs, make).path / _NAME


def _put(root: Path, member: cpio.Member) -> bool:
    """Write a member below `root`; a device node needs another way, and gives False."""
    path = root / member.name
    if stat.S_ISDIR(member.mode):
        path.mkdir()
    elif stat.S_ISLNK(member.mode) and isinstance(member.data, bytes):
        path.symlink_to(os.fsdecode(member.data))
    elif stat.S_ISREG(member.mode) and isinstance(member.data, bytes):
        path.write_bytes(member.data)
    else:
        return False
    if not path.is_symlink():
        path.chmod(stat.S_IMODE(member.mode))
    return True


def _make_ext4(root: Path, nodes: list[cpio.Member], image: Path) -> None:
    program = _find("mke2fs", "e2fsprogs")
    options = f"hash_seed={_UUID},root_owner=0:0"
    proc.check(
        [
            program, "-q", "-t", "ext4", "-d", str(root), "-U", _UUID, "-E", options,
            "-O", "^has_journal", str(image), _EXT4_SIZE,
        ],
        env={"E2FSPROGS_FAKE_TIME": _EPOCH},
    )  # fmt: skip
    script = image.with_name("commands")
    script.write_text("".join(f"{line}\n" for line in _finish(root, nodes)))
    proc.check(
        [_find("debugfs", "e2fsprogs"), "-w", "-f", str(script), str(image)],
        env={"E2FSPROGS_FAKE_TIME": _EPOCH},
    )
    script.unlink()


def _finish(root: Path, nodes: list[cpio.Member]) -> Iterator[str]:
    """Yield what debugfs has to do: make device nodes, and forget when the files were made."""
    for node in nodes:
        folder, _, name = node.name.rpartition("/")
        kind = "b" if stat.S_ISBLK(node.mode) else "c"
        yield f"cd /{folder}"
        yield f"mknod {name} {kind} {node.device[0]} {node.device[1]}"
        yield f"set_inode_field {name} mode 0{node.mode:o}"
    for path in (root, *sorted(root.rglob("*"))):
        for field in ("atime", "mtime", "ctime", "crtime"):
            yield f"set_inode_field /{path.relative_to(root)} {field} @{_EPOCH}"


def _make_squashfs(root: Path, nodes: list[cpio.Member], image: Path) -> None:
    program = _find("mksquashfs", "squashfs-tools")
    pseudo = [f"{node.name} {'b' if stat.S_ISBLK(node.mode) else 'c'} "
              f"{stat.S_IMODE(node.mode):o} 0 0 {node.device[0]} {node.device[1]}"
              for node in nodes]  # fmt: skip
    proc.check(
        [
            program, str(root), str(image), "-all-root", "-noappend", "-no-progress", "-quiet",
            "-comp", "gzip", "-mkfs-time", _EPOCH, "-all-time", _EPOCH,
            *(word for line in pseudo for word in ("-p", line)),
        ]
    )  # fmt: skip


def _find(program: str, package: str) -> str:
    return proc.which(program, hint=f"it makes disk images for the guest (Debian: {package})")


_MAKERS = {"ext4": _make_ext4, "squashfs": _make_squashfs}
