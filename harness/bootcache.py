"""Takes a pipeline, gives its run: made now, or kept from an earlier one of equal inputs.

What is kept is looked up by all that decides a verdict, the kernel by what of it is loaded: a
patch that changes a comment boots nothing. A fault of this machine is never kept.
"""

from pathlib import Path

import msgspec

from harness import __version__, imageid, record, result
from harness.errors import HostError, Outcome
from harness.pipeline import Pipeline
from harness.proc import which
from harness.store import digest_of
from harness.toolchain import toolchain_id

_SCHEMA = "1"
_RESULT, _CONSOLE, _FOLDER = "result.json", "console.log", "folder"

# What of a pipeline does not depend on the command line.
_OF_KERNEL = (
    "arch", "series", "tree", "toolchain", "kconfig", "kernel", "scenario", "flows", "plans",
    "initramfs", "accel", "known_splats",
)  # fmt: skip


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A run, its console, and whether it was made before; `folder` is None if that is gone."""

    result: result.RunResult
    console: Path
    folder: Path | None
    is_reused: bool


def with_cmdline(pipeline: Pipeline, cmdline: str) -> Pipeline:
    """Return a pipeline of the same kernel with another command line: what is made stays made."""
    job = msgspec.structs.replace(pipeline.job, cmdline=cmdline)
    other = Pipeline(job, settings=pipeline.settings, store=pipeline.store)
    have = vars(pipeline)
    vars(other).update({name: have[name] for name in _OF_KERNEL if name in have})
    return other


def run(pipeline: Pipeline, *, out: Path | None = None, is_fresh: bool = False) -> Kept:
    """Return the run of a pipeline; `is_fresh` makes it in any case.

    Raises:
        UsageError: the job asks for what cannot be.
        SubjectError: there is no kernel to boot.
        HostError: this machine failed: the run tells how, and nothing is kept.
    """
    inputs = inputs_of(pipeline)
    if is_fresh:
        pipeline.store.forget("boot", inputs)

    def make(folder: Path) -> None:
        made = record.run_job(pipeline, out=out)
        found = made.result.verdict
        if found.outcome is Outcome.HOST_ERROR:
            raise HostError(f"{found.reason} (run: {made.folder})", hint=found.hint)
        (folder / _RESULT).write_bytes(result.encode(made.result))
        console = made.result.files.get("console")
        (folder / _CONSOLE).write_bytes((made.folder / console).read_bytes() if console else b"")
        (folder / _FOLDER).write_text(str(made.folder))

    entry = pipeline.store.get_or_make("boot", inputs, make)
    folder = Path((entry.path / _FOLDER).read_text())
    return Kept(
        result=result.decode((entry.path / _RESULT).read_bytes()),
        console=entry.path / _CONSOLE,
        folder=folder if folder.is_dir() else None,
        is_reused=entry.cached,
    )


def inputs_of(pipeline: Pipeline) -> dict[str, str]:
    """Return all that decides the verdict of a job, each as a digest or a word."""
    job, kernel = pipeline.job, pipeline.kernel

    def digest(*values: object) -> str:
        return digest_of(msgspec.json.encode(values, enc_hook=str))

    return {
        "schema": _SCHEMA,
        "harness": __version__,
        "kernel": imageid.of(kernel.image),
        "banner": digest(kernel.release, kernel.banner),
        "scenario": digest(pipeline.scenario),
        "initramfs": pipeline.initramfs.digest,
        "boots": digest(pipeline.plans, job.compress, job.memory_mib, job.timeout_s),
        "cmdline": job.cmdline,
        "variant": pipeline.variant,
        "known splats": digest(pipeline.allowances),
        "accel": pipeline.accel,
        "qemu": toolchain_id(which(pipeline.arch.qemu), pipeline.store),
    }
