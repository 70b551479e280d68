"""The runs on disk: one folder each, published whole, `latest` links to the newest."""

import os
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from harness import paths
from harness.errors import HostError, UsageError
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
    scratch = top / f".{name}.{secrets.token_hex(4)}"
    try:
        scratch.mkdir(parents=True)
        for file, data in texts.items():
            (scratch / file).parent.mkdir(parents=True, exist_ok=True)
            (scratch / file).write_bytes(data)
            if file.endswith(".sh"):
                (scratch / file).chmod(0o755)
        for file, source in links.items():
            (scratch / file).parent.mkdir(parents=True, exist_ok=True)
            _link(source, scratch / file)
        final = top / name
        scratch.rename(final)
        _point_latest(top, final.name)
    except OSError as error:
        raise HostError(
            f"cannot write the {what} to {top}: {error.strerror}",
            hint="set XDG_STATE_HOME, or --out, to a folder that can be written",
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return final


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
    return sorted(
        path.parent
        for path in runs_dir().glob(f"*/{RESULT}")
        if not path.parent.is_symlink() and not path.parent.name.startswith(".")
    )


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
    scratch = top / f".latest.{secrets.token_hex(4)}"
    scratch.symlink_to(name)
    scratch.replace(top / "latest")
