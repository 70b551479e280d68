"""The checks that a gate makes of the sources, what each is, and what a new warning of it means."""

from collections.abc import Mapping

import msgspec

from harness.check_result import Severity
from harness.job import CompilerWarning

OFF = "off"


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A check: what it looks at, and what its warnings mean unless a project says otherwise.

    One without a severity is only made where a project asks for it.
    """

    meaning: str
    severity: Severity | None


CHECKS: Mapping[str, Kind] = {
    "compiler": Kind(
        meaning="what the compiler warns of in the kernel's own build", severity=Severity.ERROR
    ),
    "objtool": Kind(meaning="objtool, on what was compiled", severity=Severity.ERROR),
    "modpost": Kind(meaning="modpost, on what was linked", severity=Severity.ERROR),
    "W=1": Kind(
        meaning="what the compiler warns of with W=1, in the files that a patch touches",
        severity=Severity.ERROR,
    ),
    "sparse": Kind(meaning="sparse (C=1), in these files", severity=Severity.ERROR),
    "clang": Kind(meaning="what clang warns of with W=1, in these files", severity=None),
    "kernel-doc": Kind(
        meaning="the tree's own kernel-doc, on the comments of these files", severity=Severity.ERROR
    ),
    "rst": Kind(
        meaning="the structure of the documents that a patch touches", severity=Severity.ERROR
    ),
    "uapi": Kind(
        meaning="headers for userspace, each compiled alone in C90 and C++",
        severity=Severity.ERROR,
    ),
    "checkpatch": Kind(
        meaning="the tree's own scripts/checkpatch.pl, on the patch", severity=Severity.WARNING
    ),
    "tags": Kind(
        meaning="Signed-off-by, Fixes, Link and their like, in the message",
        severity=Severity.WARNING,
    ),
}


def severity_of(check: str, wanted: Mapping[str, str]) -> str:
    """Return what a new warning of a check means, or `off`; `wanted` is what a project says."""
    default = CHECKS[check].severity
    return wanted.get(check, default.value if default else OFF)


def check_of(warning: CompilerWarning, *, otherwise: str) -> str:
    """Return the check that a warning is of; `otherwise`, if it does not say so itself."""
    return warning.flag if warning.flag in CHECKS else otherwise
