"""Takes a tree, gives its files on disk: one persistent worktree a lane, changed in place.

From one commit to the next only the files that differ are written, so that `make` rebuilds no
more than it must. A checkout that was killed is repaired by the next one.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from harness import faults, gitmend, gitrepo, log, notes, proc
from harness.errors import HostError
from harness.job import Tree
from harness.store import Store

# When the newest object of all O= folders was written, by the file system's clock.
_CLOCK = "clock.json"
_ABOUT_CLOCK = "the newest object of the lane"


class Worktree(msgspec.Struct, frozen=True, kw_only=True):
    """A lane on loan. A child that is given `lock_fd` keeps the lane locked while it lives."""

    path: Path
    lock_fd: int

    @property
    def out(self) -> Path:
        """Where builds of the lane have their O= folders."""
        return self.path.parent / "out"

    def remember(self, newest_ns: int) -> None:
        """Note when the newest object of the lane was written: every later source is newer."""
        clock = self.path.parent / _CLOCK
        facts = {"newest_ns": str(max(newest_ns, _newest_ns(clock)))}
        notes.write(clock, _ABOUT_CLOCK, facts)


class _Lane(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a lane. `commit` says what `tree` holds, unless `moving` is there."""

    path: Path
    lock_fd: int

    @property
    def tree(self) -> Path:
        return self.path / "tree"

    @property
    def about(self) -> str:
        return f"the worktree {self.path.name}"

    @property
    def index(self) -> Path:
        return self.path / "index"

    @property
    def commit(self) -> Path:
        return self.path / "commit.json"

    @property
    def moving(self) -> Path:
        return self.path / "moving"


@contextmanager
def checkout(tree: Tree, *, store: Store) -> Iterator[Worktree]:
    """Yield the folder with the files of `tree.commit`, locked for this process meanwhile.

    Raises:
        HostError: the cache cannot be written, or the repository has lost the commit.
    """
    with store.locked(f"lane-{tree.lane}", f"it uses the worktree of {tree.lane}") as lock:
        lane = _Lane(path=store.root / "lanes" / tree.lane, lock_fd=lock.fd)
        try:
            lane.tree.mkdir(parents=True, exist_ok=True)
            _check_clock(lane)
            _move(lane, tree, store)
        except OSError as error:
            raise HostError(
                f"cannot write the worktree {lane.path}: {error.strerror}",
                hint="free some space, or set XDG_CACHE_HOME to a folder that can be written",
            ) from error
        yield Worktree(path=lane.tree, lock_fd=lock.fd)


@contextmanager
def checkout_mended(
    tree: Tree, *, store: Store, remake: Callable[[], object]
) -> Iterator[Worktree]:
    """Yield what `checkout` does, once more if the repository is damaged.

    `remake` makes again what is gone from it; the same commits come out.
    """
    with ExitStack() as stack:
        try:
            worktree = stack.enter_context(checkout(tree, store=store))
        except gitrepo.GitError as error:
            gitmend.mend(error, store)
            remake()
            worktree = stack.enter_context(checkout(tree, store=store))
        yield worktree


def _check_clock(lane: _Lane) -> None:
    """Throw away what was built if the clock has been set back behind it since.

    A source that is written now would be older than its object, and make would leave that be.
    """
    newest_ns = _newest_ns(lane.path / _CLOCK)
    # The file system's own clock: it may be another machine's.
    now = lane.path / "now"
    now.write_bytes(b"")
    if now.stat().st_mtime_ns > newest_ns:
        return
    log.warn(f"{lane.path}: the clock was set back since the last build there; it is built anew")
    proc.remove_tree(lane.path / "out")
    (lane.path / _CLOCK).unlink(missing_ok=True)


def _newest_ns(clock: Path) -> int:
    known = notes.read(clock, _ABOUT_CLOCK)
    return int(known["newest_ns"]) if known else 0


def _move(lane: _Lane, tree: Tree, store: Store) -> None:
    was = _commit_in(lane)
    if was and _is_clean(lane, tree):
        if was == tree.commit:
            return
        argv = ["read-tree", "-m", "-u", was, tree.commit]
    else:
        argv = ["read-tree", "--reset", "-u", tree.commit]
    if not gitmend.check_series(tree.repo, tree.base_commit, tree.commit, store):
        raise gitrepo.GitError(f"{tree.repo} has lost what {tree.commit} is made of", tree.repo)
    lane.moving.touch()
    # A killed git leaves its lock; this process holds the lane, so nobody uses it.
    lane.index.with_name("index.lock").unlink(missing_ok=True)
    if was is None and lane.index.exists():
        log.note(f"{lane.tree}: the last checkout was cut short; repairing it")
    words = _git(lane, tree, argv) and _rebuild(lane, tree)
    if words:
        # git says "unable to write new index file", and not why.
        if faults.is_full(lane.path):
            raise HostError(f"cannot check out {tree.commit} to {lane.path}: the disk is full")
        why = words.splitlines()[-1]
        raise gitrepo.GitError(f"cannot check out {tree.commit} from {tree.repo}: {why}", tree.repo)
    if was is None:
        # What a killed checkout wrote that neither its old nor this tree has.
        _git(lane, tree, ["clean", "-ffdxq"])
    notes.write(lane.commit, lane.about, {"commit": tree.commit})
    lane.moving.unlink()


def _commit_in(lane: _Lane) -> str | None:
    """Return the commit the worktree holds, or None if that is not sure."""
    if not lane.index.exists():
        return None
    if not gitmend.is_whole(lane.index):
        # git does not look at its sum, and crashes in what is cut short.
        log.warn(f"{lane.index}: damaged; the worktree is checked out anew")
        lane.index.unlink()
        return None
    if lane.moving.exists():
        return None
    known = notes.read(lane.commit, lane.about)
    return known["commit"] if known else None


def _is_clean(lane: _Lane, tree: Tree) -> bool:
    """Whether no file differs from the index: a quarter of a second for 90,000 of them."""
    if not _git(lane, tree, ["diff-files", "--quiet"]):
        return True
    log.warn(f"{lane.tree}: somebody changed files there; they are set back")
    return False


def _rebuild(lane: _Lane, tree: Tree) -> str:
    """Start from an empty index: the old one, or the commit it was at, may be unreadable."""
    lane.index.unlink(missing_ok=True)
    return _git(lane, tree, ["read-tree", "--reset", "-u", tree.commit])


def _git(lane: _Lane, tree: Tree, argv: list[str]) -> str:
    """Run git in the worktree; return "", or what it said if it failed."""
    done = gitrepo.run(
        tree.repo, argv, index=lane.index, work_tree=lane.tree, keep_fds=[lane.lock_fd]
    )
    if done.returncode != 0 and done.error_text:
        log.note(f"git {argv[0]}: {done.error_text}")
    return "" if done.returncode == 0 else done.error_text or f"git {argv[0]} failed"
