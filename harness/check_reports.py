"""The reports of a gate by name: takes a result and the logs beside it, gives a file."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from harness import (
    check_b4,
    check_github,
    check_html,
    check_junit,
    check_kcidb,
    check_ktap,
    check_logs,
    check_mail,
    check_result,
    check_sarif,
    check_text,
)
from harness.check_logs import Logs
from harness.check_result import CheckResult
from harness.errors import HostError, UsageError


class Report(NamedTuple):
    """The file that a report is in a gate's folder, and what makes it."""

    file: str
    make: Callable[[CheckResult, Logs], str | bytes]


REPORTS: Mapping[str, Report] = {
    "text": Report("check.txt", lambda result, _: check_text.text(result, ".")),
    "html": Report("check.html", check_html.page),
    "junit": Report("junit.xml", lambda result, _: check_junit.xml(result)),
    "ktap": Report("check.ktap", lambda result, _: check_ktap.text(result)),
    "sarif": Report("check.sarif", lambda result, _: check_sarif.text(result)),
    "kcidb": Report("kcidb.json", lambda result, _: check_kcidb.text(result)),
    "summary": Report("summary.md", lambda result, _: check_github.summary(result)),
    "annotations": Report("annotations.txt", lambda result, _: check_github.annotations(result)),
    "b4": Report("b4.json", lambda result, _: check_b4.text(result)),
    "mail": Report("reply.eml", check_mail.mail),
    "json": Report("check.json", lambda result, _: check_result.encode(result)),
}


def report_of(name: str) -> Report:
    """Return the report of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in REPORTS:
        raise UsageError(f"no report {name!r}", hint=f"there are: {', '.join(REPORTS)}")
    return REPORTS[name]


def make(name: str, result: CheckResult, logs: Logs) -> bytes:
    """Return the report of that name, as it is written to a file.

    Raises:
        UsageError: there is none of that name.
    """
    made = report_of(name).make(result, logs)
    return made.encode(errors="backslashreplace") if isinstance(made, str) else made


def make_all(result: CheckResult, folder: Path) -> dict[str, bytes]:
    """Return every report by its file; `folder` is where the gate's folder is, or will be."""
    logs = read(result, folder)
    return {report.file: make(name, result, logs) for name, report in REPORTS.items()}


def write(name: str, file: Path, result: CheckResult) -> None:
    """Write a report to a file of the user's; `result` should be placed in its folder.

    Raises:
        UsageError: there is no report of that name.
        HostError: the file cannot be written.
    """
    data = make(name, result, read(result, file.parent))
    try:
        file.write_bytes(data)
    except OSError as error:
        raise HostError(f"cannot write the report {name} to {file}: {error.strerror}") from error


def read(result: CheckResult, folder: Path) -> Logs:
    """Read the logs that reports may show; `folder` is where the gate's folder is, or will be."""
    files: dict[str, bytes] = {}
    cut: set[str] = set()
    for name in check_logs.wanted(result):
        try:
            # The folder need not be there yet, so `..` is not to be looked up in it.
            with Path(os.path.normpath(folder / name)).open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - check_logs.READ_MAX))
                files[name] = file.read(check_logs.READ_MAX)
        except OSError:
            # It may have been cleared away since. The reports say that it is not there.
            continue
        if size > check_logs.READ_MAX:
            cut.add(name)
    return Logs(files=files, cut=frozenset(cut))
