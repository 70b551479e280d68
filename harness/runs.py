"""The runs on disk: one folder each, published whole, `latest` links to the newest."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from harness import paths
from harness.errors import HostError, UsageError
from harness.lock import Lock
from harness.result import RunResult, decode, encode

RESULT = "result.json"


def new_id(nonce: str) -> str:
    """Return a run's name: when it started (UTC) and its nonce, so that names sort by time."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{nonce}"


def publish(
    result: RunResult,
    *,
    texts: Mapping[str, bytes],
    links: Mapping[str, Path],
    top: Path | None = None,
) -> Path:
    """Write the run's folder and give its path; a reader sees all of it or nothing.

    `texts` are files by name, in subfolders too; `links` files of the cache to keep beside them
    (hard links where the disk allows, so they cost nothing and outlive `gc`). `top` is the
    folder of runs.

    Raises:
        HostError: the folder cannot be written.
    """
    texts = {**texts, RESULT: encode(result)}
    return publish_folder("run", result.id, texts=texts, links=links, top=top or runs_dir())


def publish_folder(
    what: str, name: str, *, texts: Mapping[str, bytes], links: Mapping[str, Path], top: Path
) -> Path:
    """Write the folder `name` in `top`, whole or not at all, and point `latest` there at it.

    `what` is what an error calls it.

    Raises:
        HostError: the folder cannot be written.
    """
    try:
        with _alone(top, what):
            return _publish(top / name, texts, links)
    except OSError as error:
        raise HostError(
            f"cannot write the {what} to {top}: {error.strerror}",
            hint="set XDG_STATE_HOME, or --out, to a folder that can be written",
        ) from error


@contextmanager
def _alone(top: Path, what: str) -> Iterator[None]:
    """Be the only process that publishes in `top`, without what killed ones left there."""
    lock = Lock(top / ".lock")
    lock.acquire(what=f"it writes a {what}")
    try:
        for left in top.glob(".*/"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        lock.remove()


def _publish(final: Path, texts: Mapping[str, bytes], links: Mapping[str, Path]) -> Path:
    scratch = final.with_name(f".{final.name}")
    try:
        scratch.mkdir()
        for file, data in texts.items():
            (scratch / file).parent.mkdir(parents=True, exist_ok=True)
            (scratch / file).write_bytes(data)
            if file.endswith(".sh"):
                (scratch / file).chmod(0o755)
        for file, source in links.items():
            (scratch / file).parent.mkdir(parents=True, exist_ok=True)
            _link(source, scratch / file)
        _stamp(scratch, after=final.with_name("latest"))
        scratch.rename(final)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _point_latest(final.parent, final.name)
    return final


def _stamp(folder: Path, *, after: Path) -> None:
    """Give a folder the time of now, but one later than the last one's, whatever the clock says."""
    now = folder.stat().st_mtime_ns
    if after.exists():
        now = max(now, after.stat().st_mtime_ns + 1)
    os.utime(folder, ns=(now, now))


def runs_dir() -> Path:
    """The folder of all runs."""
    return paths.state_dir() / "runs"


def find(name: str | None) -> Path:
    """Return a run's folder: by path, by name, by the start or end of its name, or the latest.

    Raises:
        UsageError: there is none, or more than one.
    """
    top = runs_dir()
    if name and "/" in name and (Path(name) / RESULT).is_file():
        return Path(name)
    wanted = name or "latest"
    if (top / wanted / RESULT).is_file():
        return (top / wanted).resolve()
    if name is None:
        raise UsageError(f"no run yet in {top}", hint="make one: harness boot")
    found = sorted(
        path.parent
        for path in top.glob(f"*/{RESULT}")
        if path.parent.name.startswith(name) or path.parent.name.endswith(name)
    )
    found = [path for path in found if not path.is_symlink()]
    if len(found) != 1:
        what = "no run" if not found else f"{len(found)} runs"
        raise UsageError(f"{what} named {name!r} in {top}", hint="`harness show --list` lists them")
    return found[0]


def all_runs() -> list[Path]:
    """Return the folders of all runs, oldest first."""
    return in_order(runs_dir(), RESULT)


def in_order(top: Path, file: str) -> list[Path]:
    """Return the folders in `top` that have `file`, the first published first.

    Their names would not do: two of the same second, or a clock that was set back.
    """
    found = (path.parent for path in top.glob(f"*/{file}"))
    own = [path for path in found if not path.is_symlink() and not path.name.startswith(".")]
    return sorted(own, key=lambda path: (path.stat().st_mtime_ns, path.name))


def read(path: Path) -> RunResult:
    """Read a run's result.

    Raises:
        UsageError: the folder holds none that this version can read.
    """
    import msgspec  # noqa: PLC0415 - `result` has it already; named here for its exception

    try:
        return decode((path / RESULT).read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(f"{path / RESULT}: not a run of this version: {error}") from error


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Another file system, or one without hard links.
        shutil.copyfile(source, target)


def _point_latest(top: Path, name: str) -> None:
    scratch = top / ".latest"
    # A killed process may have left it.
    scratch.unlink(missing_ok=True)
    scratch.symlink_to(name)
    scratch.replace(top / "latest")
