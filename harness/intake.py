"""Takes what a user calls a series, gives a name that can be read again, and its base.

What comes by a pipe or from lore is kept. A branch is a range. The base is the one that the user
names, or the series, or the nearest one there is to what its patches were made from.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from harness import base as bases
from harness import gitrepo, mail, paths, series
from harness.errors import UsageError
from harness.job import Job, Series
from harness.settings import Settings
from harness.store import Store, digest_of, write_atomically

# How far back in a clone's history a base is looked for, and how many files decide it.
_COMMITS, _FILES = 400, 40
_FILE = re.compile(
    rb"^diff --git a/(?P<path>\S+) b/\S+\n(?:(?!diff --git|@@).*\n)*?"
    rb"index (?P<blob>[0-9a-f]{7,40})\.\.[0-9a-f]+",
    re.MULTILINE,
)
_NEW = b"0" * 7
_NO_BLOBS = "the patches name nothing that was there before"


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A job whose series can be read again and whose base is named; `how` says who named it."""

    job: Job
    whole: Series
    how: str


def take(job: Job, *, settings: Settings, store: Store, stdin: BinaryIO) -> Taken:
    """Settle the series and the base of a job.

    Raises:
        UsageError: there is no such series, it has no patches, or no base can be told.
        HostError: the series cannot be fetched or kept.
    """
    job, start = _settle_series(job, stdin)
    whole = series.load(job.series, search=settings.patches, tree=job.tree)
    if not whole.patches:
        raise UsageError(
            f"--series {job.series}: no patches in it, so there is nothing to check",
            hint="name a series, an mbox or a git range",
        )
    name, how = _base(job, whole, start, settings, store)
    return Taken(job=msgspec.structs.replace(job, base=name), whole=whole, how=how)


# --- the series -----------------------------------------------------------------------------


def _settle_series(job: Job, stdin: BinaryIO) -> tuple[Job, str | None]:
    """Return the job with a series that can be read again, and the commit a range begins at."""
    spec = job.series
    if spec == "-":
        return _kept(job, mail.read_all(stdin, "stdin")), None
    if spec.startswith("lore:"):
        return _kept(job, series.fetch_thread(spec)), None
    if job.tree is None or Path(spec).exists():
        return job, None
    if ".." in spec and "..." not in spec:
        return job, _commit(job.tree, spec.partition("..")[0])
    tip = _commit(job.tree, spec)
    if tip is None:
        return job, None
    start = gitrepo.read_clone(job.tree, ["merge-base", job.base or "HEAD", tip]).text
    if not start or start == tip:
        raise UsageError(
            f"--series {spec}: this branch of {job.tree} has no commit that "
            f"{job.base or 'HEAD'} lacks",
            hint="name where it begins: --series A..B, or --base",
        )
    return msgspec.structs.replace(job, series=f"{start}..{tip}"), start


def _kept(job: Job, data: bytes) -> Job:
    """Keep a thread where it can be read again, and name it in the job."""
    folder = paths.state_dir() / "series"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{digest_of(data)[:16]}.mbox"
    if not path.is_file():
        write_atomically(path, data)
    return msgspec.structs.replace(job, series=str(path))


def _commit(clone: Path, rev: str) -> str | None:
    argv = ["rev-parse", "--quiet", "--verify", "--end-of-options", f"{rev}^{{commit}}"]
    return gitrepo.read_clone(clone, argv).text or None


# --- the base -------------------------------------------------------------------------------


def _base(
    job: Job, whole: Series, start: str | None, settings: Settings, store: Store
) -> tuple[str, str]:
    """Return the base's name and who named it."""
    if job.base:
        return job.base, "--base"
    if start:
        return start, "where the range begins"
    wanted = whole.base_commit
    if job.tree:
        if wanted and (found := _commit(job.tree, wanted)):
            return found, "base-commit"
        return _nearest_in_clone(job.tree, whole)
    for name, how in (
        (next(iter(whole.bases), None), "series.toml"),
        (settings.base, "harness.toml"),
    ):
        if name:
            return name, how
    return _nearest_version(whole, store)


