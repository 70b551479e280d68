"""The repository's own rules: style, types, imports one way, documents that are true."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT

from harness import bisect_result, check_result, result
from harness.cli import VERBS
from harness.errors import EXIT_CODE_HELP, EXIT_CODES, Outcome

BIN = Path(sys.executable).parent

# From the bottom up: a module may import only what stands above it here. The stages stand in the
# order in which they run.
# fmt: off
ORDER = (
    *("document", "errors", "printable", "job", "paths", "faults", "log"),
    *("environment", "processes", "proc"),
    *("lock", "store", "notes"),
    *("strict_toml", "limits", "sandbox", "products"),
    *("arch", "toolchain", "settings_file", "settings", "gitrepo"),
    *("subset", "series_file", "mail", "diffpaths", "thread", "folder", "series"),
    *("tarball", "kernel_org", "apt", "debian", "source"),
    *("gitpack", "gitmend", "base", "clone", "apply", "tree"),
    *("lane", "outdir", "builddir", "buildlog", "makefault"),
    *("kconfig_language", "kconfig_why", "kconfig_make", "kconfig", "built", "compiled",
      "complaints", "kernel_entry", "build"),
    *("packages", "cpio", "initramfs", "programs", "initrd", "disk", "compress", "accel"),
    *("image", "unpack", "needs", "foreign"),
    *("params", "cmdline", "machine", "ending", "capture", "qmp"),
    *("guesttime", "progress", "watch", "functions", "postmortem", "boot", "calibrate"),
    *("lines", "ktap", "patterns", "frames", "splat_rules", "splats", "console"),
    *("prefixes", "symbols"),
    *("scenario_file", "scenario", "allow"),
    *("kselftest", "kselftest_build", "selection"),
    *("evidence", "logwatch", "causes", "hangpoint", "aftermath", "verdict"),
    *("stages", "boots", "tally", "repeat", "outfit", "pipeline"),
    *("result", "parsed", "runs", "report", "claims", "command", "rounds"),
    *("bootresult", "host", "record"),
    *("observations", "observe", "diff", "sides", "tables"),
    *("check_result", "blobs", "uncompiled", "checks_table", "warningdiff", "filecheck"),
    *("checkpatch", "tags", "kerneldoc", "rst_reader", "rst", "uapi", "checkers", "lint"),
    *("kernelchange", "imageid", "bootcache", "gate_step", "gate", "gate_ledger", "gate_sources",
      "gate_faults", "gate_patch", "gate_verdict", "intake", "gates", "measures",
      "check_logs", "check_words", "check_text", "check_diff", "check_console", "check_html",
      "mailtext", "check_cases", "check_junit", "check_ktap", "check_sarif", "check_kcidb",
      "check_github", "check_b4", "check_mail", "check_reports", "check"),
    *("signature", "posterior", "bisect_history", "bisect_state", "bisect_config", "bisect_over",
      "bisect_kernels", "bisect"),
    *("bisect_skipped", "bisect_result", "bisect_report", "bisect_mail"),
    *("matrix_file", "matrix", "matrix_order", "cell", "matrix_result", "matrix_run"),
    *("matrix_report", "matrix_check", "gc", "doctor", "shell", "scaffold"),
    *("cli", "pytest_plugin", "__main__"),
)
# fmt: on

# Who alone may import what.
ALONE = {
    "subprocess": {"proc"},
    "pexpect": {"boot"},
    "virtme": {"machine"},
    "jinja2": {"kconfig", "check_html", "bisect_report"},
    "click": {"cli"},
}

PURE = (
    "patterns",
    "frames",
    "splat_rules",
    "splats",
    "console",
    "prefixes",
    "scenario",
    "selection",
    "logwatch",
    "progress",
    "hangpoint",
    "verdict",
    "tally",
    "observations",
    "diff",
    "matrix",
    "matrix_order",
    "gate_faults",
    "gate_patch",
    "gate_verdict",
    "check_logs",
    "check_words",
    "check_text",
    "check_diff",
    "check_console",
    "check_html",
    "check_cases",
    "check_junit",
    "check_ktap",
    "check_sarif",
    "check_kcidb",
    "check_github",
    "check_b4",
    "check_mail",
    "signature",
    "posterior",
    "subset",
    "bisect_report",
    "bisect_skipped",
    "bisect_mail",
    "mailtext",
)
IMPURE = {"os", "time", "socket", "datetime", "subprocess", "shutil", "tempfile", "random"}


def modules() -> list[tuple[str, Path]]:
    """Return (name, path) of each module; those of cli count as one."""
    found = []
    for path in sorted((ROOT / "harness").glob("**/*.py")):
        relative = path.relative_to(ROOT / "harness")
        if relative.parts[0] == "__init__.py":
            continue
        found.append((relative.parts[0].removesuffix(".py"), path))
    return found


def imports_of(path: Path) -> set[str]:
    """Return all that a module imports, at its top or within a function, by dotted name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_every_module_has_its_place_in_the_order() -> None:
    assert {name for name, _ in modules()} == set(ORDER)


def test_imports_point_one_way() -> None:
    back = []
    for name, path in modules():
        for target in imports_of(path):
            parts = target.split(".")
            if parts[0] != "harness" or len(parts) < 2 or parts[1] not in ORDER:
                continue
            if parts[1] != name and ORDER.index(parts[1]) > ORDER.index(name):
                back.append(f"{path.name} imports {parts[1]}")
    assert back == []


