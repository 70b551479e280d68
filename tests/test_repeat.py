"""Many rounds of one job: how they are counted, what is kept of them, and how they end."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import ROOT, Harness, on_a_terminal
from hypothesis import given
from hypothesis import strategies as st
from test_boots import _qemus, _wait_for
from test_boots import several as several  # noqa: PLC0414 - a fixture

from harness import runs, tally
from harness.boots import Batch
from harness.errors import Outcome
from harness.job import (
    Booted,
    BootPlan,
    BootSpec,
    Console,
    EndReason,
    Kernel,
    Transcript,
    Verdict,
)

HALF = "warn=01234567"
ALWAYS = "warn=0123456789abcdef"


def _boot(harness: Harness, project: Path, *arguments: str, **more: Any) -> Any:
    return harness("boot", "--tree", "linux", *arguments, cwd=project, **more)


def _folder() -> Path:
    return runs.find(None)


# --- on the stand-in kernel -----------------------------------------------------------------------


def test_what_comes_of_rounds_is_a_distribution(harness: Harness, project: Path) -> None:
    done = _boot(harness, project, "--cmdline", HALF, "--repeat", "25", "--json")
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout)
    jsonschema.validate(result, json.loads((ROOT / "docs/run.schema.json").read_text()))
    made = result["repeat"]
    by_outcome = {way["outcome"]: way for way in made["ways"]}
    assert set(by_outcome) == {"pass", "warn"}
    passed, warned = by_outcome["pass"]["rounds"], by_outcome["warn"]["rounds"]
    assert (made["asked"], made["done"], made["boots"], passed + warned) == (25, 25, 25, 25)
    assert (made["passed"], made["host_errors"], made["interrupted"]) == (passed, 0, False)
    assert by_outcome["warn"]["title"] == "WARNING in standin_warns"
    assert made["pass_rate"]["low"] < passed / 25 < made["pass_rate"]["high"]
    assert 0 < made["seconds"]["min"] <= made["seconds"]["median"] <= made["seconds"]["max"]
    first = by_outcome["warn"]["kept"][0]
    assert made["decided_by"] == first
    reason = f"round {first}: WARNING in standin_warns; pass {passed}/25, warn {warned}/25 ("
    assert result["verdict"]["reason"].startswith(reason)
    assert result["repro"].endswith("--repeat 25")

    # Kept are the first that passed and the first ten that did not, each with its own nonce.
    assert [len(by_outcome[word]["kept"]) for word in ("pass", "warn")] == [1, min(warned, 10)]
    nonces = set()
    for boot in result["boots"]:
        log = (_folder() / boot["files"]["console"]).read_text()
        nonce = re.findall(r"harness\.nonce=(\w+)", log)[0]
        assert boot["files"]["console"] == f"rounds/{boot['round']}/console.log"
        assert (boot["outcome"] == "warn") == ("standin_warns" in log) == (nonce[0] in "01234567")
        nonces.add(nonce)
    assert len(nonces) == 1 + len(by_outcome["warn"]["kept"])
    assert sorted(path.name for path in (_folder() / "rounds").iterdir()) == sorted(
        str(boot["round"]) for boot in result["boots"]
    )
    assert result["files"]["console"] == f"rounds/{first}/console.log"
    again = subprocess.run(
        ["sh", _folder() / result["files"]["repro"]], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert again.returncode == 33
    assert "standin_warns" in again.stdout

    shown = harness("show").stdout
    assert re.search(rf"^ +{warned}  warn +WARNING in standin_warns$", shown, re.MULTILINE)
    assert re.search(r"^  rounds +25$", shown, re.MULTILINE)


def test_it_passes_if_all_rounds_do(harness: Harness, project: Path) -> None:
    done = _boot(harness, project, "--repeat", "20")
    assert done.returncode == 0
    assert done.stdout.startswith(
        "pass: pass 20/20 (pass rate 83.89% to 100.00%, Wilson 95 %); all"
    )
    # The first, and a line a tenth.
    said = [line for line in done.stderr.splitlines() if line.startswith("rounds")]
    assert len(said) == 11
    assert said[-1] == "rounds    20/20: pass 20/20"
    assert [path.name for path in (_folder() / "rounds").iterdir()] == ["1"]


def test_what_is_new_is_said_when_it_happens(harness: Harness, project: Path) -> None:
    done = _boot(harness, project, "--cmdline", ALWAYS, "--repeat", "20")
    said = [line for line in done.stderr.splitlines() if line.startswith("rounds")]
    assert said[0] == "rounds    1/20: pass 0/1, warn 1/1"
    assert len(said) == 11


def test_a_terminal_has_a_line_that_counts(project: Path) -> None:
    shown = on_a_terminal("boot", "--tree", "linux", "--repeat", "8", cwd=project)
    assert re.search(rb"\r\x1b\[Krounds: [2-7]/8: pass [2-7]/[2-7]", shown)
    assert b"\nrounds" not in shown


def test_until_fail_ends_at_the_first_finding(harness: Harness, project: Path) -> None:
    done = _boot(harness, project, "--cmdline", HALF, "--until-fail", "--json")
    assert done.returncode == 1
    result = json.loads(done.stdout)
    made = result["repeat"]
    assert (made["asked"], made["until_fail"], made["stopped"]) == (
        None,
        True,
        "a finding, as asked",
    )
    # Others that were under way may have ended at the same moment.
    assert 1 <= made["done"] - made["passed"] <= 4
    assert result["verdict"]["outcome"] == "warn"
    assert result["repro"].endswith("--until-fail")


def test_until_fail_has_a_bound_where_one_is_given(harness: Harness, project: Path) -> None:
    done = _boot(harness, project, "--until-fail", "--repeat", "7", "--json")
    assert done.returncode == 0
    made = json.loads(done.stdout)["repeat"]
    assert (made["asked"], made["done"], made["stopped"]) == (7, 7, "")


def test_hangs_are_counted_too(harness: Harness, project: Path) -> None:
    asked = ("--cmdline", "hang=yes", "--timeout", "5", "--repeat", "2", "--json")
    done = _boot(harness, project, *asked)
    result = json.loads(done.stdout)
    assert done.returncode == 1
    (way,) = result["repeat"]["ways"]
    assert (way["outcome"], way["rounds"], way["kept"]) == ("hang", 2, [1, 2])


def test_a_round_has_all_boots_of_a_job(harness: Harness, several: Path) -> None:
    asked = ("--scenario", "several", "--flow", "all", "--repeat", "2")
    done = _boot(harness, several, *asked)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^  rounds +2, 6 boots$", done.stdout, re.MULTILINE)
    result = runs.read(_folder())
    assert [(boot.round, boot.name) for boot in result.boots] == [
        (1, "one"), (1, "two"), (1, "four")
    ]  # fmt: skip
    assert result.boots[1].files["console"] == "rounds/1/boots/two/console.log"
    assert len(result.expectations) == 6

    path = several / "initramfs/several/scenario.toml"
    path.write_text(path.read_text().replace("quiet_as_can_be", "hang=yes"))
    done = _boot(harness, several, *asked, "--timeout", "5")
    assert done.returncode == 1
    assert done.stdout.startswith("hang: round 1: boot two: ")
    result = runs.read(_folder())
    assert result.repeat is not None
    assert (result.repeat.done, result.repeat.boots) == (2, 4)
    assert [(each.name, each.reason) for each in result.not_booted] == [
        ("four", "boot two ended in hang")
    ]


# --- interrupted ----------------------------------------------------------------------------------


def _interrupt(project: Path, *arguments: str, when: Callable[[str], bool]) -> tuple[int, str, str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "harness", "boot", "--tree", "linux", *arguments],
        cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert child.stderr is not None
    said = ""
    for line in child.stderr:
        said += line
        if when(line):
            break
    _wait_for(lambda: bool(_qemus(child.pid)))
    os.kill(child.pid, signal.SIGINT)
    out, rest = child.communicate(timeout=15)
    _wait_for(lambda: not _qemus(child.pid))
    return child.returncode, out, said + rest


@pytest.mark.parametrize(
    ("arguments", "head"),
    [
        (
            ("--repeat", "100000"),
            r"host-error: interrupted after (\d+) of 100000 rounds: pass \1/\1 ",
        ),
        # Nobody said how many there should be.
        (("--until-fail",), r"pass: pass (\d+)/\1 \(pass rate .*; all 2 expectations hold"),
        (
            ("--repeat", "100000", "--cmdline", ALWAYS),
            r"warn: round 1: WARNING in .* warn (\d+)/\1 ",
        ),
    ],
)
def test_interrupted_it_gives_what_there_is(
    project: Path, arguments: tuple[str, ...], head: str
) -> None:
    code, out, err = _interrupt(project, *arguments, when=lambda line: line.startswith("rounds"))
    assert code == 130
    assert err.endswith("interrupted\n")
    assert "Traceback" not in err
    match = re.match(head, out)
    assert match, out
    result = runs.read(_folder())
    assert result.repeat is not None
    assert (result.repeat.done, result.repeat.interrupted) == (int(match[1]), True)
    assert result.repeat.stopped == "interrupted"


def test_interrupted_before_anything_is_known_it_leaves_nothing(project: Path) -> None:
    code, out, err = _interrupt(
        project, "--repeat", "9", "--cmdline", "hang=yes", when=lambda line: line[:9] == "initramfs"
    )
    assert (code, out, err.splitlines()[-1]) == (130, "", "interrupted")
    assert not runs.runs_dir().exists()


# --- the host's faults ----------------------------------------------------------------------------


@pytest.fixture
def frail(tmp_path: Path) -> dict[str, str]:
    """A QEMU that dies as soon as it is to boot: the first, or each where `always` is beside it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    found = subprocess.run(
        ["sh", "-c", "command -v qemu-system-x86_64"], capture_output=True, text=True, check=True
    )
    program = folder / "qemu-system-x86_64"
    program.write_text(
        f"""#!/bin/sh
case "$*" in
*harness.nonce=*)
    if [ -e {folder}/always ] || mkdir {folder}/died 2>/dev/null; then kill -9 $$; fi ;;
esac
exec {found.stdout.strip()} "$@"
"""
    )
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("words", "word", "code"), [("", "pass", 128), (ALWAYS, "warn", 1)], ids=["passes", "findings"]
)
def test_a_host_error_is_counted_apart(
    harness: Harness, project: Path, frail: dict[str, str], words: str, word: str, code: int
) -> None:
    done = _boot(harness, project, "--repeat", "8", "--json", "--cmdline", words, env=frail)
    result = json.loads(done.stdout)
    made = result["repeat"]
    assert (made["done"], made["host_errors"]) == (8, 1)
    assert {way["outcome"]: way["rounds"] for way in made["ways"]} == {word: 7, "host-error": 1}
    verdict = result["verdict"]
    assert f"{word} 7/7, host-error 1, not counted (pass rate" in verdict["reason"]
    # A finding is one, whatever the host did beside it.
    assert (done.returncode, verdict["outcome"]) == (code, word if code == 1 else "host-error")
    assert "QEMU was killed by signal 9" in " ".join([verdict["reason"], *verdict["evidence"]])


