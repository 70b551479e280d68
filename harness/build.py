"""Takes a tree and a .config, gives a kernel image in the store. Boots and judges nothing.

make runs in the sandbox, and what it has made is looked at before it is used. Its O= folder is
kept: a move between two commits rebuilds only what differs.
"""

import os
import re
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NoReturn

import msgspec

from harness import (
    builddir,
    buildlog,
    built,
    complaints,
    kernel_entry,
    log,
    makefault,
    outdir,
    proc,
    products,
    sandbox,
)
from harness.arch import Arch
from harness.errors import Outcome, SubjectError
from harness.job import Kconfig, Kernel, Tree
from harness.lane import Worktree
from harness.limits import DEFAULT, Limits
from harness.store import Entry, Store, write_atomically
from harness.toolchain import Toolchain, hidden

SCHEMA = "2"

# All that a kernel image records of where, when and by whom it was built
# (Documentation/kbuild/reproducible-builds.rst). LOCALVERSION, though empty, keeps
# scripts/setlocalversion from asking git and adding a "+".
PINNED = {
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
    "KBUILD_BUILD_USER": "harness",
    "KBUILD_BUILD_HOST": "harness",
    "KBUILD_BUILD_VERSION": "1",
    "LOCALVERSION": "",
    # The kernel's Makefile unexports LC_ALL; without these the compiler would quote in the user's
    # own characters, and the log could not be read.
    "LANG": "C",
    "LC_CTYPE": "C",
    "LC_MESSAGES": "C",
}

# How a program that meets the limit on a file's size says so.
_TOO_LARGE = re.compile(r"File size limit exceeded|File too large")


def build(
    tree: Tree,
    kconfig: Kconfig,
    *,
    arch: Arch,
    toolchain: Toolchain,
    checkout: Callable[[], AbstractContextManager[Worktree]],
    store: Store,
    target: str,
    limits: Limits = DEFAULT,
) -> tuple[Kernel, Entry]:
    """Return the kernel of `tree` with `kconfig`; `target` is one of the architecture's.

    `checkout` lends a worktree of the tree; it is called only if the kernel is not in the store.

    Raises:
        UsageError: the architecture has no such target.
        SubjectError: build-failed, with the compiler's first error or the limit it went over.
        HostError: make is missing, or the machine failed it.
    """
    image = arch.image_for(target)

    def make(folder: Path) -> None:
        with checkout() as worktree:
            out = worktree.out / kconfig.digest[:16]
            # Without a sandbox all would see each other's anyway.
            owner = "" if sandbox.kind() == sandbox.NONE else tree.owner
            with builddir.lend(out, owner) as real:
                command = _Make(
                    worktree=worktree, out=out, real_out=real, ccache=store.root / "ccache",
                    arch=arch, toolchain=toolchain, kconfig=kconfig, target=target, limits=limits,
                )  # fmt: skip
                _place_config(kconfig, real)
                _make(command, tree, image, folder)
            shutil.copyfile(kconfig.path, folder / "config")
        built.note(tree, kconfig, store)

    entry = store.get_or_make(
        "kernel",
        {
            "schema": SCHEMA,
            "tree": tree.tree_hash,
            ".config": kconfig.digest,
            "toolchain": toolchain.identity,
            "make": " ".join([target, *arch.make_variables, *toolchain.make_variables]),
        },
        make,
        why=lambda: built.why(tree, kconfig, store),
    )
    return kernel_entry.load(entry.path, arch, target), entry


