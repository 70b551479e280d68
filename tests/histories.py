"""Histories of real kernels to bisect: commits on top of 6.18.5, made by `git fast-import`.

Each knows which of its commits is the one. Most commits are documentation or drivers that the
profile tiny does not compile, as in a real range; some are edits of compiled files that change
nothing but a comment, and so the same kernel.
"""

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness import base
from harness.base import Base
from harness.store import Store

VERSION = "6.18.5"
NAMESPACE, STATFS, MAIN = "fs/namespace.c", "fs/statfs.c", "init/main.c"
KCONFIG, MEMINFO = "fs/Kconfig", "fs/proc/meminfo.c"
DRIVER = "drivers/net/ethernet/realtek/8139too.c"

Edit = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A commit: its subject, and how it changes which file."""

    subject: str
    file: str
    edit: Edit


@dataclass(frozen=True, kw_only=True)
class History:
    """A history by name: `culprit` is the index of the commit that is to be found.

    `job` is for any verb that boots, `question` for `harness bisect`; `signature` is what that is
    to look for.
    """

    name: str
    changes: Sequence[Change]
    culprit: int
    signature: str
    job: tuple[str, ...] = ("--scenario", "nullfs")
    question: tuple[str, ...] = ()
    is_slow: bool = True
    merge_at: int | None = None
    """The commits from here on are on a branch that the last one merges."""
    fixed: bool = field(default=False)


def replace(old: str, new: str) -> Edit:
    def edit(text: str) -> str:
        if text.count(old) < 1:
            raise ValueError(f"nothing to edit: {old!r}")
        return text.replace(old, new, 1)

    return edit


def append(line: str) -> Edit:
    return lambda text: f"{text}{line}\n"


def documentation(number: int) -> Change:
    return Change(
        subject=f"docs: sentence {number}", file="Documentation/admin-guide/README.rst",
        edit=append(f"Sentence {number}."),
    )  # fmt: skip


def driver(number: int) -> Change:
    return Change(
        subject=f"8139too: step {number}",
        file=DRIVER,
        edit=append(f"static const int step_{number};"),
    )


def comment(number: int) -> Change:
    return Change(
        subject=f"statfs: remark {number}", file=STATFS, edit=append(f"/* Remark {number}. */")
    )


def filler(count: int, start: int = 0) -> list[Change]:
    """Return commits of which two in three cannot matter, and the third changes nothing."""
    kinds = (documentation, driver, documentation, comment)
    return [kinds[number % 4](number) for number in range(start, start + count)]


# pivot_root() of rootfs itself: the control expects EINVAL.
_ABSOLUTE = "\tif (!mnt_has_parent(root_mnt))\n\t\treturn -EINVAL; /* absolute root */"
WRONG_ERRNO = replace(_ABSOLUTE, _ABSOLUTE.replace("EINVAL", "ELOOP"))
RIGHT_ERRNO = replace(_ABSOLUTE.replace("EINVAL", "ELOOP"), _ABSOLUTE)
SOMETIMES = replace(
    _ABSOLUTE,
    _ABSOLUTE.replace("return -EINVAL", "return (get_cycles() >> 12) & 1 ? -EINVAL : -ELOOP"),
)
BREAK = append("int unbuildable = undeclared;")
MEND = replace("int unbuildable = undeclared;\n", "")
_INIT = "static int __ref kernel_init(void *unused)\n{\n\tint ret;\n"
CRASH = replace(_INIT, f'{_INIT}\n\tpanic("another bug");\n')
UNCRASH = replace('\n\tpanic("another bug");\n', "")
# The first function of the system call that every boot makes.
_STATFS = "int user_statfs(const char __user *pathname, struct kstatfs *st)\n{\n"
WARNS = replace(_STATFS, f'{_STATFS}\tWARN_ONCE(1, "statfs was called");\n')
SYMBOL = append('\nconfig HARNESS_ERRNO\n\tbool "Another errno"')
_ERRNO = "return IS_ENABLED(CONFIG_HARNESS_ERRNO) ? -ELOOP : -EINVAL"
ERRNO_OF_SYMBOL = replace(_ABSOLUTE, _ABSOLUTE.replace("return -EINVAL", _ERRNO))
_SHMEM = '"Shmem:          ", i.sharedram'
MORE_MEMORY = replace(_SHMEM, f"{_SHMEM} + 1024")
_ORDERS = "".join(
    f"\tmutex_{what}(&{which});\n"
    for first, second in (("one", "other"), ("other", "one"))
    for what, which in (("lock", first), ("lock", second), ("unlock", second), ("unlock", first))
)
DEADLOCKS = replace(
    _STATFS, f"static DEFINE_MUTEX(one);\nstatic DEFINE_MUTEX(other);\n\n{_STATFS}{_ORDERS}"
)


def culprit(subject: str, file: str, edit: Edit) -> Change:
    return Change(subject=subject, file=file, edit=edit)


HISTORIES: tuple[History, ...] = (
    # Another crash where one looks first, and a stretch that does not build on the way.
    History(
        name="pivot",
        changes=[
            *filler(24),
            culprit("main: another bug", MAIN, CRASH),
            *filler(12, 24),
            culprit("main: without it", MAIN, UNCRASH),
            *filler(4, 36),
            culprit("statfs: half done", STATFS, BREAK),
            *filler(3, 40),
            culprit("statfs: done", STATFS, MEND),
            *filler(3, 43),
            culprit("namespace: another errno", NAMESPACE, WRONG_ERRNO),
            *filler(13, 46),
        ],
        culprit=50,
        signature="pivot.pivot_root is ELOOP",
        is_slow=False,
    ),
    History(
        name="build",
        changes=[*filler(40), culprit("statfs: half done", STATFS, BREAK), *filler(23, 40)],
        culprit=40,
        signature="build-failed: fs/statfs.c",
        is_slow=False,
    ),
    History(
        name="half",
        changes=[
            *filler(20),
            culprit("namespace: an errno by chance", NAMESPACE, SOMETIMES),
            *filler(43, 20),
        ],
        culprit=20,
        signature="pivot.pivot_root is ELOOP",
        question=("--flaky", "8"),
        is_slow=False,
    ),
    History(
        name="fixed",
        changes=[
            culprit("namespace: another errno", NAMESPACE, WRONG_ERRNO),
            *filler(30, 1),
            culprit("namespace: the errno of old", NAMESPACE, RIGHT_ERRNO),
            *filler(32, 31),
        ],
        culprit=31,
        signature="pivot.pivot_root is ELOOP",
        question=("--find", "fixed"),
        fixed=True,
    ),
    History(
        name="merge",
        changes=[
            *filler(30),
            *filler(16, 30),
            culprit("namespace: another errno", NAMESPACE, WRONG_ERRNO),
            *filler(16, 46),
        ],
        culprit=46,
        signature="pivot.pivot_root is ELOOP",
        merge_at=30,
    ),
    History(
        name="warning",
        changes=[*filler(50), culprit("statfs: a warning", STATFS, WARNS), *filler(13, 50)],
        culprit=50,
        signature="WARNING in user_statfs",
    ),
    # The symbol that the job asks for is there from half way on.
    History(
        name="symbol",
        changes=[
            *filler(31),
            culprit("fs: another symbol", KCONFIG, SYMBOL),
            *filler(15, 31),
            culprit("namespace: an errno of the symbol", NAMESPACE, ERRNO_OF_SYMBOL),
            *filler(16, 46),
        ],
        culprit=47,
        signature="pivot.pivot_root is ELOOP",
        job=("--scenario", "nullfs", "--kconfig", "CONFIG_HARNESS_ERRNO=y # soft"),
    ),
    History(
        name="memory",
        changes=[*filler(10), culprit("meminfo: more", MEMINFO, MORE_MEMORY), *filler(53, 10)],
        culprit=10,
        signature="memory.shmem_after_kib above 70000",
        job=("--scenario", "nullfs", "--flow", "memory"),
        question=("--measure", "memory.shmem_after_kib", "--above", "70000"),
    ),
    History(
        name="lockdep",
        changes=[*filler(25), culprit("statfs: two locks", STATFS, DEADLOCKS), *filler(38, 25)],
        culprit=25,
        signature="lockdep: possible circular locking dependency detected",
        job=("--scenario", "nullfs", "--flavor", "lockdep"),
    ),
)  # fmt: skip


class Clone:
    """A bare clone with every history as a branch; its objects are the tool's own repository's.

    It is always in one place, in the cache: another clone has another worktree, of 1.7 GB.
    """

    def __init__(self, store: Store) -> None:
        found: Base = base.find(VERSION, store)
        self.path = store.root / "tests/histories.git"
        self.base = found.commit
        self._git("init", "-q", "--bare", str(self.path), inside=False)
        alternates = self.path / "objects/info/alternates"
        alternates.parent.mkdir(parents=True, exist_ok=True)
        alternates.write_text(f"{found.repo.path}/objects\n")

    def _git(self, *arguments: str, stdin: bytes | None = None, inside: bool = True) -> bytes:
        where = [f"--git-dir={self.path}"] if inside else []
        done = subprocess.run(
            ["git", *where, *arguments], input=stdin, capture_output=True, check=True
        )
        return done.stdout

    def add(self, history: History) -> list[str]:
        """Make a history the branch of its name, and return its commits in order."""
        texts: dict[str, str] = {}
        stream = [b"feature done\n"]
        marks = len(history.changes)
        for number, change in enumerate(history.changes, 1):
            if change.file not in texts:
                shown = self._git("cat-file", "blob", f"{self.base}:{change.file}")
                texts[change.file] = shown.decode()
            texts[change.file] = change.edit(texts[change.file])
            parent = f":{number - 1}" if number > 1 else self.base
            stream.append(_commit(history.name, number, change.subject, parent))
            data = texts[change.file].encode()
            stream.append(
                b"M 100644 inline %s\ndata %d\n%s\n" % (change.file.encode(), len(data), data)
            )
        if history.merge_at is not None:
            marks += 1
            parent = f":{history.merge_at}"
            stream.append(_commit(history.name, marks, "merge the branch", parent, f":{marks - 1}"))
            for name, text in texts.items():
                data = text.encode()
                stream.append(
                    b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(data), data)
                )
        stream.append(b"done\n")
        exported = self.path / f"marks-{os.getpid()}"
        self._git(
            "fast-import", "--quiet", "--force", f"--export-marks={exported}",
            stdin=b"".join(stream),
        )  # fmt: skip
        found = dict(line.split() for line in exported.read_text().splitlines())
        exported.unlink()
        return [found[f":{number}"] for number in range(1, marks + 1)]


def _commit(branch: str, mark: int, subject: str, parent: str, merged: str = "") -> bytes:
    more = f"merge {merged}\n" if merged else ""
    return (
        f"commit refs/heads/{branch}\nmark :{mark}\n"
        f"committer A Hacker <a@harness.invalid> {1767225600 + mark} +0000\n"
        f"data {len(subject)}\n{subject}\nfrom {parent}\n{more}"
    ).encode()
