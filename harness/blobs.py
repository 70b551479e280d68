"""Takes a tree and a path in it, gives the file's bytes, from the tool's repository."""

from harness import gitrepo
from harness.job import Tree


def read(tree: Tree, path: str) -> bytes | None:
    """Return a file's bytes, or None if the tree has no such file."""
    done = gitrepo.run(tree.repo, ["cat-file", "blob", f"{tree.commit}:{path}"])
    return done.stdout if done.returncode == 0 else None


def line(tree: Tree, path: str, number: int | None) -> str:
    """Return a line of a file, from 1; empty if there is none."""
    data = read(tree, path) if number else None
    lines = data.decode(errors="replace").splitlines() if data else []
    return lines[number - 1] if number and number <= len(lines) else ""
