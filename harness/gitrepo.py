"""Takes a folder in the cache, gives a bare git repository there and a way to run git in it.

The user's git configuration and environment have no say: the same input gives the same commit.
git reads what strangers have written, so it runs in the sandbox, and writes nothing but the
repository and the worktree that it is given.
"""

import os
import secrets
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from harness import log, notes, proc, sandbox
from harness.errors import HostError
from harness.limits import Limits
from harness.store import Store

# A commit is the same on every machine only if nothing of the machine is in it.
IDENTITY = "harness <harness@localhost>"
_ENV = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_COMMITTER_NAME": "harness",
    "GIT_COMMITTER_EMAIL": "harness@localhost",
    "GIT_COMMITTER_DATE": "@0 +0000",
    "GIT_ATTR_NOSYSTEM": "1",
    # A list of protocols with none that exists in it.
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_TERMINAL_PROMPT": "0",
}
_CONFIG = {
    # No object may go while a cache entry names it; `harness gc` decides that.
    "gc.auto": "0",
    "maintenance.auto": "false",
    # Packing costs more time than the disk it saves.
    "core.compression": "0",
    "core.autocrlf": "false",
    "core.fsync": "none",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.hooksPath": "/dev/null",
    "core.attributesFile": "/dev/null",
    "core.fsmonitor": "false",
    "protocol.allow": "never",
    "index.version": "4",
    "advice.detachedHead": "false",
}
# What is checked out is what was committed, byte for byte, whatever .gitattributes says.
# Nor does it choose how a patch is merged.
_ATTRIBUTES = "* -text -ident -filter -working-tree-encoding -export-subst !merge !diff\n"
# A diff that takes git longer is made to. What it prints may be all names of a tree.
_LIMITS = Limits(time_s=600.0)


_HEAD = "ref: refs/heads/main\n"
# What git dies of by itself, as when an object is sound and of another kind than it should be.
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)


class GitError(HostError):
    """git failed in the repository `repo`, a folder of the tool's own: it may be damaged."""

    def __init__(self, message: str, repo: Path) -> None:
        super().__init__(message, hint=f"if it is damaged, delete {repo}: the tool makes it again")
        self.repo = repo


class Repo(msgspec.Struct, frozen=True, kw_only=True):
    """A bare repository. `ident` is drawn when it is made: a new repository has a new one."""

    path: Path
    ident: str

    @property
    def records(self) -> Path:
        """The folder for what the tool notes beside the objects; it goes when they go."""
        return self.path / "harness"

    def has_made(self, commit: str) -> bool:
        """Whether a commit that the tool made is still there whole; costs two stats, no git."""
        # The ref was written last, and is the first to go when anything is damaged.
        is_known = (self.path / "refs" / "trees" / commit).is_file()
        return is_known and (self.path / "objects" / commit[:2] / commit[2:]).is_file()


def open_repo(path: Path, store: Store) -> Repo:
    """Return the repository at `path`, in the cache, made first if there is none.

    Raises:
        HostError: `path` cannot be written, or git is missing.
    """
    note = path / "harness" / "id.json"
    known = notes.read(note, path.name)
    if not known or not _has_files(path):
        with store.locked(f"repo-{path.name}", f"it makes the repository {path.name}"):
            known = notes.read(note, path.name)
            if not known or not _has_files(path):
                known = _make(path, note)
    return Repo(path=path, ident=known["id"])


def _files() -> dict[str, str]:
    """Return what is in the files of a repository that are no objects."""
    return {"HEAD": _HEAD, "config": _config_text(), "info/attributes": _ATTRIBUTES}