@pytest.mark.parametrize("words", [("--repeat", "50"), ("--until-fail",)], ids=lambda w: w[0])
def test_a_host_that_fails_again_and_again_ends_it(
    harness: Harness, project: Path, frail: dict[str, str], words: tuple[str, ...]
) -> None:
    Path(frail["PATH"].split(":")[0], "always").touch()
    done = _boot(harness, project, *words, "--json", env=frail)
    result = json.loads(done.stdout)
    assert (done.returncode, result["verdict"]["outcome"]) == (128, "host-error")
    # Others may have ended at the same moment.
    assert 3 <= result["repeat"]["done"] < 3 + 4
    assert result["repeat"]["stopped"] == "3 host errors in a row"
    assert result["repeat"]["pass_rate"] is None
    assert "QEMU was killed by signal 9" in result["verdict"]["reason"]


def test_without_qemu_no_round_is_made(harness: Harness, project: Path, tmp_path: Path) -> None:
    assert _boot(harness, project).returncode == 0
    folder = tmp_path / "programs"
    folder.mkdir()
    for place in os.environ["PATH"].split(":"):
        for program in Path(place).glob("*"):
            if not program.name.startswith("qemu-system") and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    done = _boot(harness, project, "--repeat", "5", env={"PATH": str(folder)})
    assert done.returncode == 128
    assert done.stdout.startswith("host-error: ")
    assert "qemu-system-x86_64" in done.stdout
    assert runs.read(_folder()).repeat is None


