"""Renders the new warnings of a gate as SARIF 2.1.0: a run a check. Pure.

A check that ran and found nothing has a run without results; one that did not run says so.
"""

import hashlib
from urllib.parse import quote

import msgspec

from harness import printable
from harness.check_result import CheckResult, CheckRun, PatchResult, Severity, WarningResult

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_HOME = "harness check"
# Where a tool of this kind has no name for what it found.
_ANY_RULE = "warning"


def text(result: CheckResult) -> bytes:
    """Return the document."""
    clean = printable.struct(result)
    known = {check.name: check for check in clean.checks}
    named = [each.check for patch in clean.patches for each in patch.warnings_new]
    names = dict.fromkeys([*known, *named])
    document = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [_run(name, known.get(name), clean) for name in names],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def _run(name: str, check: CheckRun | None, result: CheckResult) -> dict[str, object]:
    found = [
        (patch, each)
        for patch in result.patches
        for each in patch.warnings_new
        if each.check == name
    ]
    rules = sorted({_rule(each) for _, each in found})
    driver: dict[str, object] = {"name": name, "rules": [{"id": rule} for rule in rules]}
    if check and check.version:
        driver["version"] = check.version
    invocation: dict[str, object] = {"executionSuccessful": check is None or check.ran}
    if check and not check.ran:
        said = {"level": "warning", "message": {"text": check.why}}
        invocation["toolExecutionNotifications"] = [said]
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"{_HOME}/{name}"},
        "invocations": [invocation],
        "columnKind": "unicodeCodePoints",
        "results": [_result(patch, each, rules.index(_rule(each))) for patch, each in found],
    }


def _rule(warning: WarningResult) -> str:
    return warning.flag or _ANY_RULE


def _result(patch: PatchResult, warning: WarningResult, rule: int) -> dict[str, object]:
    identity = (warning.check, warning.file, warning.flag, warning.message, warning.function)
    digest = hashlib.sha256("\0".join(identity).encode()).hexdigest()
    found: dict[str, object] = {
        "ruleId": _rule(warning),
        "ruleIndex": rule,
        "level": "error" if warning.severity is Severity.ERROR else "warning",
        "message": {"text": f"{warning.message} (patch {patch.number}: {patch.subject})"},
        "partialFingerprints": {"identity/v1": digest},
        "baselineState": "new",
    }
    if warning.file:
        place: dict[str, object] = {"artifactLocation": {"uri": quote(warning.file)}}
        if warning.line:
            place["region"] = {"startLine": warning.line}
        location: dict[str, object] = {"physicalLocation": place}
        if warning.function:
            location["logicalLocations"] = [{"name": warning.function, "kind": "function"}]
        found["locations"] = [location]
    return found
