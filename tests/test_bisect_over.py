"""`harness bisect` over what is no commit: kernels, patches, a command line, two .configs."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import ROOT, Harness, commit, git
from test_pipeline import NAMESPACE

from harness.bisect_kernels import version_key

Bisect = Callable[..., dict[str, Any]]

OLD = NAMESPACE % "old"
BUG = OLD.replace("=old", r"=old\n[    0.200000] Kernel panic - not syncing: no answer")
WARNS = "warn=0123456789abcdef"
MAIN = "init/main.c"


@pytest.fixture
def bisect(harness: Harness, project: Path) -> Bisect:
    """Bisect in the user's folder: what is found, as JSON."""

    def run(*arguments: str | Path, code: int = 0) -> dict[str, Any]:
        done = harness("bisect", "--json", *arguments, cwd=project)
        assert done.returncode == code, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        jsonschema.validate(found, json.loads((ROOT / "docs/bisect.schema.json").read_text()))
        return found

    return run


def series(clone: Path, **texts: str) -> Path:
    """Write a series of which each patch sets a file to a text; `a__b` is a/b.c."""
    git(clone, "checkout", "-q", "-b", "topic")
    for number, (name, text) in enumerate(texts.items(), 1):
        file, _, _ = name.partition("_at_")
        (clone / file.replace("__", "/")).with_suffix(".c").write_text(text)
        commit(clone, f"change {number}")
    folder = clone.parent / "series"
    git(clone, "format-patch", "-q", "-o", str(folder), "main")
    git(clone, "checkout", "-q", "main")
    return folder


def test_the_patches_that_it_takes_are_found_and_what_they_need(
    bisect: Bisect, clone: Path, project: Path, harness: Harness
) -> None:
    main = (clone / MAIN).read_text()
    half = OLD.replace("old", "older")
    folder = series(
        clone,
        init__main=f"{main}/* one */\n",
        fs__namespace_at_2=half,
        init__main_at_3=f"{main}/* one */\n/* three */\n",
        # It changes the line that the second has changed, so it needs that.
        fs__namespace_at_4=BUG.replace("old\\n", "older\\n"),
        init__main_at_5=f"{main}/* one */\n/* three */\n/* five */\n",
    )
    found = bisect("--patches", "--series", folder, "--tree", "linux", "--base", "main")
    assert (found["over"], found["ended"]) == ("patches", "found")
    assert found["signature"] == "panic: no answer"
    assert found["minimal"] == [
        {"name": "2", "subject": "change 2"}, {"name": "4", "subject": "change 4"}
    ]  # fmt: skip
    assert found["first_bad"] is None
    told = {each["commit"]: each["told"] for each in found["tries"]}
    assert told["2-2,4-4"] == "bad"
    assert told["4-4"] == "untestable"
    assert told["2-2"] == "good"
    status = harness("bisect", "--status", cwd=project)
    assert status.stdout.startswith("found: 2 (change 2), 4 (change 4) together brings it")


def test_the_one_parameter_that_matters_is_found(bisect: Bisect) -> None:
    line = f'one two=2 {WARNS} three four="a b" five'
    found = bisect("--tree", "linux", "--cmdline", line)
    assert (found["over"], found["total"]) == ("cmdline", 6)
    assert found["minimal"] == [{"name": WARNS, "subject": ""}]
    assert found["first_bad"]["commit"] == WARNS
    assert "WARNING" in "\n".join(found["first_bad"]["evidence"])
    assert found["first_bad"]["parent_said"].startswith("pass: ")
    # Three halves, and one boot with it alone.
    assert len(found["tries"]) <= 6
    assert found["repro"].count("--cmdline") == 1


def test_the_parameter_that_repairs_is_found(bisect: Bisect, clone: Path) -> None:
    (clone / MAIN).write_text((clone / MAIN).read_text().replace("if (has(warns", "if (!has(warns"))
    commit(clone, "warns unless it is told to")
    found = bisect("--tree", "linux", "--find", "fixed", "--cmdline", f"one {WARNS} two")
    assert found["minimal"] == [{"name": WARNS, "subject": ""}]
    assert found["looked_for"] == "fixed"


def test_a_parameter_that_changes_nothing_is_said_to(bisect: Bisect) -> None:
    found = bisect("--tree", "linux", "--cmdline", "one two", code=1)
    assert found["ended"] == "alike"


