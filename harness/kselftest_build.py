"""Takes a kernel selftest and its tree, gives its programs, linked statically, in the store.

They are built by the tree's own Makefiles, against the headers of that same tree. Runs nothing.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NoReturn

import msgspec

from harness import buildlog, gitrepo, log, makefault, proc, products, sandbox
from harness.arch import Arch
from harness.build import PINNED
from harness.errors import HostError, Outcome, SubjectError, UsageError
from harness.job import Tree
from harness.kselftest import PLAN, TOP, Programs, Selftest
from harness.limits import DEFAULT, Limits
from harness.scenario_file import nearest
from harness.store import Entry, Store, digest_of
from harness.toolchain import Toolchain

# Bump when the same inputs should give other bytes.
SCHEMA = "1"

# What of a tree its headers are made from, and what else of it a selftest.
_HEADERS = ("Makefile", "usr", "scripts", "include/uapi", "include/asm-generic")
_SOURCES = (TOP, *(f"tools/{name}" for name in ("arch", "build", "include", "lib", "scripts")))

# Asks a folder's Makefile what it has. lib.mk has put OUTPUT before what is generated.
_ASK = """\
.PHONY: harness-list
harness-list:
	@printf 'test %s\\n' $(patsubst $(OUTPUT)/%,%,$(TEST_GEN_PROGS) $(TEST_CUSTOM_PROGS))
	@printf 'helper %s\\n' $(patsubst $(OUTPUT)/%,%,$(TEST_GEN_PROGS_EXTENDED))
	@printf 'file %s\\n' $(patsubst $(OUTPUT)/%,%,$(TEST_GEN_FILES))
	@printf 'script %s\\n' $(TEST_PROGS)