def _has_files(path: Path) -> bool:
    try:
        return all((path / name).read_text() == text for name, text in _files().items())
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def _make(path: Path, note: Path) -> dict[str, str]:
    if path.exists():
        log.warn(f"{path}: the repository is damaged, or was never finished; put right")
    known = {"id": secrets.token_hex(8)}
    try:
        # git makes no repository of a folder whose files it cannot read.
        for name in _files():
            (path / name).unlink(missing_ok=True)
        (path / "harness" / "void").mkdir(parents=True, exist_ok=True)
        proc.check(
            [proc.which("git"), "init", "--quiet", "--bare", "--template=", str(path)], env=_ENV
        )
        for name, text in _files().items():
            (path / name).parent.mkdir(exist_ok=True)
            (path / name).write_text(text)
        # Written last: a repository without it is made again.
        notes.write(note, path.name, known)
    except OSError as error:
        raise HostError(
            f"cannot write the cache's git repository {path}: {error.strerror}",
            hint="free some space, or set XDG_CACHE_HOME to a folder that can be written",
        ) from error
    return known


def _config_text() -> str:
    lines = ["[core]", "\trepositoryformatversion = 0", "\tbare = true", "\tfilemode = true"]
    for name, value in _CONFIG.items():
        section, key = name.split(".")
        lines += [f"[{section}]", f"\t{key} = {value}"]
    return "\n".join(lines) + "\n"


def run(
    repo: Path,
    argv: Sequence[str],
    *,
    index: Path | None = None,
    work_tree: Path | None = None,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    keep_fds: Sequence[int] = (),
) -> proc.Completed:
    """Run `git argv` in `repo`; the exit status is for the caller to judge.

    Raises:
        Breach: what it read made it take more than it may.
        GitError: git crashed.
        HostError: git was killed.
    """
    void = repo / "harness" / "void"
    index = index or void / "index"
    done = sandbox.run(
        [proc.which("git"), f"--git-dir={repo}", f"--work-tree={work_tree or void}", *argv],
        read=_alternates(repo),
        write=[repo, index.parent, *([work_tree] if work_tree else [])],
        limits=_LIMITS,
        cwd=work_tree or repo,
        stdin=stdin,
        env={**_ENV, "GIT_INDEX_FILE": str(index), **(env or {})},
        keep_fds=keep_fds,
    )
    if done.returncode < 0:
        sig = signal.Signals(-done.returncode)
        what = f"`git {proc.quote(argv)}` in {repo}"
        if sig in _CRASHES:
            raise GitError(f"{what} crashed with {sig.name}", repo)
        raise HostError(f"{what} was killed from outside, by {sig.name}", hint="run it again")
    return done


def _alternates(repo: Path) -> list[Path]:
    """Return the other object folders that a repository reaches, and those that they reach."""
    found: list[Path] = []
    left = [repo / "objects"]
    while left:
        folder = left.pop()
        file = folder / "info" / "alternates"
        lines = file.read_text(errors="surrogateescape").splitlines() if file.is_file() else []
        # One that is relative is so to the folder that names it (gitrepository-layout(5)).
        more = [
            Path(os.path.normpath(folder / line)) for line in lines if line[:1] not in ("", "#")
        ]
        left += [path for path in more if path not in found]
        found += more
    return found


def check(
    repo: Path,
    argv: Sequence[str],
    *,
    index: Path | None = None,
    work_tree: Path | None = None,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run `git argv` in `repo` and return what it prints.

    Raises:
        GitError: git failed, which in the tool's own repository is this machine's fault.
    """
    done = run(repo, argv, index=index, work_tree=work_tree, stdin=stdin, env=env)
    if done.returncode != 0:
        words = done.error_text.splitlines() or [f"exit status {done.returncode}"]
        raise GitError(f"`git {proc.quote(argv)}` in {repo}: {words[-1]}", repo)
    return done.text


def read_clone(clone: Path, argv: Sequence[str]) -> proc.Completed:
    """Run a git command that only reads, in a clone of the user's."""
    return proc.run(
        [
            proc.which("git"), "-C", str(clone),

            # The user named this clone; nothing in it is run, so its owner does not matter.
            "-c", "safe.directory=*",
            "-c", "core.fsmonitor=false",
            "-c", "core.hooksPath=/dev/null",
            *argv,
        ],
        env={
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
        },
    )  # fmt: skip
