"""`harness diff`: exactly what differs, by flow; what changes by itself is no difference."""

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest
from conftest import ROOT, Harness, commit, git
from test_pipeline import NAMESPACE, change

from harness import diff, observations, runs, settings, sides, tables
from harness.errors import UsageError
from harness.job import Job
from harness.observations import FlowObservations, Observations, Subject, Unfinished
from harness.pipeline import Pipeline
from harness.store import Store

SUBJECT = Subject(
    series="none", patches=0, base="6.99", kernel=None, release="6.99.0", profile="tiny",
    flavors=[], kconfig=[], arch="x86_64", scenario="toy", cmdline="",
)  # fmt: skip


def seen(
    flows: dict[str, dict[str, str]],
    reports: tuple[str, ...] = (),
    unfinished: str = "",
) -> Observations:
    return Observations(
        subject=SUBJECT,
        ran=list(flows),
        flows=[FlowObservations(flow=name, observations=values) for name, values in flows.items()],
        reports=list(reports),
        unknown_parameters=[],
        unfinished=[Unfinished(flows=list(flows), reason=unfinished)] if unfinished else [],
    )


def compare(before: Observations, after: Observations) -> diff.Comparison:
    return diff.compare(before, after, names=("A", "B"))


def rows(comparison: diff.Comparison) -> list[tuple[str, str, str | None, str | None]]:
    return [(row.flow, row.name, row.before, row.after) for row in comparison.rows]


# --- the comparison -------------------------------------------------------------------------


def test_only_what_differs_is_shown_in_order() -> None:
    before = seen({"a": {"a.x": "0", "a.same": "1", "a.gone": "2"}, "b": {"b.x": "EINVAL"}})
    after = seen({"a": {"a.x": "1", "a.same": "1", "a.new": ""}, "b": {"b.x": "0"}})
    assert rows(compare(before, after)) == [
        ("a", "a.x", "0", "1"),
        ("a", "a.gone", "2", None),
        ("a", "a.new", None, ""),
        ("b", "b.x", "EINVAL", "0"),
    ]


def test_equal_sides_have_an_empty_diff() -> None:
    side = seen({"a": {"a.x": "0"}}, reports=("WARNING in f",))
    assert compare(side, side).is_empty


@pytest.mark.parametrize(
    ("name", "one", "other", "is_same"),
    [
        ("a.unique_mnt_id", "4294967301", "4294967388", True),
        ("a.unique_mnt_id", "4294967301", "ENOSYS", False),
        ("a.root_ino", "1034", "2059", True),
        # A root's is fixed, and nullfs' is 1.
        ("a.ino", "1", "2", False),
        ("a.took_ms", "12", "250", True),
        ("a.child_pid", "41", "77", True),
        ("a.at", "at ffff888003a4c000", "at ffff88800be4c000", True),
        # Allocated in order: a patch changes what they are.
        ("a.mnt_id", "1", "2", False),
        ("a.parent_old_id", "1", "2", False),
        # A namespace, no nanoseconds.
        ("a.in_user_ns", "1", "2", False),
        ("a.mounts", "2", "3", False),
    ],
)
def test_ids_and_times_are_normalised_and_facts_are_not(
    name: str, one: str, other: str, *, is_same: bool
) -> None:
    assert compare(seen({"a": {name: one}}), seen({"a": {name: other}})).is_empty is is_same


def test_a_flow_that_one_side_did_not_run_is_not_compared() -> None:
    before, after = seen({"a": {"a.x": "0"}}), seen({"a": {"a.x": "0"}, "b": {"b.x": "0"}})
    comparison = compare(before, after)
    assert comparison.is_empty
    assert [(each.flow, each.ran_in) for each in comparison.uncompared] == [("b", "B")]


def test_a_kernel_report_is_a_difference() -> None:
    comparison = compare(seen({"a": {}}), seen({"a": {}}, reports=("WARNING in f",)))
    assert rows(comparison) == [("kernel", "WARNING in f", None, "reported")]