# --- the count itself -----------------------------------------------------------------------------


def _round(
    outcome: Outcome, reason: str = "it did", *, size: int = 10, seconds: float = 1.0
) -> tally.Round:
    plan = BootPlan(flows=("one",))
    verdict = Verdict(outcome=outcome, reason=reason)
    kernel = Kernel(arch="", release="", banner="", image=Path(), digest="", built=True)
    booted = Booted(
        plan=plan,
        variant="v",
        spec=BootSpec(
            arch="", kernel=kernel, initramfs=None, cmdline="", nonce="12ab34cd", deadline_s=1,
            memory_mib=1,
        ),
        transcript=Transcript(
            console=b"x" * size, ended=EndReason.GUEST_EXIT, status=33, events=(),
            seconds=seconds, accel="tcg", argv=(),
        ),
        console=Console(
            lines={1: "x"}, line_count=1, has_stamps=True, banners=(), cmdline=None,
            unknown_parameters=(), records=(), observations=(), splats=(),
        ),
        verdict=verdict,
    )  # fmt: skip
    return tally.Round(batch=Batch(done=(booted,)), verdict=verdict)


def test_little_is_kept_however_many_rounds_there_are() -> None:
    count = tally.Tally(asked=5000)
    for number in range(5000):
        count.add(_round(Outcome.PASS))
        count.add(_round(Outcome.HANG, f"it stopped at {number}"))
        count.add(_round(Outcome.FAIL, "always so"))
    made = count.result()
    assert made.done == 15000
    assert made.count(Outcome.HANG) == 5000
    assert len(made.ways) <= 45
    assert len(made.kept) < 80
    assert sum(way.rounds for way in made.ways) == 15000
    assert {way.title for way in made.ways if way.rounds > 1} == {"", "always so", "(others)"}
    # Their text is in the transcript.
    assert all(booted.console.lines == {} for each in made.kept for booted in each.batch.done)


