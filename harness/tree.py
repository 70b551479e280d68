"""Takes a series and a base, gives base + series as a commit in the tool's own repository.

The same series on the same base costs no git at all the second time, and names the same commit
on every machine. The user's own clone is only read.
"""

import json
from pathlib import Path

import msgspec

from harness import apply, base, gitmend, gitrepo, notes
from harness.base import Base
from harness.job import AppliedPatch, PatchState, Series, Tree
from harness.store import Entry, Store, digest_of

_SCHEMA = "2"
_FILE = "tree.json"
# The note of the commit that was looked at last.
_LAST = "last.json"

# What Kconfig never reads. Anything not listed is held to change the configuration.
_NO_KCONFIG_SUFFIXES = (".c", ".h", ".S", ".rst", ".txt", ".yaml", ".dts", ".dtsi", ".json")
_MAKE_NAMES = frozenset({"Makefile", "Kbuild"})
# $(shell …) in Kconfig runs programs from these, whatever their suffix.
_KCONFIG_FOLDERS = frozenset({"scripts", "tools"})


def materialise(
    series: Series, *, base_name: str | None, clone: Path | None, store: Store, owner: str = ""
) -> tuple[Tree, Entry]:
    """Return `series` applied to a base, and the cache entry that says so.

    `base_name` is a kernel version, or with `clone` (a git clone of a kernel) a revision there;
    None is the series' own first base, or the clone's HEAD. `owner` is for the `Tree`.

    Raises:
        UsageError: no such version, revision or clone.
        SubjectError: a patch does not apply.
        HostError: no source could be reached, the cache is full, git failed twice.
    """
    name = base_name or default_base(series, clone)
    try:
        tree, entry = _materialise(series, name, clone, store)
    except gitrepo.GitError as error:
        gitmend.mend(error, store)
        tree, entry = _materialise(series, name, clone, store)
    return msgspec.structs.replace(tree, owner=owner), entry


def _materialise(series: Series, name: str, clone: Path | None, store: Store) -> tuple[Tree, Entry]:
    found = _find(name, clone, store)
    repo = found.repo

    def make(folder: Path) -> None:
        tree = _make(series, found, store)
        (folder / _FILE).write_text(json.dumps(_to_json(tree), indent=1))

    inputs = {"base": found.commit, "series": series.digest, "repo": repo.ident, "schema": _SCHEMA}
    entry = store.get_or_make("tree", inputs, make)
    tree = _from_json(json.loads((entry.path / _FILE).read_bytes()), found)
    if tree.commit != tree.base_commit and not repo.has_made(tree.commit):
        # Somebody pruned the repository, or it was damaged; the same commits come out again.
        tree = _make(series, found, store)
    return tree, entry


def _find(name: str, clone: Path | None, store: Store) -> Base:
    if clone is None:
        return base.find(name, store)
    from harness import clone as clones  # noqa: PLC0415 - most jobs have none

    return clones.find(name, clone, store)


def default_base(series: Series, clone: Path | None) -> str:
    """Return the base of a job that names none."""
    if clone:
        return "HEAD"
    return series.bases[0] if series.bases else base.DEFAULT_VERSION


def _make(series: Series, found: Base, store: Store) -> Tree:
    repo = found.repo.path
    patches: list[AppliedPatch] = []
    if series.patches:
        gitmend.sweep(repo)
        with store.scratch("apply") as scratch:
            patches = apply.apply(repo, found.commit, series, scratch)
    commit = patches[-1].commit if patches else found.commit
    tree_hash = found.tree_hash
    if commit != found.commit:
        tree_hash = gitrepo.check(repo, ["rev-parse", "--verify", f"{commit}^{{tree}}"])
        # Written last; it is what keeps the commits from `git gc`.
        gitrepo.check(repo, ["update-ref", f"refs/trees/{commit}", commit])
    return Tree(
        repo=repo,
        base=found.name,
        base_commit=found.commit,
        source=found.source,
        commit=commit,
        tree_hash=tree_hash,
        config_id=_config_id(found, commit, tree_hash),
        lane=found.lane,
        patches=tuple(patches),
    )


def _config_id(found: Base, commit: str, tree_hash: str) -> str:
    of_base = _config_id_of_base(found)
    if commit == found.commit:
        return of_base
    return tree_hash if _is_reconfigured(found.repo.path, found.commit, commit) else of_base


def _config_id_of_base(found: Base) -> str:
    """Return a digest of what Kconfig reads, which most commits leave as it was."""
    folder = found.repo.records / "kconfig"
    note = folder / f"{found.commit}.json"
    known = notes.read(note, found.commit)
    if known:
        return known["id"]
    # A bisect asks about one commit after the other, and most differ in nothing that is read.
    last = notes.read(folder / _LAST, _LAST)
    if last and not _is_reconfigured(found.repo.path, last["commit"], found.commit):
        found_id = last["id"]
    else:
        argv = ["ls-tree", "-r", "-z", "--full-tree", found.commit]
        files = gitrepo.check(found.repo.path, argv).split("\0")
        read = [line for line in files if line and is_config_relevant(line.partition("\t")[2])]
        found_id = digest_of("\0".join(read).encode(errors="surrogateescape"))
    notes.write(note, found.commit, {"id": found_id})
    notes.write(folder / _LAST, _LAST, {"id": found_id, "commit": found.commit})
    return found_id


def _is_reconfigured(repo: Path, before: str, after: str) -> bool:
    """Whether two commits differ in what Kconfig reads; so they do if one is not there."""
    done = gitrepo.run(repo, ["diff-tree", "-r", "-z", "--name-only", before, after])
    names = filter(None, done.text.split("\0"))
    return done.returncode != 0 or any(map(is_config_relevant, names))


def is_config_relevant(name: str) -> bool:
    """Whether a change to the file `name` (from the top of the tree) may change a .config."""
    folder, _, _ = name.partition("/")
    _, _, file = name.rpartition("/")
    if file.startswith("Kconfig") or folder in _KCONFIG_FOLDERS:
        return True
    if file in _MAKE_NAMES:
        # The top one and the architectures' set the flags that $(cc-option) tries.
        return name == file or folder == "arch"
    return not file.endswith(_NO_KCONFIG_SUFFIXES)


def _to_json(tree: Tree) -> dict[str, object]:
    return {
        "commit": tree.commit,
        "tree_hash": tree.tree_hash,
        "config_id": tree.config_id,
        "patches": [msgspec.structs.asdict(patch) for patch in tree.patches],
    }


def _from_json(data: dict[str, object], found: Base) -> Tree:
    patches = data["patches"]
    if not isinstance(patches, list):
        raise TypeError(_FILE)
    return Tree(
        repo=found.repo.path,
        base=found.name,
        base_commit=found.commit,
        source=found.source,
        commit=str(data["commit"]),
        tree_hash=str(data["tree_hash"]),
        config_id=str(data["config_id"]),
        lane=found.lane,
        patches=tuple(
            AppliedPatch(
                number=patch["number"],
                subject=patch["subject"],
                state=PatchState(patch["state"]),
                commit=patch["commit"],
            )
            for patch in patches
        ),
    )


def summary(applied: Tree) -> str:
    """Return in a few words which base it is and what became of the patches."""
    known = [str(p.state.value) for p in applied.patches]
    if not known:
        return f"{applied.base}, no patches"
    counts = ", ".join(f"{known.count(state)} {state}" for state in dict.fromkeys(known))
    return f"{applied.base}, {counts}"