def _nearest_in_clone(clone: Path, whole: Series) -> tuple[str, str]:
    blobs = _blobs(whole)
    if not blobs:
        return _commit(clone, "HEAD") or "HEAD", f"HEAD: {_NO_BLOBS}"
    listed = gitrepo.read_clone(
        clone,
        ["log", "--format=%H", f"-{_COMMITS}", "--branches", "--tags", "HEAD", "--", *blobs],
    ).text.split()
    tips = gitrepo.read_clone(
        clone, ["for-each-ref", "--format=%(objectname)", "refs/"]
    ).text.split()
    found = _nearest(
        ["HEAD", *listed, *tips[:_COMMITS]],
        blobs,
        lambda rev: gitrepo.read_clone(clone, ["ls-tree", "-r", rev, "--", *blobs]).text,
    )
    if found is None:
        raise _no_base(whole, f"no revision of {clone}")
    rev, same = found
    commit = _commit(clone, rev) or rev
    return commit, _how(whole, same, len(blobs))


def _nearest_version(whole: Series, store: Store) -> tuple[str, str]:
    """Return the nearest of the kernel versions that are here already."""
    blobs = _blobs(whole)
    if not blobs:
        return bases.DEFAULT_VERSION, f"the default: {_NO_BLOBS}"
    repo = gitrepo.open_repo(store.root / "git", store)
    names = sorted(
        (path.stem for path in (repo.records / "bases").glob("*.json")), key=_age, reverse=True
    )
    found = _nearest(
        names,
        blobs,
        lambda name: (
            gitrepo.run(repo.path, ["ls-tree", "-r", f"refs/bases/{name}", "--", *blobs]).text
        ),
    )
    if found is None:
        raise _no_base(whole, f"none of the versions here ({', '.join(names) or 'none yet'})")
    return found[0], _how(whole, found[1], len(blobs))


def _age(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _how(whole: Series, same: int, count: int) -> str:
    wanted = f"base-commit {whole.base_commit} is not here; " if whole.base_commit else ""
    return f"{wanted}nearest by the blobs of the patches: {same} of {count} files are the same"


def _no_base(whole: Series, where: str) -> UsageError:
    said = (
        f"its base-commit {whole.base_commit} is not here" if whole.base_commit
        else "it names no base-commit"
    )  # fmt: skip
    return UsageError(
        f"--series {whole.name}: {said}, and {where} has the files that it was made from",
        hint=f"name the base: --base {bases.DEFAULT_VERSION}, or --tree DIR --base REV",
    )


def _blobs(whole: Series) -> dict[str, str]:
    """Return what each file was before the first patch that touches it: path → blob's name."""
    found: dict[str, str] = {}
    for patch in whole.patches:
        for match in _FILE.finditer(patch.diff):
            path = match["path"].decode(errors="surrogateescape")
            blob = match["blob"].decode()
            found.setdefault(path, "" if match["blob"].startswith(_NEW) else blob)
    known = {path: blob for path, blob in found.items() if blob}
    return dict(list(known.items())[:_FILES])


def _nearest(
    revs: Iterable[str], blobs: dict[str, str], listed: Callable[[str], str]
) -> tuple[str, int] | None:
    """Return the revision that has most of `blobs`, and how many; the first of equals."""
    best: tuple[str, int] | None = None
    for rev in dict.fromkeys(revs):
        same = _same(listed(rev).splitlines(), blobs)
        if same and (best is None or same > best[1]):
            best = (rev, same)
        if same == len(blobs):
            break
    return best


def _same(lines: Sequence[str], blobs: dict[str, str]) -> int:
    count = 0
    for line in lines:
        head, _, path = line.partition("\t")
        wanted = blobs.get(path)
        count += bool(wanted) and head.split()[2].startswith(wanted or "")
    return count
