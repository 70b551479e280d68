"""Takes a revision in a git clone of the user's, gives it as a base; only reads the clone.

Its objects are reached as alternates of a repository in the cache: nothing is copied, and no
worktree, index, ref or file of the clone is touched.
"""

import re
from pathlib import Path

from harness import gitrepo, notes
from harness.base import Base
from harness.errors import UsageError
from harness.store import Store, digest_of, write_atomically

# The note of the commit that was looked at last, and is whole.
_LAST = "last.json"
_GONE, _SUBMODULE = "000000", "160000"
_MAKEFILE_VERSION = re.compile(r"^VERSION = \d", re.MULTILINE)


def find(rev: str, clone: Path, store: Store) -> Base:
    """Return the revision `rev` of `clone` as a base.

    Raises:
        UsageError: `clone` is no git clone of a kernel, or has no such revision.
    """
    clone = clone.expanduser().resolve()
    if not clone.is_dir():
        raise UsageError(f"--tree {clone}: no such folder")
    objects, object_format = _inspect(clone)
    if object_format != "sha1":
        raise UsageError(f"--tree {clone}: its objects are named by {object_format}, not sha1")
    argv = ["rev-parse", "--quiet", "--verify", "--end-of-options", f"{rev}^{{commit}}"]
    commit = gitrepo.read_clone(clone, argv).text
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise UsageError(
            f"--base {rev}: no such revision in {clone}",
            hint=f"`git -C {clone} rev-parse {rev}` must name a commit; is it fetched?",
        )
    lane = f"{re.sub(r'[^A-Za-z0-9._-]', '_', clone.name)}-{digest_of(bytes(clone))[:8]}"
    repo = _open(store, lane, objects)
    tree_hash = _kernel_tree(repo, commit, rev, clone)
    return Base(
        name=rev,
        repo=repo,
        commit=commit,
        tree_hash=tree_hash,
        source=f"git {clone} {commit}",
        lane=lane,
    )


def _inspect(clone: Path) -> tuple[Path, str]:
    """Return the clone's object folder and the kind of its object names."""
    done = gitrepo.read_clone(clone, ["rev-parse", "--git-path", "objects", "--show-object-format"])
    if done.returncode != 0:
        words = done.error_text.splitlines()
        raise UsageError(
            f"--tree {clone}: not a git clone ({words[0] if words else 'git gave no reason'})",
            hint="an unpacked tarball has no revisions; `--base VERSION` takes one from upstream",
        )
    objects, object_format = done.text.splitlines()
    return (clone / objects).resolve(), object_format


def _open(store: Store, lane: str, objects: Path) -> gitrepo.Repo:
    repo = gitrepo.open_repo(store.root / "clones" / lane, store)
    alternates = repo.path / "objects" / "info" / "alternates"
    line = f"{objects}\n".encode()
    # The clone may have been made anew, elsewhere.
    if not alternates.is_file() or alternates.read_bytes() != line:
        write_atomically(alternates, line)
    return repo


def _kernel_tree(repo: gitrepo.Repo, commit: str, rev: str, clone: Path) -> str:
    """Return the tree hash of a commit, which has to be a whole kernel; looks at each once."""
    seen = repo.records / "kernels" / f"{commit}.json"
    known = notes.read(seen, commit)
    if known:
        return known["tree"]
    tree = gitrepo.run(repo.path, ["rev-parse", "--verify", f"{commit}^{{tree}}"])
    last = seen.with_name(_LAST)
    whole = notes.read(last, _LAST)
    missing = _missing_since(repo, whole["commit"], commit) if whole else None
    if missing is None:
        missing = _missing(repo, tree.text)
    if missing != 0 or tree.returncode != 0:
        raise UsageError(
            f"--tree {clone}: {missing or 'some'} objects of {rev} are not in this clone",
            hint=f"`git -C {clone} fetch --refetch --no-filter` makes a partial clone whole",
        )
    makefile = gitrepo.run(repo.path, ["cat-file", "blob", f"{commit}:Makefile"])
    kconfig = gitrepo.run(repo.path, ["cat-file", "-e", f"{commit}:Kconfig"])
    if kconfig.returncode != 0 or not _MAKEFILE_VERSION.search(makefile.text):
        raise UsageError(
            f"--tree {clone}: {rev} is no kernel tree: "
            "expected Kconfig, and a Makefile with VERSION at its top"
        )
    notes.write(seen, commit, {"tree": tree.text})
    notes.write(last, _LAST, {"commit": commit})
    return tree.text


def _missing(repo: gitrepo.Repo, tree: str) -> int | None:
    """Return how many objects of a tree are missing; None if git cannot say.

    Asked of the tool's repository: a partial clone would fetch them, and write what it got.
    """
    argv = ["rev-list", "--objects", "--missing=print", "--no-walk", tree]
    listed = gitrepo.run(repo.path, argv)
    missing = sum(line.startswith("?") for line in listed.text.splitlines())
    return missing if missing or listed.returncode == 0 else None


def _missing_since(repo: gitrepo.Repo, whole: str, commit: str) -> int | None:
    """Return how many objects of a commit are missing, if a `whole` one has all of its own.

    A quarter of a second less than to look at all of them, which a bisect has at each try.
    """
    argv = ["diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", whole, commit]
    changed = gitrepo.run(repo.path, argv)
    if changed.returncode != 0:
        return None
    # A fact and a path by turns: (:mode, mode, blob, blob, what became of it).
    facts = [line.split() for line in changed.text.split("\0")[::2] if line]
    blobs = [new for _, mode, _, new, _ in facts if mode not in (_GONE, _SUBMODULE)]
    stdin = "".join(f"{blob}\n" for blob in blobs).encode()
    listed = gitrepo.run(repo.path, ["cat-file", "--batch-check=%(objecttype)"], stdin=stdin)
    return sum(line.endswith(" missing") for line in listed.text.splitlines())
