"""Takes a job, gives the command line that runs it again. Pure."""

import shlex
from collections.abc import Sequence

from harness.job import Job

_NONE_ASKED = Job()


def of(job: Job) -> str:
    """Return the command line that runs `job` again."""
    # A kernel of the user's own has no series that the tool could name.
    series = _NONE_ASKED.series if job.kernel else job.series
    words = ["--series", series] if series != _NONE_ASKED.series else []
    return shlex.join(["harness", "boot", *words, *words_of(job, (job.cmdline,))])


def of_check(job: Job, cmdlines: Sequence[str], *, against: str | None = None) -> str:
    """Return the command line that checks the series of `job` again."""
    more = ["--against", against] if against else []
    return shlex.join(["harness", "check", job.series, *words_of(job, cmdlines), *more])


def words_of(job: Job, cmdlines: Sequence[str]) -> list[str]:
    """Return the options that make `job`, but for its series, with each of the command lines."""
    words: list[str] = []
    for option, value, default in (
        ("--base", job.base, None),
        ("--tree", job.tree, None),
        ("--kernel", job.kernel, None),
        ("--profile", job.profile, _NONE_ASKED.profile),
        ("--arch", job.arch, _NONE_ASKED.arch),
        ("--toolchain", job.toolchain, _NONE_ASKED.toolchain),
        ("--scenario", job.scenario, None),
        *(("--cmdline", line, "" if len(cmdlines) == 1 else None) for line in cmdlines),
        ("--expect", job.expect, None),
        ("--timeout", job.timeout_s and f"{job.timeout_s:g}", None),
        ("--memory", job.memory_mib, _NONE_ASKED.memory_mib),
        ("--compress", job.compress, _NONE_ASKED.compress),
        ("--repeat", job.repeat, None),
    ):
        if value != default:
            words += [option, str(value)]
    for option, values in (
        ("--flavor", job.flavors),
        ("--kconfig", job.kconfig),
        ("--flow", job.flows),
        ("--kselftest", job.kselftests),
        ("--allow", job.allow),
    ):
        for value in values:
            words += [option, str(value)]
    return [*words, "--until-fail"] if job.until_fail else words
