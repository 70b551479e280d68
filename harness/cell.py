"""`python -m harness.cell`: one job in a process of its own, by JSON on stdin and stdout.

A matrix starts these, and not threads: a job has a store, a terminal's ^C and children of its own.
"""

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

import msgspec

from harness import document
from harness.errors import EXIT_INTERRUPTED, UsageError
from harness.job import Job


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A job, and the folder that its run goes into, if not the usual one."""

    job: Job
    out: Path | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `outcome` is an `Outcome` or `USAGE`; `run` is the run's folder, if any.

    `boot_s` is None if it never booted.
    """

    outcome: str
    reason: str
    run: str | None
    seconds: float
    boot_s: float | None = None
    hint: str | None = None


USAGE = "usage"


def encode(value: msgspec.Struct) -> bytes:
    """Return a `Task` or a `Done` as JSON."""
    return msgspec.json.encode(value, enc_hook=os.fspath)


def decode_task(data: bytes) -> Task:
    """Read a `Task` back."""
    return msgspec.json.decode(data, type=Task, dec_hook=document.decode_path)


def decode_done(data: bytes) -> Done:
    """Read a `Done` back.

    Raises:
        msgspec.DecodeError: the process wrote something else.
    """
    return msgspec.json.decode(data, type=Done)


def run(task: Task) -> Done:
    """Run a job in this process.

    Raises:
        HostError: the run cannot be written.
    """
    # In the process that only passes tasks on, these need not be imported.
    from harness import paths, record, settings  # noqa: PLC0415
    from harness.pipeline import Pipeline  # noqa: PLC0415
    from harness.store import Store  # noqa: PLC0415

    started = time.monotonic()
    pipeline = Pipeline(
        task.job, settings=settings.load(Path.cwd()), store=Store(paths.cache_dir())
    )
    try:
        made = record.run_job(pipeline, out=task.out)
    except UsageError as error:
        seconds = time.monotonic() - started
        return Done(outcome=USAGE, reason=error.message, run=None, seconds=seconds, hint=error.hint)
    result = made.result
    return Done(
        outcome=result.verdict.outcome.value,
        reason=result.verdict.reason,
        run=str(made.folder),
        seconds=round(time.monotonic() - started, 2),
        boot_s=result.boot.seconds if result.boot else None,
        hint=result.verdict.hint,
    )


def main() -> None:
    """Run the job on stdin."""
    # Asked to end, it ends its own children first.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        done = run(decode_task(sys.stdin.buffer.read()))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    sys.stdout.buffer.write(encode(done))


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
