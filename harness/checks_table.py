"""The checks that a gate makes of the sources, what each is, and what a new warning of it means."""

from collections.abc import Mapping

import msgspec

from harness.check_result import Severity
from harness.job import CompilerWarning
from harness.toolchain import Toolchain

OFF = "off"


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A check: what it looks at, and what its warnings mean unless a project says otherwise."""

    meaning: str
    severity: Severity


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
    "kernel-doc": Kind(meaning="kernel-doc comments, in these files", severity=Severity.ERROR),
    "checkpatch": Kind(
        meaning="the tree's own scripts/checkpatch.pl, on the patch", severity=Severity.WARNING
    ),
    "tags": Kind(
        meaning="Signed-off-by, Fixes, Link and their like, in the message",
        severity=Severity.WARNING,
    ),
}


def check_of(warning: CompilerWarning, *, is_extra: bool) -> str:
    """Return the check that a warning of a build is of; `is_extra` if it was asked for by W=1."""
    if warning.flag in ("sparse", "kernel-doc", "objtool", "modpost"):
        return warning.flag
    return "W=1" if is_extra else "compiler"


def version_of(check: str, toolchain: Toolchain) -> str:
    """Return the version of what makes a check of the build's; "" if it has none of its own."""
    return toolchain.identity if check in ("compiler", "W=1") else ""
