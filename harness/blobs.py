"""Takes a tree and paths in it, gives the files' bytes, from the tool's repository."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from harness import gitrepo
from harness.job import Tree

# A link or a submodule is none: who follows it reads something else.
_FILE_MODES = ("100644", "100755")


def read(tree: Tree, path: str) -> bytes | None:
    """Return a file's bytes, or None if the tree has no such file."""
    done = gitrepo.run(tree.repo, ["cat-file", "blob", f"{tree.commit}:{path}"])
    return done.stdout if done.returncode == 0 else None


def line(tree: Tree, path: str, number: int | None) -> str:
    """Return a line of a file, from 1; empty if there is none."""
    data = read(tree, path) if number else None
    lines = data.decode(errors="replace").splitlines() if data else []
    return lines[number - 1] if number and number <= len(lines) else ""


def names(tree: Tree, paths: Iterable[str]) -> dict[str, str]:
    """Return the blob of each file at or below some paths; what the tree has not is left out."""
    wanted = sorted(set(paths))
    if not wanted:
        return {}
    argv = ["ls-tree", "-r", "-z", tree.commit, "--", *wanted]
    found = {}
    for row in gitrepo.run(tree.repo, argv).stdout.split(b"\0"):
        head, _, path = row.decode(errors="surrogateescape").partition("\t")
        if head and head.split()[0] in _FILE_MODES:
            found[path] = head.split()[2]
    return found


def export(tree: Tree, blobs: Mapping[str, str], folder: Path) -> None:
    """Write files, as `names` has them, below a folder.

    Raises:
        GitError: the repository has lost one of them.
    """
    done = gitrepo.run(
        tree.repo,
        ["cat-file", "--batch=%(objectsize)"],
        stdin="".join(f"{blob}\n" for blob in blobs.values()).encode(),
    )
    left = done.stdout
    for path, blob in blobs.items():
        size, _, left = left.partition(b"\n")
        if not size.isdigit():
            raise gitrepo.GitError(f"{tree.repo} has lost {blob}, {path}", tree.repo)
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(left[: int(size)])
        left = left[int(size) + 1 :]
