"""Takes a tree and a .config, gives a kernel image in the store. Boots and judges nothing.

One O= directory per lane and .config, kept between builds: a move between two commits rebuilds
only what differs.
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from harness import buildlog, gitrepo, log, proc
from harness.arch import Arch
from harness.errors import HostError, Outcome, SubjectError
from harness.job import CompilerWarning, Kconfig, Kernel, Tree
from harness.store import Entry, Store, write_atomically
from harness.toolchain import Toolchain

SCHEMA = "1"

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


def build(
    tree: Tree,
    kconfig: Kconfig,
    *,
    arch: Arch,
    toolchain: Toolchain,
    checkout: Callable[[], AbstractContextManager[Path]],
    store: Store,
    target: str,
) -> tuple[Kernel, Entry]:
    """Return the kernel of `tree` with `kconfig`; `target` is one of the architecture's.

    `checkout` lends a worktree of the tree; it is called only if the kernel is not in the store.

    Raises:
        UsageError: the architecture has no such target.
        SubjectError: build-failed, with the compiler's first error.
        HostError: make is missing, or the machine failed it.
    """
    image = arch.image_for(target)

    def make(folder: Path) -> None:
        with checkout() as source:
            out = source.parent / "out" / kconfig.digest[:16]
            _place_config(kconfig, out)
            # Beside O=, so that the log of a failure outlives the scratch folder.
            log_path = out.with_suffix(".log")
            command = _Make(
                source=source, out=out, arch=arch, toolchain=toolchain, target=target, log=log_path
            )
            command.run(tree)
            shutil.copyfile(out / image, folder / target)
            _collect(command, kconfig, folder)
        _note_built(tree, kconfig, store)

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
        why=lambda: _why(tree, kconfig, store),
    )
    return load(entry.path, arch, target), entry


def load(folder: Path, arch: Arch, target: str) -> Kernel:
    """Return the kernel that a store entry holds."""
    facts = json.loads((folder / "kernel.json").read_bytes())
    manifest = json.loads((folder / "manifest.json").read_bytes())
    return Kernel(
        arch=arch.name,
        release=facts["release"],
        banner=facts["banner"],
        image=folder / target,
        digest=manifest["files"][target],
        built=True,
        config=folder / "config",
        log=folder / "build.log",
        warnings=tuple(
            CompilerWarning(file=w[0], flag=w[1], message=w[2], function=w[3])
            for w in facts["warnings"]
        ),
    )


class _Make(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the kernel's make."""

    source: Path
    out: Path
    arch: Arch
    toolchain: Toolchain
    target: str
    log: Path

    @property
    def argv(self) -> list[str]:
        return [
            proc.which("make"),
            "-C", str(self.source),
            f"O={self.out}",
            f"-j{len(os.sched_getaffinity(0))}",
            *self.arch.make_variables,
            *self.toolchain.make_variables,
            f"CC={'ccache ' if self.toolchain.ccache else ''}{self.toolchain.compiler}",
            self.target,
        ]  # fmt: skip

    def run(self, tree: Tree) -> None:
        with log.progress(f"build {self.target}") as line:
            done = proc.run(
                self.argv,
                env=PINNED,
                log_path=self.log,
                on_tick=lambda: line.update(_last_line(self.log)),
            )
        if done.returncode != 0:
            _raise_failed(self, tree)


def _collect(command: _Make, kconfig: Kconfig, folder: Path) -> None:
    """Copy what is kept beside the image: copies, since make rewrites its own files in place."""
    shutil.copyfile(kconfig.path, folder / "config")
    shutil.copyfile(command.out / "System.map", folder / "System.map")
    shutil.copyfile(command.log, folder / "build.log")
    text = command.log.read_text(errors="replace")
    facts = {
        "release": (command.out / "include/config/kernel.release").read_text().strip(),
        "banner": _banner(command.out / "vmlinux"),
        "warnings": [
            [w.file, w.flag, w.message, w.function] for w in buildlog.warnings(text, command.source)
        ],
    }
    (folder / "kernel.json").write_text(json.dumps(facts))


def _raise_failed(command: _Make, tree: Tree) -> None:
    text = command.log.read_text(errors="replace").replace(f"{command.source}/", "")
    fault = buildlog.host_fault(text)
    if fault:
        raise HostError(f"build: {fault[0]} (log: {command.log})", hint=fault[1])
    at = tree.patches[-1] if tree.patches else None
    where = f"with patch {at.number} ({at.subject}) on {tree.base}" if at else tree.base
    evidence = buildlog.first_error(text.splitlines())
    raise SubjectError(
        Outcome.BUILD_FAILED,
        f"the kernel does not build: {where}: {buildlog.headline(evidence)}",
        evidence=evidence,
        log_path=str(command.log),
        hint=f"repeat with: {proc.quote(command.argv)}",
    )


def _place_config(kconfig: Kconfig, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    wanted = kconfig.path.read_bytes()
    placed = out / ".config"
    # An equal one keeps its mtime, so that kbuild does not run syncconfig again.
    if not placed.exists() or placed.read_bytes() != wanted:
        placed.write_bytes(wanted)


def _last_line(path: Path) -> str:
    with path.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - 400))
        lines = stream.read().decode(errors="replace").splitlines()
    return lines[-1].strip() if lines else ""


def _banner(vmlinux: Path) -> str:
    """Return the image's `Linux version …` line, which the kernel prints first."""
    data = vmlinux.read_bytes()
    match = re.search(rb"Linux version [^\n\0]{1,400}\n", data)
    if not match:
        raise HostError(f"{vmlinux} has no version banner")
    return match.group().decode(errors="replace").rstrip("\n")


# --- what made a build new ------------------------------------------------------------------


def _note_built(tree: Tree, kconfig: Kconfig, store: Store) -> None:
    note = json.dumps({"commit": tree.commit, "config": kconfig.digest})
    write_atomically(store.root / "lanes" / tree.lane / "built.json", note.encode())


def _why(tree: Tree, kconfig: Kconfig, store: Store) -> str:
    try:
        last = json.loads((store.root / "lanes" / tree.lane / "built.json").read_bytes())
    except (OSError, ValueError):
        return "first build of this base"
    if last["commit"] == tree.commit:
        return ".config differs" if last["config"] != kconfig.digest else "not in the cache"
    diff = gitrepo.run(tree.repo, ["diff-tree", "-r", "--name-only", last["commit"], tree.commit])
    names = diff.text.splitlines()
    if not names:
        return "the tree differs"
    return f"{names[0]} differs" + (f", and {len(names) - 1} more" if len(names) > 1 else "")