def test_what_one_module_owns_no_other_imports() -> None:
    wrong = [
        f"{path.name} imports {target}"
        for name, path in modules()
        for target in imports_of(path)
        for owned, owners in ALONE.items()
        if target.split(".")[0] == owned and name not in owners
    ]
    assert wrong == []


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_touch_nothing(name: str) -> None:
    imported = {target.split(".")[0] for target in imports_of(ROOT / f"harness/{name}.py")}
    assert not imported & IMPURE


def test_modules_and_functions_stay_small() -> None:
    long = []
    for _, path in modules():
        text = path.read_text()
        # A list of values has no length at which it is hard to follow.
        if text.count("\n") > 300 and path.name != "job.py":
            long.append(f"{path.name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                if length > 50:
                    long.append(f"{path.name}: {node.name} {length} lines")
    assert long == []


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "--no-cache"],
        ["ruff", "format", "--check", "--no-cache"],
        ["mypy"],
        ["zizmor", "--offline", "--quiet", ".github"],
        ["check-jsonschema", "--builtin-schema", "vendor.github-actions",
         str(ROOT / ".github/actions/harness/action.yml")],
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *(
            str(path) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))
        )],
    ],
    ids=lambda command: " ".join(command[:3]),
)  # fmt: skip
def test_linters_find_nothing(command: list[str]) -> None:
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_actions_are_pinned_by_digest() -> None:
    loose = [
        line.strip()
        for path in (ROOT / ".github").rglob("*.yml")
        for line in path.read_text().splitlines()
        if "uses:" in line and not re.search(r"@[0-9a-f]{40} # v", line)
    ]
    assert loose == []


def test_the_lock_has_hashes_and_names_no_index() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert not re.search(r"^--?(index|extra|find)", lock, re.MULTILINE)
    pinned = re.findall(r"^[\w.-]+==", lock, re.MULTILINE)
    assert pinned
    hashed = re.findall(r"^[\w.-]+==.*\\\n    --hash=", lock, re.MULTILINE)
    assert len(pinned) == len(hashed)


def test_bootstrap_installs_what_doctor_looks_for() -> None:
    tools = tomllib.loads((ROOT / "harness/data/tools.toml").read_text())
    text = (ROOT / "bootstrap").read_text()
    tables = (text.partition(f"\n{name}='")[2].partition("'")[0]
              for name in ("needed", "tested_with"))  # fmt: skip
    installed = {row.split()[1] for table in tables for row in table.strip().splitlines()}
    installed -= {"python3"}
    optional = [row for row in tools.values() if row["needed"].startswith(("nice", "--"))]
    # The tests may want what a user need not have.
    known = {row["debian"] for row in tools.values()}
    assert {row["debian"] for row in tools.values() if row not in optional} <= installed <= known


def test_every_outcome_has_its_exit_code() -> None:
    assert set(EXIT_CODES) == set(Outcome)


@pytest.mark.parametrize("name", ["README.md", "docs/verdicts.md"])
def test_documents_show_the_exit_codes(name: str) -> None:
    text = (ROOT / name).read_text()
    for code, meaning in EXIT_CODE_HELP:
        assert f"| {code} | {meaning} |" in text


def test_verdicts_document_names_every_outcome() -> None:
    text = (ROOT / "docs/verdicts.md").read_text()
    assert [outcome for outcome in Outcome if f"`{outcome.value}`" not in text] == []


def test_reports_document_has_the_kinds_of_the_rules() -> None:
    kinds = tomllib.loads((ROOT / "harness/data/splats.toml").read_text())["kinds"]
    rows = [
        f"| `{kind}` | {outcome} | {meaning} |"
        for kind, (outcome, meaning) in kinds.items()
        if outcome != Outcome.PASS
    ]
    table = re.findall(r"^\| `.*$", (ROOT / "docs/reports.md").read_text(), re.MULTILINE)
    assert table == rows


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("run", result.json_schema()),
        ("check", check_result.json_schema()),
        ("bisect", bisect_result.json_schema()),
    ],
    ids=["run", "check", "bisect"],
)
def test_the_published_schema_is_that_of_the_structs(name: str, schema: bytes) -> None:
    published = json.loads((ROOT / f"docs/{name}.schema.json").read_text())
    assert published == json.loads(schema)


def test_documented_verbs_exist() -> None:
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for verb in re.findall(
            r"^ {4}(?:\./bootstrap )?harness ([a-z-]+)", path.read_text(), re.MULTILINE
        ):
            assert verb in VERBS, f"{path.name}: harness {verb}"


def test_no_file_is_large() -> None:
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.split(b"\0")
    large = [
        name for name in filter(None, names)
        if (ROOT / name.decode()).is_file() and (ROOT / name.decode()).stat().st_size > 1_000_000
    ]  # fmt: skip
    assert large == []


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shell_scripts_are_clean() -> None:
    initrds = [str(path) for path in (ROOT / "initramfs").glob("*/initrds/*")]
    done = subprocess.run(
        [
            "shellcheck",
            "-x",
            "-P",
            "SCRIPTDIR",
            "bootstrap",
            ".ci/run",
            "harness/data/sandbox.sh",
            ".github/actions/harness/check.sh",
            *initrds,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
