"""Takes a kernel version, gives its tree as a commit in the tool's own repository.

It is imported from the upstream tarball, once; the commit is the same on every machine.
"""

import os
import re
from pathlib import Path

import msgspec

from harness import gitrepo, log, notes
from harness.errors import HostError, UsageError
from harness.store import Store

DEFAULT_VERSION = "6.18.5"
_VERSION = re.compile(r"v?(?P<version>\d+\.\d+(?:\.\d+)?(?:-rc\d+)?)")


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """A base as a commit in `repo`; `source` says where its files came from."""

    name: str
    repo: gitrepo.Repo
    commit: str
    tree_hash: str
    source: str
    lane: str


def find(name: str, store: Store) -> Base:
    """Return the base of a version such as "6.18.5", "v6.18.5" or "6.19-rc1".

    Raises:
        UsageError: there is no such version.
        HostError: it cannot be fetched or written.
    """
    version = version_of(name)
    repo = gitrepo.open_repo(store.root / "git", store)
    record = repo.records / "bases" / f"{version}.json"
    if not _read(record, repo, version):
        # Not the lock that users of a base hold: one that is lost is imported in spite of them.
        with store.locked(f"import-{version}", f"it imports Linux {version}"):
            # The other process may have imported it meanwhile.
            if not _read(record, repo, version):
                _import(version, repo, record, store)
    store.hold(f"base-{version}")
    found = _read(record, repo, version)
    if not found:
        raise HostError(f"the base {version} was deleted as it was to be used", hint="run it again")
    # `harness gc` goes by it.
    os.utime(record)
    return found


def version_of(name: str) -> str:
    """Return the version that `name` is, without its `v`; whether there is such a one is not asked.

    Raises:
        UsageError: it is none.
    """
    match = _VERSION.fullmatch(name)
    if not match:
        raise UsageError(
            f"--base {name}: not a kernel version such as {DEFAULT_VERSION}",
            hint="a git revision needs `--tree DIR`, the clone that has it",
        )
    return match["version"]


def _read(record: Path, repo: gitrepo.Repo, version: str) -> Base | None:
    data = notes.read(record, version)
    if not data:
        return None
    pack = repo.path / "objects" / "pack" / data["pack"]
    # A record without its pack is worth nothing: the base is imported again.
    if not (pack.is_file() and pack.with_suffix(".idx").is_file()):
        return None
    return Base(
        name=version,
        repo=repo,
        commit=data["commit"],
        tree_hash=data["tree"],
        source=data["source"],
        lane=version,
    )


def _import(version: str, repo: gitrepo.Repo, record: Path, store: Store) -> None:
    # Slow to load, and only a base that is not in the cache needs them.
    from harness import gitpack, source  # noqa: PLC0415

    tarball = source.fetch(version, store=store)
    packs = repo.path / "objects" / "pack"
    packs.mkdir(parents=True, exist_ok=True)
    with store.scratch("import") as scratch, log.progress(f"import Linux {version}") as line:
        done = gitpack.pack_tarball(
            tarball.path,
            scratch,
            f"Linux {version}",
            on_progress=lambda count: line.update(f"{count} files"),
        )
        # git looks for the index: a pack without one is not there.
        for suffix in (".pack", ".idx"):
            made = done.pack.with_suffix(suffix)
            made.chmod(0o444)
            made.rename(packs / made.name)
    _check_kernel(repo.path, done.commit, tarball.path)
    gitrepo.check(repo.path, ["update-ref", f"refs/bases/{version}", done.commit])
    data = {"commit": done.commit, "tree": done.tree, "source": tarball.source}
    # Written last: until then the import has not happened.
    notes.write(record, version, {**data, "pack": done.pack.name})
    tarball.discard()


def _check_kernel(repo: Path, commit: str, tarball: Path) -> None:
    for name in ("Makefile", "Kconfig"):
        if gitrepo.run(repo, ["cat-file", "-e", f"{commit}:{name}"]).returncode != 0:
            raise HostError(f"{tarball} is no kernel source: it has no {name}")