def test_the_symbols_that_it_takes_are_found_with_what_they_depend_on(
    bisect: Bisect, clone: Path, project: Path
) -> None:
    (clone / "fs/namespace.c").write_text(f"#ifdef CONFIG_NET_9P\n{BUG}#else\n{OLD}#endif\n")
    commit(clone, "a bug of Plan 9")
    (project / "a.config").write_text("# CONFIG_NET is not set\nCONFIG_HZ_250=y\n")
    (project / "b.config").write_text(
        "CONFIG_EXPERT=y\nCONFIG_NET=y\nCONFIG_NET_9P=y\nCONFIG_HZ_100=y\n"
    )
    found = bisect("--tree", "linux", "--config", "a.config", "b.config")
    assert (found["over"], found["total"]) == ("config", 5)
    assert [each["name"] for each in found["minimal"]] == ["CONFIG_NET=y", "CONFIG_NET_9P=y"]
    # Each was a .config that Kconfig itself had made.
    assert {each["told"] for each in found["tries"]} == {"good", "bad"}


def test_configs_that_make_the_same_are_no_question(harness: Harness, project: Path) -> None:
    for name in ("a.config", "b.config"):
        (project / name).write_text("CONFIG_EXPERT=y\n")
    done = harness("bisect", "--tree", "linux", "--config", "a.config", "b.config", cwd=project)
    assert done.returncode == 2
    assert "make the same .config" in done.stderr


def test_kernels_are_gone_over_by_their_versions(
    bisect: Bisect, clone: Path, project: Path, harness: Harness
) -> None:
    boot = project / "boot"
    boot.mkdir()
    releases = {"6.9.0": OLD, "6.10.0-rc2": OLD, "6.10.0": BUG, "6.10.12": BUG, "6.11.0": BUG}
    banner = (clone / MAIN).read_text()
    for release, text in releases.items():
        (clone / MAIN).write_text(banner.replace("6.99.0", release))
        (clone / "fs/namespace.c").write_text(text)
        commit(clone, release)
        built = harness("build", "--tree", "linux", cwd=project)
        assert built.returncode == 0, built.stderr
        shutil.copyfile(built.stdout.strip(), boot / f"vmlinux-{release}")
    (boot / "vmlinux-broken").write_text("no kernel\n")
    found = bisect("--kernels", "boot", "--scenario", "boot")
    assert (found["over"], found["good"]) == ("kernels", "vmlinux-6.9.0")
    assert found["first_bad"]["subject"] == "6.10.0"
    assert Path(found["first_bad"]["commit"]).name == "vmlinux-6.10.0"
    assert found["total"] == 4
    assert len(found["tries"]) == 4
    assert bisect("--kernels", "boot", "--good", "6.10.0-rc2", "--scenario", "boot")["total"] == 3
    done = harness("bisect", "--kernels", "boot", "--bad", "6.8.0", cwd=project)
    assert done.returncode == 2
    assert "--bad 6.8.0: none of the kernels is this one" in done.stderr


def test_versions_are_numbers() -> None:
    right = [
        "5.4.300", "6.1.0-9-amd64", "6.1.0-13-amd64", "6.9", "6.10-rc1", "6.10-rc11", "6.10",
        "6.10.1", "6.18.0-rc3", "6.18.0",
    ]  # fmt: skip
    keys = [version_key(each) for each in right]
    assert keys == sorted(set(keys))


def ask(harness: Harness, project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return harness("bisect", *arguments, cwd=project)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--patches", "--kernels", "."), "--kernels and --patches are two questions"),
        (("--patches", "--good", "x"), "--good and --bad are revisions, and --patches has none"),
        (("--kernels", ".", "--tree", "linux"), "a bisect over kernels has no --tree"),
        (("--kernels", "."), "needs two kernels, and there are none in ."),
        (("--patches", "--series", "none"), "nothing to take a part of: no patches"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_asked_is_said_in_a_line(
    harness: Harness, project: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = ask(harness, project, *arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr


def test_a_bisect_goes_on_where_it_was_begun_alone(
    bisect: Bisect, project: Path, harness: Harness, tmp_path: Path
) -> None:
    bisect("--tree", "linux", "--cmdline", f"one {WARNS}")
    done = harness("bisect", "--continue", cwd=tmp_path)
    assert done.returncode == 2
    assert f"cd {project}" in done.stderr
