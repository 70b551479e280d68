"""Kernels under a user's own tests: the fixture `boot`.

def test_pivot(boot):
    assert boot(cmdline="nullfs_rootfs").observed["pivot.pivot_root"] == "0"
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# pytest loads this module in every session, those without a kernel in them too: what costs time
# is imported when a test boots.
if TYPE_CHECKING:
    from harness.result import RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted:
    """A run, as a test looks at it. `outcome` is the word (`pass`, `fail`, `panic`, …)."""

    outcome: str
    reason: str
    observed: dict[str, str]
    console: str
    result: "RunResult"
    folder: Path


@pytest.fixture(scope="session")
def boot() -> Callable[..., Booted]:
    """Return a function that runs a job and gives what came of it, whatever that is.

    Its keyword arguments are the fields of `harness.job.Job`: series, base, cmdline, scenario,
    flavors, expect, … Defaults come from the nearest harness.toml, as on the command line.
    Errors of the user's own raise `harness.errors.UsageError`.
    """
    from harness import record  # noqa: PLC0415
    from harness.cli.options import make_pipeline  # noqa: PLC0415

    def run(**job: Any) -> Booted:
        made = record.run_job(make_pipeline(quiet=True, **job))
        console = made.folder / "console.log"
        return Booted(
            outcome=made.result.verdict.outcome.value,
            reason=made.result.verdict.reason,
            observed=made.result.observations,
            console=console.read_text(errors="replace") if console.exists() else "",
            result=made.result,
            folder=made.folder,
        )

    return run
