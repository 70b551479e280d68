"""Takes names of kernel selftests and a tree, gives the boots that run them and their archives.

Compiles nothing (`kselftest_build` does) and runs nothing: that is for the scenario `kselftest`,
and what a test says is judged as any other KTAP.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from harness import cpio, gitrepo, initramfs
from harness.arch import Arch
from harness.errors import UsageError
from harness.job import BootPlan, Initramfs, Tree
from harness.scenario_file import nearest
from harness.store import Store, digest_of_file

SCENARIO = "kselftest"
TOP = "tools/testing/selftests"

# Seconds for all programs of a folder. The longest of them take a minute under TCG.
_TIMEOUT_S = 600.0
# Where kselftest.c looks.
_FOLDER = "kselftest"
PLAN = "plan"

# -F: into a file. -i: few inodes, since busybox writes them all, and the file is on a tiny tmpfs.
# What it makes is an ext2, which ext4 mounts.
_MKFS = b'#!/bin/sh\nexec /bin/busybox mke2fs -F -i 67108864 "$@"\n'


class Selftest(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of selftests, or one program of it; `name` is what the user calls it.

    `kconfig` is what its `config` asks of the kernel, all of it softly.
    """

    name: str
    folder: str
    program: str | None
    kconfig: tuple[str, ...]
    near: str = ""
    """What to say of a folder with a like name, if there turns out to be no such program."""


class Programs(msgspec.Struct, frozen=True, kw_only=True):
    """The programs of a selftest and the plan of which to run: a folder of the store."""

    name: str
    path: Path


def find(names: Sequence[str], tree: Tree) -> tuple[Selftest, ...]:
    """Return the selftests by name: `FOLDER` or `FOLDER/PROGRAM`, below tools/testing/selftests.

    Raises:
        UsageError: the tree has no such folder; the message has the nearest.
    """
    argv = ["ls-tree", "-r", "--name-only", tree.commit, f"{TOP}/"]
    listed = gitrepo.check(tree.repo, argv).splitlines()
    paths = [name.removeprefix(f"{TOP}/") for name in listed]
    folders = {path.removesuffix("/Makefile") for path in paths if path.endswith("/Makefile")}
    if not folders:
        raise UsageError(f"{tree.base} has no {TOP}", hint="take a --base that has")
    found = []
    for name in dict.fromkeys(name.strip("/") for name in names):
        folder, _, program = (name, "", "") if name in folders else name.rpartition("/")
        near = nearest(name, folders)
        if folder not in folders:
            raise UsageError(
                f"{tree.base} has no selftest {name!r}{near}",
                hint=f"a folder with a Makefile below {TOP}, or FOLDER/PROGRAM",
            )
        kconfig = _kconfig(tree, folder) if f"{folder}/config" in paths else ()
        found.append(
            Selftest(name=name, folder=folder, program=program or None, kconfig=kconfig, near=near)
        )
    return tuple(found)


def _kconfig(tree: Tree, folder: str) -> tuple[str, ...]:
    text = gitrepo.check(tree.repo, ["cat-file", "blob", f"{tree.commit}:{TOP}/{folder}/config"])
    # There are no modules in the guest.
    lines = (re.sub(r"=m$", "=y", line.strip()) for line in text.splitlines())
    return tuple(f"{line} # soft" for line in lines if re.fullmatch(r"CONFIG_\w+=\S+", line))


def plans(tests: Sequence[Selftest], flows: Sequence[str]) -> tuple[BootPlan, ...]:
    """Return a boot for each in each flow: it may leave the guest anywhere, or not come back."""
    return tuple(
        BootPlan(
            flows=(flow,),
            kselftest=test.name,
            kconfig=test.kconfig,
            timeout_s=_TIMEOUT_S,
            observe=("ktap",),
        )
        for flow in flows
        for test in tests
    )


def pack(plain: Initramfs, programs: Programs, *, arch: Arch, store: Store) -> Initramfs:
    """Return the scenario's initramfs with a test's programs, and what they call of a system.

    That is a shell, `mount` and `mkfs.ext4`, all of them busybox. Where this machine has none
    for `arch` the tests that call them fail.

    Raises:
        HostError: there is no static busybox on a machine of that architecture.
    """
    busybox = initramfs.static_busybox(arch) if arch.is_native else None
    inputs = {
        # The name of an entry of the store is the digest of what it was made from.
        "programs": programs.path.name,
        "busybox": digest_of_file(busybox) if busybox else "",
        "mkfs": _MKFS.decode(),
    }
    return initramfs.with_members(
        plain, lambda: [*_tools(busybox), *_members(programs.path)], inputs, store=store
    )


def _tools(busybox: Path | None) -> list[cpio.Member]:
    if busybox is None:
        return []
    return [
        cpio.file("bin/busybox", busybox, 0o755),
        cpio.symlink("bin/sh", "busybox"),
        cpio.symlink("bin/mount", "busybox"),
        cpio.folder("sbin"),
        cpio.file("sbin/mkfs.ext4", _MKFS, 0o755),
    ]


def _members(programs: Path) -> Iterator[cpio.Member]:
    yield from (cpio.folder("mnt"), cpio.folder(_FOLDER))
    own = (path for path in sorted(programs.rglob("*")) if path != programs / "manifest.json")
    for path in own:
        name = f"{_FOLDER}/{path.relative_to(programs)}"
        yield cpio.folder(name) if path.is_dir() else cpio.file(name, path, 0o755)
