"""Known splats: what an allow.toml may say, for which kernel it holds, and what comes of it."""

import json
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from conftest import ROOT, Harness

from harness import allow, splat_rules
from harness.errors import UsageError
from harness.job import Allowance, Splat

ROW = """\
[[allow]]
title = 'WARNING in known_(one|two)'
reason = "there before the series: https://example.org/1"
expires = 2027-03-01
"""
TODAY = date(2027, 1, 1)


def _load(tmp_path: Path, text: str) -> tuple[allow.Known, ...]:
    path = tmp_path / "allow.toml"
    path.write_text(text)
    return allow.load([path])


def _chosen(
    tmp_path: Path, text: str, *, arch: str = "x86_64", release: str = "6.18.5", today: date = TODAY
) -> tuple[Allowance, ...]:
    return allow.choose(_load(tmp_path, text), arch, release, today)


def test_a_row_is_read_whole(tmp_path: Path) -> None:
    more = ROW + 'kind = "warning"\narch = ["arm64", "x86_64"]\nkernel = ">=6.18, <6.20"\n'
    assert _chosen(tmp_path, more) == (
        Allowance(
            title="WARNING in known_(one|two)",
            reason="there before the series: https://example.org/1",
            expires=date(2027, 3, 1),
            file=tmp_path / "allow.toml",
            kind="warning",
        ),
    )
    assert _chosen(tmp_path, "") == ()


def test_files_are_those_of_scenario_settings_and_job(tmp_path: Path) -> None:
    for name, title in (("a", "one"), ("b", "two")):
        (tmp_path / name).write_text(ROW.replace("(one|two)", title))
    titles = [known.row.title for known in allow.load([tmp_path / "a", tmp_path / "b"])]
    assert titles == ["WARNING in known_one", "WARNING in known_two"]


@pytest.mark.parametrize(("day", "is_expired"), [("2027-03-01", False), ("2027-03-02", True)])
def test_it_holds_to_the_end_of_its_day(tmp_path: Path, day: str, *, is_expired: bool) -> None:
    (found,) = _chosen(tmp_path, ROW, today=date.fromisoformat(day))
    assert found.is_expired is is_expired


@pytest.mark.parametrize(
    ("kernel", "release", "is_meant"),
    [
        (">=6.18, <6.20", "6.18.0", True),
        (">=6.18, <6.20", "6.17.12", False),
        (">=6.18, <6.20", "6.19.11-arch1-1", True),
        (">=6.18, <6.20", "6.20.0", False),
        # A numeric order, not one of text.
        (">=6.9", "6.18.5", True),
        ("<6.9", "6.18.5", False),
        # The candidates of a version come before it.
        (">=6.19", "6.19.0-rc8", False),
        ("<6.19", "6.19.0-rc1", True),
        (">=6.19-rc2", "6.19.0-rc1-00012-gabcdef012345", False),
        (">=6.19-rc2", "6.19.0-rc10+", True),
        (">=6.19-rc2", "6.19.0", True),
        ("<6.19-rc10", "6.19.0-rc9", True),
        # A stable release comes after.
        ("<=6.18", "6.18.5", False),
        (">6.18", "6.18.5", True),
        (">6.18.5", "6.18.5-custom", False),
        ("==6.18.5", "6.18.5-custom", True),
        ("==6.18", "6.18.0", True),
        ("==6.18", "6.18.1", False),
        # What a distribution adds is no part of the version.
        ("<6.13", "6.12.38+deb13-cloud-amd64", True),
        # It cannot be told.
        (">=1.0", "next-20270101", False),
    ],
)
def test_kernel_versions(tmp_path: Path, kernel: str, release: str, *, is_meant: bool) -> None:
    assert bool(_chosen(tmp_path, f'{ROW}kernel = "{kernel}"\n', release=release)) is is_meant


def test_architectures(tmp_path: Path) -> None:
    text = ROW + 'arch = ["arm64"]\n'
    assert _chosen(tmp_path, text, arch="x86_64") == ()
    assert len(_chosen(tmp_path, text, arch="arm64")) == 1
    assert len(_chosen(tmp_path, ROW, release="next-20270101")) == 1


@pytest.mark.parametrize(
    ("title", "kind", "is_covered"),
    [
        ("WARNING in known_one", "warning", True),
        ("WARNING in known_one", "kasan", False),
        ("WARNING in known_one_more", "warning", False),
        ("a WARNING in known_one", "warning", False),
    ],
)
def test_the_whole_title_has_to_match(
    tmp_path: Path, title: str, kind: str, *, is_covered: bool
) -> None:
    (found,) = _chosen(tmp_path, ROW + 'kind = "warning"\n')
    rule = splat_rules.load().rules[0]
    splat = Splat(
        kind=kind, outcome=rule.outcome, title=title, frames=(), lines=(), line=1, is_complete=True
    )
    assert allow.covers(found, splat) is is_covered