class _Make(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the kernel's make. `real_out` is the folder that it knows as `out`."""

    worktree: Worktree
    out: Path
    real_out: Path
    ccache: Path
    arch: Arch
    toolchain: Toolchain
    target: str
    limits: Limits
    kconfig: Kconfig

    @property
    def source(self) -> Path:
        return self.worktree.path

    @property
    def log(self) -> Path:
        """Beside O=, so that the log of a failure outlives the scratch folder."""
        return self.real_out.with_suffix(".log")

    def argv(self, out: Path) -> list[str]:
        return [
            proc.which("make"),
            "-C", str(self.source),
            f"O={out}",
            f"-j{len(os.sched_getaffinity(0))}",
            # All that is said of a target stands together in the log.
            "--output-sync=target",
            *self.arch.make_variables,
            *self.toolchain.make_variables,
            *hidden(self.kconfig.path.read_text().splitlines()),
            f"CC={'ccache ' if self.toolchain.ccache else ''}{self.toolchain.compiler}",
            self.target,
        ]  # fmt: skip

    def run(self, tree: Tree) -> None:
        with log.progress(f"build {self.target}") as line:
            try:
                done = sandbox.run(
                    self.argv(self.out),
                    read=[self.source],
                    write=[self.out, *([self.ccache] if self._has_cache else [])],
                    behind={self.out: self.real_out},
                    limits=self.limits,
                    env=self._env(),
                    log_path=self.log,
                    on_tick=lambda: line.update(_last_line(self.log)),
                    keep_fds=[self.worktree.lock_fd],
                )
            except KeyboardInterrupt:
                if buildlog.is_interrupted(self._text()):
                    self._seal()
                raise
        if done.returncode != 0:
            text = self._text()
            if _TOO_LARGE.search(text):
                raise proc.Breach(f"wrote a file of more than {self.limits.disk_mib} MiB")
            makefault.check(f"build (log: {self.log})", done.returncode, text, self.real_out)
            self._seal()
            _raise_failed(self, tree, text)
        self._seal()

    @property
    def _has_cache(self) -> bool:
        return bool(self.toolchain.ccache) and self.real_out == self.out

    def _env(self) -> dict[str, str]:
        env = dict(PINNED)
        if self._has_cache:
            # Never the user's own: who can write there decides what others' builds are made of.
            self.ccache.mkdir(parents=True, exist_ok=True)
            env["CCACHE_DIR"] = str(self.ccache)
        else:
            # Still named in CC, since other words would make kbuild start over.
            env["CCACHE_DISABLE"] = "1"
        if sandbox.kind() == sandbox.NONE:
            # A sandbox has a /tmp that ends with it.
            env["TMPDIR"] = str(outdir.temporary(self.out))
        return env

    def _text(self) -> str:
        # There is none before the first build of a lane has begun.
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _seal(self) -> None:
        complaints.keep(self.real_out, buildlog.by_target(self._text(), self.source))
        outdir.seal(self.real_out, remember=self.worktree.remember)


def _make(command: _Make, tree: Tree, image: str, folder: Path) -> None:
    """Build, and put what is kept into a folder."""
    try:
        command.run(tree)
        shutil.copyfile(products.take(command.real_out, image), folder / command.target)
        kernel_entry.fill(folder, out=command.real_out, source=command.source, log_path=command.log)
    except proc.Breach as breach:
        builddir.discard(command.real_out)
        raise _failed(command, tree, f"it {breach.message}", hint=breach.hint) from None


def _raise_failed(command: _Make, tree: Tree, text: str) -> NoReturn:
    text = text.replace(f"{command.source}/", "")
    evidence = buildlog.first_error(text.splitlines())
    raise _failed(command, tree, buildlog.headline(evidence), evidence)


def _failed(
    command: _Make,
    tree: Tree,
    why: str,
    evidence: tuple[str, ...] = (),
    hint: str | None = None,
) -> SubjectError:
    at = tree.patches[-1] if tree.patches else None
    where = f"with patch {at.number} ({at.subject}) on {tree.base}" if at else tree.base
    return SubjectError(
        Outcome.BUILD_FAILED,
        f"the kernel does not build: {where}: {why}",
        evidence=evidence or _last_lines(command.log),
        log_path=str(command.log),
        hint=hint or f"repeat with: {proc.quote(command.argv(command.real_out))}",
    )


def _place_config(kconfig: Kconfig, out: Path) -> None:
    wanted = kconfig.path.read_bytes()
    placed = out / ".config"
    # An equal one keeps its mtime, so that kbuild does not run syncconfig again. A link is no
    # .config, and is not written through.
    if placed.is_symlink() or not placed.is_file() or placed.read_bytes() != wanted:
        proc.remove_tree(placed)
        write_atomically(placed, wanted)


def _last_line(path: Path) -> str:
    lines = _last_lines(path)
    return lines[-1].strip() if lines else ""


def _last_lines(path: Path) -> tuple[str, ...]:
    with path.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - 400))
        return tuple(stream.read().decode(errors="replace").splitlines())[-6:]