def test_a_side_that_was_cut_short_is_never_an_empty_diff() -> None:
    comparison = compare(seen({"a": {"a.x": "0"}}), seen({"a": {"a.x": "0"}}, unfinished="hang"))
    assert not comparison.is_empty
    assert comparison.unfinished == ["B: a: hang"]


# --- on the stand-in kernel -----------------------------------------------------------------


@pytest.fixture
def series(clone: Path) -> Path:
    """Two patches: the first changes what is seen, the second does not."""
    change(clone, NAMESPACE % "new", "fs: answer anew", name="one")
    git(clone, "checkout", "-q", "topic")
    with (clone / "fs/namespace.c").open("a") as stream:
        stream.write("/* and no more */\n")
    commit(clone, "fs: say no more")
    folder = clone.parent / "series"
    git(clone, "format-patch", "-q", "-o", str(folder), "main")
    git(clone, "checkout", "-q", "main")
    return folder


def test_two_series_differ_in_what_the_patches_change(
    harness: Harness, project: Path, series: Path
) -> None:
    done = harness("diff", "--tree", "linux", "--series", "none", "--series", series, cwd=project)
    assert done.returncode == 1, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["A", "series", "none"],
        ["B", "series", str(series)],
        ["A", "B"],
        ["boot"],
        ["boot.mount", "old", "new"],
    ]


def test_each_patch_is_shown_with_what_it_changes(
    harness: Harness, project: Path, series: Path
) -> None:
    done = harness(
        "diff", "--each-patch", "--tree", "linux", "--series", series, "--json", cwd=project
    )
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    schema = json.loads((ROOT / "docs/diff.schema.json").read_text())
    jsonschema.validate(document, schema)
    assert schema == json.loads(diff.json_schema())
    assert [(each["title"], each["rows"]) for each in document["comparisons"]] == [
        (
            "patch 1: fs: answer anew",
            [{"flow": "boot", "name": "boot.mount", "before": "old", "after": "new"}],
        ),
        ("patch 2: fs: say no more", []),
    ]


