"""Takes a tree, gives its files on disk: one persistent worktree a lane, changed in place.

From one commit to the next only the files that differ are written, so that `make` rebuilds no
more than it must. A checkout that was killed is repaired by the next one.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from harness import gitrepo, log
from harness.errors import HostError
from harness.job import Tree
from harness.store import Store, write_atomically

# Bytes: with less than this left, that is why a checkout failed.
_FULL = 1 << 20


class _Lane(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a lane. `commit` says what `tree` holds, unless `moving` is there."""

    path: Path

    @property
    def tree(self) -> Path:
        return self.path / "tree"

    @property
    def index(self) -> Path:
        return self.path / "index"

    @property
    def commit(self) -> Path:
        return self.path / "commit"

    @property
    def moving(self) -> Path:
        return self.path / "moving"


@contextmanager
def checkout(tree: Tree, *, store: Store) -> Iterator[Path]:
    """Yield the folder with the files of `tree.commit`, locked for this process meanwhile.

    Raises:
        HostError: the cache cannot be written, or the repository has lost the commit.
    """
    lane = _Lane(path=store.root / "lanes" / tree.lane)
    with store.locked(f"lane-{tree.lane}", f"it uses the worktree of {tree.lane}"):
        try:
            lane.tree.mkdir(parents=True, exist_ok=True)
            _move(lane, tree)
        except OSError as error:
            raise HostError(
                f"cannot write the worktree {lane.path}: {error.strerror}",
                hint="free some space, or set XDG_CACHE_HOME to a folder that can be written",
            ) from error
        yield lane.tree


def _move(lane: _Lane, tree: Tree) -> None:
    was = _commit_in(lane)
    if was and _is_clean(lane, tree):
        if was == tree.commit:
            return
        argv = ["read-tree", "-m", "-u", was, tree.commit]
    else:
        argv = ["read-tree", "--reset", "-u", tree.commit]
    lane.moving.touch()
    # A killed git leaves its lock; this process holds the lane, so nobody uses it.
    lane.index.with_name("index.lock").unlink(missing_ok=True)
    if was is None and lane.index.exists():
        log.note(f"{lane.tree}: the last checkout was cut short; repairing it")
    words = _git(lane, tree, argv) and _rebuild(lane, tree)
    if words:
        # git says "unable to write new index file", and not why.
        is_full = shutil.disk_usage(lane.path).free < _FULL
        why = "the disk is full" if is_full else words.splitlines()[-1]
        raise HostError(
            f"cannot check out {tree.commit} from {tree.repo}: {why}",
            hint=f"if the repository is damaged, delete {tree.repo}: the tool makes it again",
        )
    if was is None:
        # What a killed checkout wrote that neither its old nor this tree has.
        _git(lane, tree, ["clean", "-ffdxq"])
    write_atomically(lane.commit, tree.commit.encode())
    lane.moving.unlink()


def _commit_in(lane: _Lane) -> str | None:
    """Return the commit the worktree holds, or None if that is not sure."""
    if lane.moving.exists() or not lane.index.exists():
        return None
    try:
        return lane.commit.read_text()
    except FileNotFoundError:
        return None


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
    done = gitrepo.run(tree.repo, argv, index=lane.index, work_tree=lane.tree)
    if done.returncode != 0 and done.error_text:
        log.note(f"git {argv[0]}: {done.error_text}")
    return "" if done.returncode == 0 else done.error_text or f"git {argv[0]} failed"
