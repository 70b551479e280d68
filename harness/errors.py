"""The outcomes, the exceptions and the exit codes; one table for each.

Three families, by who is at fault: the user's words (`UsageError`), the kernel under test
(`SubjectError`), this machine or this tool (`HostError`). They are never mixed.
"""

from enum import StrEnum


class Outcome(StrEnum):
    """What came of a job, in one word."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    PANIC = "panic"
    OOPS = "oops"
    WARN = "warn"
    HANG = "hang"
    RESET = "reset"
    NO_OUTPUT = "no-output"
    APPLY_FAILED = "apply-failed"
    CONFIG_LOST = "config-lost"
    BUILD_FAILED = "build-failed"
    HOST_ERROR = "host-error"


EXIT_USAGE = 2
EXIT_UNTESTABLE = 125
EXIT_HOST = 128
EXIT_INTERRUPTED = 130

EXIT_CODES: dict[Outcome, int] = {
    Outcome.PASS: 0,
    Outcome.FAIL: 1,
    Outcome.PANIC: 1,
    Outcome.OOPS: 1,
    Outcome.WARN: 1,
    Outcome.HANG: 1,
    Outcome.RESET: 1,
    Outcome.NO_OUTPUT: 1,
    # `git bisect run` skips a commit on 125 and on nothing else.
    Outcome.APPLY_FAILED: EXIT_UNTESTABLE,
    Outcome.CONFIG_LOST: EXIT_UNTESTABLE,
    Outcome.BUILD_FAILED: EXIT_UNTESTABLE,
    # From 128 on `git bisect run` stops: a broken host says nothing of the commit.
    Outcome.HOST_ERROR: EXIT_HOST,
}

# What --help and docs/verdicts.md show; a test holds the latter against this table.
EXIT_CODE_HELP: tuple[tuple[int, str], ...] = (
    (0, "pass"),
    (1, "finding: fail, panic, oops, warn, hang, reset, no-output"),
    (EXIT_USAGE, "usage: the command line or a file it names is wrong"),
    (EXIT_UNTESTABLE, "untestable: apply-failed, config-lost, build-failed"),
    (EXIT_HOST, "host-error: this machine or the tool, never the kernel under test"),
    (EXIT_INTERRUPTED, "interrupted"),
)


class HarnessError(Exception):
    """Base of all errors the tool raises on purpose.

    `message` is one line: what, where, what was expected. `hint` is what to do next.
    """

    exit_code = EXIT_HOST

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(HarnessError):
    """The user's input is wrong: an option, a file, a series, a scenario."""

    exit_code = EXIT_USAGE


class HostError(HarnessError):
    """The question could not be asked: a missing tool, a full disk, no network."""

    exit_code = EXIT_HOST


class SubjectError(HarnessError):
    """The thing under test stopped the job before it could boot.

    `outcome` is one of apply-failed, config-lost, build-failed; `evidence` are the lines that
    show it; `log_path`, if any, holds the whole story.
    """

    exit_code = EXIT_UNTESTABLE

    def __init__(
        self,
        outcome: Outcome,
        message: str,
        *,
        evidence: tuple[str, ...] = (),
        log_path: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.outcome = outcome
        self.evidence = evidence
        self.log_path = log_path
