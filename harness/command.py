"""Takes a job, gives the command line that runs it again. Pure."""

import shlex

from harness.job import Job

_NONE_ASKED = Job()


def of(job: Job) -> str:
    """Return the command line that runs `job` again."""
    words = ["harness", "boot"]
    for option, value, default in (
        # A kernel of the user's own has no series that the tool could name.
        ("--series", _NONE_ASKED.series if job.kernel else job.series, _NONE_ASKED.series),
        ("--base", job.base, None),
        ("--tree", job.tree, None),
        ("--kernel", job.kernel, None),
        ("--profile", job.profile, _NONE_ASKED.profile),
        ("--arch", job.arch, _NONE_ASKED.arch),
        ("--toolchain", job.toolchain, _NONE_ASKED.toolchain),
        ("--scenario", job.scenario, None),
        ("--cmdline", job.cmdline, ""),
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
    if job.until_fail:
        words.append("--until-fail")
    return shlex.join(words)