def test_large_consoles_are_kept_to_a_bound() -> None:
    count = tally.Tally()
    for number in range(40):
        count.add(_round(Outcome.HANG, f"way {number}", size=8 << 20))
    count.add(_round(Outcome.PASS, size=8 << 20))
    made = count.result()
    kept = sum(len(b.transcript.console) for each in made.kept for b in each.batch.done)
    assert kept <= (64 + 16) << 20
    assert [way.rounds for way in made.ways] == [1] * 41
    # What the verdict may be about is kept all the same.
    assert {each.verdict.outcome for each in made.kept} == {Outcome.HANG, Outcome.PASS}


@pytest.mark.parametrize(
    ("a", "b", "are_alike"),
    [
        ("it hung: [    1.234567] tsc", "it hung: [    2.345678] tsc", True),
        ("x is 3, expected 5", "x is 4, expected 5", False),
        ("after 1.5 s", "after 1.25 s", True),
        ("WARNING in a", "WARNING in b", False),
    ],
)  # fmt: skip
def test_rounds_that_went_alike_stand_together(a: str, b: str, *, are_alike: bool) -> None:
    count = tally.Tally()
    assert count.add(_round(Outcome.FAIL, a))
    assert count.add(_round(Outcome.FAIL, b)) is not are_alike
    assert "12ab34cd" not in count.result().ways[0].title


def test_the_first_finding_decides_then_the_host_then_a_pass() -> None:
    count = tally.Tally(asked=4)
    count.add(_round(Outcome.PASS, "all hold", seconds=3))
    assert count.result(stopped="interrupted").verdict.outcome is Outcome.HOST_ERROR
    count.add(_round(Outcome.HOST_ERROR, "no memory", seconds=100))
    assert count.result().verdict.reason == (
        "round 2: no memory; pass 1/1, host-error 1, not counted "
        "(pass rate 20.65% to 100.00%, Wilson 95 %)"
    )
    count.add(_round(Outcome.HANG, "it hung", seconds=5))
    count.add(_round(Outcome.WARN, "WARNING in a", seconds=4))
    made = count.result()
    assert made.verdict.outcome is Outcome.HANG
    assert made.verdict.reason.startswith(
        "round 3: it hung; pass 1/3, hang 1/3, warn 1/3, host-error"
    )
    assert made.verdict.evidence == (
        "then: host-error in 1: no memory",
        "then: warn in 1: WARNING in a",
    )
    assert made.seconds is not None
    assert (made.seconds.min, made.seconds.median, made.seconds.max) == (3, 4, 5)


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_wilson(hits: int, total: int, low: float, high: float) -> None:
    found = tally.wilson(hits, total)
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_the_share_and_is_the_mirror_of_the_failures(
    pair: tuple[int, int],
) -> None:
    hits, total = pair
    passes, failures = tally.wilson(hits, total), tally.wilson(total - hits, total)
    assert passes is not None
    assert failures is not None
    assert 0 <= passes.low <= round(hits / total, 6) <= passes.high <= 1
    assert passes.low == pytest.approx(1 - failures.high, abs=2e-6)


def test_of_nothing_there_is_no_interval() -> None:
    assert tally.wilson(0, 0) is None