def test_an_empty_diff_exits_0(harness: Harness, project: Path) -> None:
    done = harness(
        "diff", "--tree", "linux", "--cmdline", "", "--cmdline", "some=word", cwd=project
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "no difference between no cmdline and cmdline some=word\n"


def test_runs_and_files_are_sides_too(harness: Harness, project: Path, series: Path) -> None:
    harness("boot", "--tree", "linux", cwd=project)
    first = (runs.runs_dir() / "latest").resolve().name
    file = project / "after.json"
    observed = harness("observe", "--tree", "linux", "--series", series, "--json", cwd=project)
    file.write_text(observed.stdout)
    assert harness("diff", first, "latest", cwd=project).returncode == 0
    done = harness("diff", first, file, cwd=project)
    assert done.returncode == 1, done.stderr
    assert "boot.mount" in done.stdout
    done = harness("diff", runs.runs_dir() / first / "result.json", file, cwd=project)
    assert done.returncode == 1, done.stderr


def test_the_side_without_patches_takes_base_and_scenario_of_the_other(
    tmp_path: Path, store: Store, series: Path
) -> None:
    (series / "series.toml").write_text('bases = ["6.19.11", "6.18.5"]\nscenario = "boot"\n')
    made = settings.load(tmp_path)

    def jobs(*of: Job) -> list[tuple[str | None, str | None]]:
        pipelines = [Pipeline(job, settings=made, store=store) for job in of]
        sides.align(pipelines)
        return [(pipeline.job.base, pipeline.job.scenario) for pipeline in pipelines]

    patched, plain = Job(series=str(series)), Job(series="none")
    assert jobs(plain, patched) == [("6.19.11", "boot"), ("6.19.11", "boot")]
    assert jobs(Job(series="none", base="6.18.5"), patched) == [
        ("6.18.5", "boot"), ("6.19.11", "boot"),
    ]  # fmt: skip
    named = Job(series=str(series), tree=tmp_path, scenario="nullfs")
    assert jobs(plain, named) == [("6.19.11", None), (None, "nullfs")]
    with pytest.raises(UsageError, match="the series have scenarios of their own: boot, nullfs"):
        jobs(patched, Job(series="nullfs"))


BAD: list[tuple[str, list[str], str]] = [
    ("nothing", [], "error: nothing to compare: two runs, or one option given twice, or --each"),
    ("one run", ["latest"], "error: 1 side given (latest), expected two"),
    ("three runs", ["a", "b", "c"], "error: 3 sides given, expected two"),
    ("no such run", ["latest", "gone"], "error: no run named 'gone' in "),
    ("a file of another sort", ["latest", "harness.toml"],
     "error: harness.toml: neither a run's result.json nor of `harness observe --json`"),
    ("a run that booted nothing", ["latest", "lost"],
     "error: lost: nothing was observed in this run: config-lost: "),
    ("runs and options", ["latest", "latest", "--flow", "boot"], "error: --flow means nothing"),
    ("runs and patches", ["latest", "latest", "--each-patch"], "error: --each-patch means nothing"),
    ("two options twice", ["--series", "none", "--series", "a", "--base", "x", "--base", "y"],
     "error: --series and --base are both given twice: one names the sides"),
    ("an option thrice", ["--base", "x", "--base", "y", "--base", "z"],
     "error: --base is given 3 times, expected twice"),
    ("a series without patches", ["--each-patch"], "error: --each-patch: the series none has no"),
    ("a series that is read twice", ["--each-patch", "--series", "-"],
     "error: --each-patch reads a series more than once"),
    ("unknown series", ["--series", "none", "--series", "nulfs"], "nulfs"),
    ("unknown compression", ["--compress", "gzp", "--compress", "xz", "--tree", "linux"],
     "error: --compress gzp: no such compression; did you mean 'gzip'?"),
]  # fmt: skip


@pytest.fixture
def two_runs(harness: Harness, project: Path) -> None:
    lost = harness("boot", "--tree", "linux", "--kconfig", "CONFIG_NO=y", cwd=project)
    assert lost.returncode == 125
    (runs.runs_dir() / "latest").resolve().rename(runs.runs_dir() / "lost")
    assert harness("boot", "--tree", "linux", cwd=project).returncode == 0


@pytest.mark.usefixtures("two_runs")
def test_bad_input_is_one_clear_line_and_exit_2(harness: Harness, project: Path) -> None:
    for what, arguments, message in BAD:
        done = harness("diff", *arguments, cwd=project)
        assert done.returncode == 2, (what, done.stdout, done.stderr)
        lines = [line for line in done.stderr.splitlines() if "rror: " in line]
        assert len(lines) == 1, what
        assert message in lines[0], what
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_runs_without_a_flow_in_common_cannot_be_compared(tmp_path: Path, harness: Harness) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(observations.encode(seen({name: {f"{name}.x": "0"}})))
    done: subprocess.CompletedProcess[str] = harness("diff", "a", "b")
    assert done.returncode == 2
    assert "error: they have no flow in common: a ran a; b ran b" in done.stderr


def test_a_long_name_is_no_heading() -> None:
    names = ("kernel /a/long/way/down/to/a/vmlinux", "kernel /another/long/way/to/a/vmlinux")
    comparison = diff.compare(seen({"a": {"a.x": "0"}}), seen({"a": {"a.x": "1"}}), names=names)
    assert tables.diff(diff.DiffResult(comparisons=[comparison])).splitlines() == [
        f"  A  {names[0]}",
        f"  B  {names[1]}",
        "       A  B",
        "a",
        "  a.x  0  1",
    ]