BAD: list[tuple[str, str, str]] = [
    ("no TOML", "[[allow]\n", "not valid TOML: "),
    ("no title", ROW.replace("title", "#"), "missing required field `title`"),
    ("no reason", ROW.replace("reason", "#"), "missing required field `reason`"),
    ("no date", ROW.replace("expires", "#"), "missing required field `expires`"),
    ("date that is none", ROW.replace("2027-03-01", '"next spring"'), "Invalid RFC3339"),
    ("date that does not exist", ROW.replace("2027-03-01", "2027-02-30"), "not valid TOML: "),
    ("number as a date", ROW.replace("2027-03-01", "2027"), "Expected `date`, got `int`"),
    ("unknown key", ROW + 'kernle = "6.18"\n', "unknown key 'kernle' in `$.allow[0]`; did"),
    ("unknown table", ROW.replace("[[allow]]", "[[alow]]"), "unknown key 'alow'; did you mean"),
    ("empty title", ROW.replace("WARNING in known_(one|two)", " "), "[[allow]] number 1: title is"),
    (
        "empty reason",
        ROW.replace("there before the series: https://example.org/1", ""),
        "[[allow]] number 1: reason is empty",
    ),
    (
        "no expression, in the second row",
        ROW + ROW.replace("(one", "(("),
        "[[allow]] number 2 (WARNING in known_((|two)): title is no regular expression: missing )",
    ),
    ("no kind", ROW + 'kind = "wraning"\n', "is no kind of report; did you mean 'warning'?"),
    ("no architecture", ROW + 'arch = ["arm46"]\n', "unknown architecture 'arm46'; did you mean"),
    ("no architectures", ROW + "arch = []\n", "arch is empty"),
    ("no range", ROW + 'kernel = "6.18"\n', "kernel = '6.18' is no range of versions"),
    ("empty range", ROW + 'kernel = ""\n', "kernel = '' is no range of versions"),
    ("half a range", ROW + 'kernel = ">=6.18,"\n', "kernel = '>=6.18,' is no range of versions"),
    ("unknown sign", ROW + 'kernel = "~6.18"\n', "kernel = '~6.18' is no range of versions"),
    *(
        (f"blanket {title}", ROW.replace("WARNING in known_(one|two)", title), "a blanket allow")
        for title in (
            ".*", "", "(WARNING.*)?", r"[\s\S]+", ".+", "(?i)warning.*", "WARNING in .*",
            r"WARNING in \w+", r"(WARNING|BUG).*", "KASAN: .*", ".* in .*",
            "panic: .*", "oops: .*", "lockdep: .* in .*", "RCU stall.*", r"[A-Z]\w+ in \D+",
        )
        if title
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_what_is_wrong_with_a_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        _load(tmp_path, text)
    assert message in caught.value.message
    assert caught.value.message.startswith(str(tmp_path / "allow.toml"))
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "title",
    [
        "WARNING in vfs_.*", "WARNING in (foo|bar)_baz", "panic: Attempted to kill init!.*",
        "oops: NULL pointer dereference in ext4_.*", "irq: nobody cared", r"hung task in \w+_sync",
        r"KASAN: \S+ in known", "KASAN: (use-after-free|out-of-bounds) in tcp_ack",
        "panic: VFS: Unable to mount root fs",
    ],
)  # fmt: skip
def test_what_names_something_is_no_blanket(tmp_path: Path, title: str) -> None:
    assert len(_load(tmp_path, ROW.replace("WARNING in known_(one|two)", title))) == 1


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read "):
        allow.load([tmp_path / "none.toml"])


# --- in a job -------------------------------------------------------------------------------------

WARNS = "warn=0123456789abcdef"
SEEN = "WARNING in standin_warns"


def _row(title: str = "WARNING in standin_.*", *, days: int = 30, more: str = "") -> str:
    day = datetime.now(UTC).date() + timedelta(days=days)
    return f"[[allow]]\ntitle = '{title}'\nreason = \"as ever\"\nexpires = {day}\n{more}\n"


def _boot(harness: Harness, project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return harness("boot", "--tree", "linux", *arguments, cwd=project)


def test_a_known_splat_is_no_finding_and_is_told(harness: Harness, project: Path) -> None:
    done = _boot(harness, project, "--cmdline", WARNS)
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, f"warn: {SEEN}")
    (project / "known").write_text(_row())
    done = _boot(harness, project, "--cmdline", WARNS, "--allow", "known")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING in standin_.*  1 report, until 2" in done.stdout
    assert "--allow" in _result(harness, project)["repro"]
    row = _result(harness, project)["allowances"][0]
    assert (row["splats"], row["expired"], row["reason"]) == (1, False, "as ever")


def _result(harness: Harness, project: Path) -> dict:  # type: ignore[type-arg]
    found: dict = json.loads(harness("show", "--json", cwd=project).stdout)  # type: ignore[type-arg]
    return found


def test_no_splat_excuses_what_is_missing(harness: Harness, project: Path) -> None:
    (project / "allow.toml").write_text(_row())
    done = _boot(harness, project, "--cmdline", f"{WARNS} hang=yes", "--timeout", "2")
    assert (done.returncode, done.stdout[:5]) == (1, "hang:")


COMES: tuple[tuple[str, str, int, str], ...] = (
    # It is what came, and it has expired.
    (WARNS, _row(days=-1), 1, "warn"),
    # Nothing came, and it has expired all the same.
    ("", _row(days=-1), 1, "fail"),
    ("", _row(), 0, "pass"),
    # It is about another kernel.
    ("", _row(days=-1, more='kernel = "<6.99"'), 0, "pass"),
    ("", _row(days=-1, more='arch = ["arm64"]'), 0, "pass"),
    (WARNS, _row(more='kernel = "<6.99"'), 1, "warn"),
    (WARNS, _row(more='kernel = ">=6.99"'), 0, "pass"),
)


def test_what_comes_of_it(harness: Harness, project: Path) -> None:
    for words, row, code, outcome in COMES:
        (project / "allow.toml").write_text(row)
        done = _boot(harness, project, "--cmdline", words)
        assert (done.returncode, done.stdout.partition(":")[0]) == (code, outcome), row
        is_held = not any(text in row for text in ('"<6.99"', "arm64"))
        assert len(_result(harness, project)["allowances"]) == is_held
        assert ("renew or remove it" in done.stdout) == (is_held and code == 1)


def test_one_that_nothing_needed_is_reported(harness: Harness, project: Path) -> None:
    (project / "allow.toml").write_text(_row() + _row("WARNING in elsewhere"))
    done = _boot(harness, project, "--cmdline", WARNS)
    assert done.returncode == 0
    assert "WARNING in elsewhere  unused, until " in done.stdout
    assert [row["splats"] for row in _result(harness, project)["allowances"]] == [1, 0]


def test_of_many_rounds_all_splats_count(harness: Harness, project: Path) -> None:
    (project / "allow.toml").write_text(_row() + _row("WARNING in elsewhere", days=-1))
    done = _boot(harness, project, "--cmdline", WARNS, "--repeat", "5")
    assert (done.returncode, done.stdout[:5]) == (1, "fail:")
    assert "otherwise: pass: pass 5/5" in done.stdout
    assert [row["splats"] for row in _result(harness, project)["allowances"]] == [5, 0]


def test_settings_and_scenarios_have_their_own(harness: Harness, project: Path) -> None:
    mine = project / "initramfs/mine"
    mine.mkdir(parents=True)
    (mine / "scenario.toml").write_text(
        'title = "t"\nflows = ["one"]\nexpectations = "none"\nsources = []\n'
    )
    asked = ("--scenario", "mine", "--cmdline", WARNS)
    assert _boot(harness, project, *asked).returncode == 1
    (mine / "allow.toml").write_text(_row())
    done = _boot(harness, project, *asked)
    assert done.returncode == 0, done.stdout
    # What is allowed is no part of what is built.
    assert {stage["name"]: stage["cached"] for stage in _result(harness, project)["stages"]} == {
        "apply": True, "config": True, "build": True, "initramfs": True, "boot": False,
    }  # fmt: skip
    (mine / "allow.toml").unlink()
    settings = project / "harness.toml"
    settings.write_text(settings.read_text() + 'allow = "known/mine.toml"\n')
    (project / "known").mkdir()
    (project / "known/mine.toml").write_text(_row())
    assert _boot(harness, project, *asked).returncode == 0
    (project / "known/mine.toml").unlink()
    done = _boot(harness, project, *asked)
    assert done.returncode == 2
    assert done.stderr == f"error: {settings}: allow = 'known/mine.toml': no such file\n"


def test_a_bad_file_is_said_before_anything_is_built(harness: Harness, project: Path) -> None:
    (project / "allow.toml").write_text(_row(".*"))
    done = _boot(harness, project)
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"error: {project}/allow.toml: [[allow]] number 1 (.*): a blanket"
    )
    assert "build" not in done.stderr


def test_the_tools_own_are_not_due() -> None:
    for path in (ROOT / "initramfs").glob("*/allow.toml"):
        assert allow.load([path])