"""
_NO_LIBRARY = re.compile(r"cannot find -l(\w+)")
# A header of a library, not one of the kernel's: this machine lacks it.
_NO_HEADER = re.compile(r"fatal error: ((?:sys/)?(?:capability|mount|acl|xattr)\.h|libmount\S*)")


class Maker(msgspec.Struct, frozen=True, kw_only=True):
    """What builds the selftests of one tree."""

    tree: Tree
    arch: Arch
    toolchain: Toolchain
    store: Store
    limits: Limits = DEFAULT


def build(maker: Maker, test: Selftest) -> tuple[Programs, Entry]:
    """Return the test's programs and their plan, from the store or made now.

    Raises:
        UsageError: its folder has no program, or none of that name.
        SubjectError: build-failed, with the compiler's first error.
        HostError: this machine lacks a library, or its headers, or fails.
    """

    def make(scratch: Path) -> None:
        include = headers(maker)
        with maker.store.scratch("kselftest") as top:
            source, work = _export(maker.tree, _SOURCES, top), top / "out"
            work.mkdir()
            _Make(maker=maker, test=test, source=source, headers=include, work=work).run(scratch)

    inputs = {
        "schema": SCHEMA,
        "test": test.name,
        "selftests": _digest(maker.tree, _SOURCES),
        **_header_inputs(maker),
    }
    entry = maker.store.get_or_make("kselftest", inputs, make)
    return Programs(name=test.name, path=entry.path), entry


def _header_paths(maker: Maker) -> tuple[str, ...]:
    return (*_HEADERS, f"arch/{maker.arch.srcarch}")


def _header_inputs(maker: Maker) -> dict[str, str]:
    return {
        "headers": _digest(maker.tree, _header_paths(maker)),
        "toolchain": maker.toolchain.identity,
        "make": " ".join(maker.arch.make_variables),
    }


def _digest(tree: Tree, paths: Sequence[str]) -> str:
    """Return a digest of what a tree has at `paths`; git leaves out what it has not."""
    return digest_of(gitrepo.check(tree.repo, ["ls-tree", tree.commit, *paths]).encode())


def _export(tree: Tree, paths: Sequence[str], top: Path) -> Path:
    """Write what a tree has at `paths` below a scratch folder, and return where.

    Nothing else of the tree can then decide what comes of it; and a kernel of the same base may
    be built meanwhile, which keeps the lane for itself.
    """
    source = top / "tree"
    source.mkdir()
    listed = gitrepo.check(tree.repo, ["ls-tree", "--name-only", tree.commit, *paths])
    gitrepo.check(
        tree.repo,
        ["checkout", tree.commit, "--", *listed.splitlines()],
        index=top / "index",
        work_tree=source,
    )
    return source


def headers(maker: Maker) -> Path:
    """Return the tree's own headers for userspace, as `make headers` lays them out.

    Raises:
        SubjectError: build-failed, with make's first error.
        HostError: make is missing, or the machine failed it.
    """

    def make(scratch: Path) -> None:
        with maker.store.scratch("headers") as top, log.progress("kernel headers"):
            source, out = _export(maker.tree, _header_paths(maker), top), top / "out"
            argv = [
                proc.which("make"), "-C", str(source), f"O={out}",
                *maker.arch.make_variables, "headers",
            ]  # fmt: skip
            out.mkdir()
            what = "the tree's headers cannot be made"
            done = _make(what, argv, write=[top], limits=maker.limits)
            if done.returncode != 0:
                _raise_failed(what, done, argv, out)
            # They say where they were made.
            for note in out.rglob(".*.cmd"):
                note.unlink()
            (out / "usr/include").rename(scratch / "include")

    inputs = {"schema": SCHEMA, **_header_inputs(maker)}
    return maker.store.get_or_make("headers", inputs, make).path / "include"


class _Make(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of a selftest folder's make. `work` is what its makefiles know as OUTPUT."""

    maker: Maker
    test: Selftest
    source: Path
    headers: Path
    work: Path

    def run(self, into: Path) -> None:
        """Build, and put what is to run and what that needs into a folder."""
        kinds = self._ask()
        wanted = self._wanted(kinds)
        # A test may run its helpers, so they are built whichever is asked for.
        others = [*kinds["helper"], *kinds["file"]]
        names = list(dict.fromkeys([*wanted, *others]))
        with log.progress(f"build {self.test.name}"):
            self._call([f"{self.work}/{name}" for name in names])
        for name in names:
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            products.take(self.work, name).rename(target)
        lines = [self.test.folder, *wanted]
        (into / PLAN).write_text("".join(f"{line}\n" for line in lines))

    def _ask(self) -> dict[str, list[str]]:
        """Return what the folder's Makefile has, by kind."""
        ask = self.work / "harness.mk"
        ask.write_text(_ASK)
        kinds: dict[str, list[str]] = {"test": [], "helper": [], "file": [], "script": []}
        text = self._call(["-f", "Makefile", "-f", str(ask), "harness-list"])
        for line in text.splitlines():
            kind, _, name = line.partition(" ")
            if name and kind in kinds:
                # Where it is built, and where it goes: not out of either folder.
                if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                    raise SubjectError(
                        Outcome.BUILD_FAILED,
                        f"{self._what}: its Makefile names {name}, which is not in its folder",
                    )
                kinds[kind].append(name)
        return kinds

    def _wanted(self, kinds: dict[str, list[str]]) -> list[str]:
        # move_mount_set_group names its only test as a mere file.
        tests = kinds["test"] or kinds["file"]
        known = [*kinds["test"], *kinds["helper"], *kinds["file"]]
        test, scripts = self.test, kinds["script"]
        if not tests:
            only = f", only scripts: {', '.join(scripts)}" if scripts else ""
            raise UsageError(
                f"{TOP}/{test.folder} has no program to build{only}",
                hint="a selftest that can be run here is in its Makefile's TEST_GEN_PROGS",
            )
        if test.program is None:
            if scripts:
                log.note(f"{test.name}: scripts are not run: {', '.join(scripts)}")
            return tests
        if test.program not in known:
            near = nearest(test.program, known) or test.near
            raise UsageError(
                f"{TOP}/{test.folder} has no program {test.program!r}{near}",
                hint=f"its programs: {', '.join(tests)}",
            )
        return [test.program]

    def _call(self, goals: Sequence[str]) -> str:
        include = f"-isystem {self.headers}"
        # Nothing of this machine in the programs; a newer compiler's warnings stop nothing.
        flags = f"{include} -ffile-prefix-map={self.source}=. -Wno-error"
        argv = [
            proc.which("make"),
            "--no-print-directory",
            "-C", str(self.source / TOP / self.test.folder),
            f"-j{len(os.sched_getaffinity(0))}",
            *self.maker.arch.make_variables,
            f"OUTPUT={self.work}",
            f"KHDR_INCLUDES={include}",
            f"USERCFLAGS={flags}",
            "USERLDFLAGS=-static -s",
            *goals,
        ]  # fmt: skip
        write, read = [self.source.parent], [self.headers]
        done = _make(self._what, argv, write=write, read=read, limits=self.maker.limits)
        if done.returncode != 0:
            _raise_failed(self._what, done, argv, self.work)
        return done.text

    @property
    def _what(self) -> str:
        return f"the selftest {self.test.name} does not build statically on {self.maker.tree.base}"


def _make(
    what: str,
    argv: Sequence[str],
    *,
    write: Sequence[Path],
    limits: Limits,
    read: Sequence[Path] = (),
) -> proc.Completed:
    try:
        return sandbox.run(argv, read=read, write=write, limits=limits, env=PINNED)
    except proc.Breach as breach:
        raise _over(what, breach) from None


def _over(what: str, breach: proc.Breach) -> SubjectError:
    return SubjectError(Outcome.BUILD_FAILED, f"{what}: it {breach.message}", hint=breach.hint)


def _raise_failed(what: str, done: proc.Completed, argv: Sequence[str], folder: Path) -> NoReturn:
    text = done.error_text or done.text
    library, header = _NO_LIBRARY.search(text), _NO_HEADER.search(text)
    if library:
        hint = f"install it (Debian: lib{library[1]}-dev)"
        raise HostError(f"{what}: there is no static lib{library[1]} here", hint=hint)
    if header:
        hint = "install its package (Debian: libcap-dev has sys/capability.h)"
        raise HostError(f"{what}: {header[1]} is not here", hint=hint)
    makefault.check(what, done.returncode, text, folder)
    evidence = buildlog.first_error(text.splitlines())
    raise SubjectError(
        Outcome.BUILD_FAILED,
        f"{what}: {buildlog.headline(evidence)}",
        evidence=evidence,
        hint=f"repeat with: {proc.quote(argv)}",
    )
