"""Renders a gate for KCIDB, I/O schema 5.3: a checkout and a build a patch, a test a boot. Pure."""

import hashlib
import re
from collections.abc import Iterator, Sequence

import msgspec

from harness import check_cases, check_words, printable
from harness.check_cases import Status
from harness.check_result import BootResult, CheckResult, PatchResult, Severity, Word

_ORIGIN = "harness"
_COMMIT = re.compile(r"[0-9a-f]{40}")
# The schema has a message-id look like an address.
_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")
_NO_PATH = re.compile(r"[^a-zA-Z0-9_-]+")
_EXCERPT_MAX = 16384
_STATUSES = {
    Status.PASS: "PASS",
    Status.FAIL: "FAIL",
    Status.SKIP: "SKIP",
    Status.ERROR: "ERROR",
}

Object = dict[str, object]


def text(result: CheckResult) -> bytes:
    """Return the document."""
    clean = printable.struct(result)
    steps: list[PatchResult | None] = [None, *clean.patches]
    document = {
        "version": {"major": 5, "minor": 3},
        "checkouts": [_checkout(clean, each) for each in steps],
        "builds": [_build(clean, each) for each in steps],
        "tests": [test for each in steps for test in _tests(clean, each)],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def _id(result: CheckResult, patch: PatchResult | None, *more: str) -> str:
    return f"{_ORIGIN}:{'-'.join([result.id, str(patch.number if patch else 0), *more])}"


def _checkout(result: CheckResult, patch: PatchResult | None) -> Object:
    found: Object = {
        "id": _id(result, patch),
        "origin": _ORIGIN,
        "start_time": result.started,
        "comment": f"patch {patch.number}: {patch.subject}" if patch else result.base.name,
        "patchset_hash": _patchset(result.patches[: patch.number] if patch else ()),
    }
    if _COMMIT.fullmatch(result.base.commit):
        found["git_commit_hash"] = result.base.commit
    if patch is None:
        return found
    if result.message_id and _ADDRESS.fullmatch(result.message_id):
        found["message_id"] = result.message_id
    if patch.apply is not Word.SKIPPED:
        found["valid"] = patch.apply is not Word.FAILED
    return found


def _patchset(patches: Sequence[PatchResult]) -> str:
    """Return the digest that KCIDB knows patches by, made of the diffs; empty for none."""
    if not patches:
        return ""
    each = (hashlib.sha256(patch.diff.encode()).hexdigest() for patch in patches)
    return hashlib.sha256("".join(f"{digest}\n" for digest in each).encode()).hexdigest()


def _build(result: CheckResult, patch: PatchResult | None) -> Object:
    step = patch or result.base
    # A config that does not survive is as bad as a build that fails.
    word = Word.FAILED if Word.FAILED in {step.config, step.build} else step.build
    found: Object = {
        "checkout_id": _id(result, patch),
        "id": _id(result, patch, "build"),
        "origin": _ORIGIN,
        "start_time": result.started,
        "architecture": result.arch,
        "compiler": result.toolchain,
        "config_name": " + ".join([result.profile, *result.flavors, *result.kconfig]),
        "status": _STATUSES[check_cases.status_of(word)],
        "misc": {"word": word.value},
    }
    if patch:
        found["duration"] = patch.seconds
    if step.reason and word is not Word.OK:
        lines = [step.reason, *(patch.evidence if patch else [])]
        found["log_excerpt"] = "\n".join(lines)[:_EXCERPT_MAX]
    return found


def _tests(result: CheckResult, patch: PatchResult | None) -> Iterator[Object]:
    boots = patch.boots if patch else result.base.boots
    scenario = _NO_PATH.sub("_", result.scenario)
    for number, boot in enumerate(boots, 1):
        found = _test(result, patch, f"boot{number}", f"boot.{scenario}", boot.word)
        found |= {"comment": check_words.boot_name(boot.cmdline), "duration": boot.seconds}
        yield found | _excerpt(boot)
    if patch and patch.build in {Word.OK, Word.REUSED}:
        bad = [each for each in patch.warnings_new if each.severity is Severity.ERROR]
        word = Word.FAILED if bad else Word.OK
        found = _test(result, patch, "warnings", "build.warnings", word)
        if bad:
            found["log_excerpt"] = "\n".join(map(check_cases.warning, bad))[:_EXCERPT_MAX]
        yield found


def _test(
    result: CheckResult, patch: PatchResult | None, name: str, path: str, word: Word
) -> Object:
    return {
        "build_id": _id(result, patch, "build"),
        "id": _id(result, patch, name),
        "origin": _ORIGIN,
        "path": path,
        "start_time": result.started,
        "status": _STATUSES[check_cases.status_of(word)],
        "environment": {"comment": "QEMU"},
        "misc": {"word": word.value},
    }


def _excerpt(boot: BootResult) -> Object:
    if boot.word is not Word.FAILED:
        return {}
    lines = [check_words.came_to(boot), *boot.evidence]
    return {"log_excerpt": "\n".join(lines)[:_EXCERPT_MAX]}
