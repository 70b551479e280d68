"""Finds a matrix and holds its values against what there is, before hours are spent on it."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness import arch, base, compress, foreign, kconfig, matrix_file, selection, toolchain
from harness.errors import UsageError
from harness.job import Job
from harness.matrix import Cell
from harness.matrix_file import FILE_NAME, MatrixFile
from harness.pipeline import Pipeline
from harness.settings import Settings
from harness.store import Store


def find(name: str | None, settings: Settings) -> Path:
    """Return the matrix.toml that `name` means: a file, a folder that has one, or a series' name.

    Without a name it is that of the folder where the user stands, or of the default series.

    Raises:
        UsageError: there is none.
    """
    if name is not None and Path(name).is_file():
        return Path(name)
    series = name or settings.series.partition(":")[0]
    folders = [Path(name or "."), *(folder / series for folder in settings.patches)]
    for folder in folders:
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    known = sorted({p.parent.name for top in settings.patches for p in top.glob(f"*/{FILE_NAME}")})
    raise UsageError(
        f"no matrix {name!r}: neither a file, nor a folder or series with a {FILE_NAME}"
        if name
        else f"no {FILE_NAME} here, nor beside the series {series}",
        hint=f"series with one: {', '.join(known) or 'none'}; or give --axis alone",
    )


def read(path: Path) -> MatrixFile:
    """Read a matrix.toml.

    Raises:
        UsageError: it is not valid, or cannot be read.
    """
    return matrix_file.read(path)


def check(cells: Sequence[Cell], settings: Settings, store: Store) -> tuple[Cell, ...]:
    """Check every value that can be checked without building; return the cells to run from here.

    Raises:
        HostError: a compiler is missing.
        UsageError: the first that is wrong: an unknown profile, flavor, architecture, series,
            scenario, flow or compression, no version where one is expected, no such file.
    """
    seen: set[Job] = set()
    for cell in cells:
        job = cell.job
        if job not in seen:
            seen.add(job)
            _check_job(job, settings, store)
    return tuple(map(_placed, cells))


def needs_of(job: Job, settings: Settings, store: Store) -> tuple[str, ...]:
    """Return what the job's scenario and flows ask of its kernel.

    Raises:
        UsageError: as `check`.
    """
    asked = Pipeline(job, settings=settings, store=store)
    return selection.kconfig(asked.scenario, selection.boots(asked.scenario, asked.flows))


def _placed(cell: Cell) -> Cell:
    if cell.job.kernel is None:
        return cell
    job = msgspec.structs.replace(cell.job, kernel=foreign.absolute(cell.job.kernel))
    return msgspec.structs.replace(cell, job=job)


def _check_job(job: Job, settings: Settings, store: Store) -> None:
    arch.load(job.arch)
    compress.check_name(job.compress)
    if job.kernel is not None:
        foreign.check(job.kernel)
    if job.tree is not None and not job.tree.is_dir():
        raise UsageError(f"tree = {job.tree}: no such folder")
    if job.kernel is None:
        for kind, names in (("profile", (job.profile,)), ("flavor", job.flavors)):
            known = kconfig.available(settings.kconfigs, kind)
            unknown = next((name for name in names if name not in known), None)
            if unknown is not None:
                raise UsageError(f"no {kind} named {unknown!r}; there are: {', '.join(known)}")
        toolchain.find(job.toolchain, arch.load(job.arch), store)
        if job.base is not None and job.tree is None:
            base.version_of(job.base)
    if job.series.partition(":")[0] == "-":
        raise UsageError("a matrix reads a series more than once, and stdin can be read once")
    # It looks up the series, the scenario, and the flows in that.
    _ = Pipeline(job, settings=settings, store=store).flows
