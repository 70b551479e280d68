"""`harness matrix`: the product of axes, each kernel once, one report; on the stand-in kernel."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
from conftest import ROOT, Harness, on_a_terminal
from test_cli import path_without

from harness import matrix, matrix_order, matrix_result, matrix_run, runs
from harness.cell import Done, Task, decode_done, decode_task, encode
from harness.errors import EXIT_CODES, Outcome, UsageError
from harness.job import Job
from harness.matrix_file import MatrixFile, Shape
from harness.matrix_report import matrices_dir


def no_needs(_job: Job) -> tuple[str, ...]:
    return ()


def expand(told: MatrixFile, defaults: Job | None = None) -> tuple[matrix.Cell, ...]:
    return matrix.expand(told, defaults or Job(), where="here")


# --- axes, cells, order ---------------------------------------------------------------------


def test_cells_are_the_product_of_the_axes() -> None:
    told = MatrixFile(scenario="boot", axes={"base": ["6.1", "6.2"], "cmdline": ["", "a b"]})
    cells = expand(told, Job(profile="full"))
    assert [cell.number for cell in cells] == [1, 2, 3, 4]
    assert [(cell.job.base, cell.job.cmdline) for cell in cells] == [
        ("6.1", ""), ("6.1", "a b"), ("6.2", ""), ("6.2", "a b"),
    ]  # fmt: skip
    assert {(cell.job.scenario, cell.job.profile) for cell in cells} == {("boot", "full")}


def test_flavors_and_flows_are_several_with_a_plus() -> None:
    told = MatrixFile(axes={"flavor": ["none", "kasan", "kasan+ramfs"], "flow": ["all", "a+b"]})
    cells = expand(told, Job(flavors=("gcov",)))
    assert [(cell.job.flavors, cell.job.flows) for cell in cells] == [
        ((), ("all",)), ((), ("a", "b")),
        (("kasan",), ("all",)), (("kasan",), ("a", "b")),
        (("kasan", "ramfs"), ("all",)), (("kasan", "ramfs"), ("a", "b")),
    ]  # fmt: skip


def test_a_shape_is_added_to_the_rest() -> None:
    told = MatrixFile(
        kconfig=["CONFIG_A=y"],
        flavor="gcov",
        axes={"cmdline": ["", "option"]},
        shapes={
            "plain": Shape(),
            "all": Shape(
                flavor="kasan+gcov", kconfig=["CONFIG_B=y"], cmdline="rootfstype=ramfs",
                compress="xz", memory=512, timeout=9.0,
            ),
        },
    )  # fmt: skip
    jobs = {cell.values: cell.job for cell in expand(told)}
    job = jobs[("cmdline", "option"), ("shape", "all")]
    assert job.cmdline == "option rootfstype=ramfs"
    assert jobs[("cmdline", ""), ("shape", "all")].cmdline == "rootfstype=ramfs"
    assert job.flavors == ("gcov", "kasan")
    assert job.kconfig == ("CONFIG_A=y", "CONFIG_B=y")
    assert (job.compress, job.memory_mib, job.timeout_s) == ("xz", 512, 9.0)
    assert jobs[("cmdline", "option"), ("shape", "plain")] == Job(
        cmdline="option", flavors=("gcov",), kconfig=("CONFIG_A=y",)
    )


def test_an_exclude_leaves_out_what_fits_all_of_it() -> None:
    axes = {"base": ["6.1", "6.2"], "flavor": ["none", "kasan", "gcov"]}
    told = MatrixFile(axes=axes, exclude=[{"base": "6.1", "flavor": ["kasan", "gcov"]}])
    assert [cell.values for cell in expand(told)] == [
        (("base", "6.1"), ("flavor", "none")),
        (("base", "6.2"), ("flavor", "none")),
        (("base", "6.2"), ("flavor", "kasan")),
        (("base", "6.2"), ("flavor", "gcov")),
    ]


BASES = {"base": ["6.1", "6.2"]}
WRONG: list[tuple[MatrixFile, str]] = [
    (MatrixFile(), "here: no axes, so there is nothing to cross"),
    (MatrixFile(axes={"bse": ["6.1"]}), "here: no axis named 'bse'; did you mean 'base'?"),
    (MatrixFile(axes={"base": []}), "here: axis base has no values"),
    (MatrixFile(axes={"base": ["6.1", "6.1"]}), "here: axis base has the value '6.1' twice"),
    (MatrixFile(axes={"base": [""]}), "here: axis base has an empty value"),
    (MatrixFile(base="6.1", axes=BASES), "here: base is an axis, and has one value for all jobs"),
    (MatrixFile(axes={"shape": ["a"]}), "here: axis shape has 'a', which is no shape"),
    (MatrixFile(axes=BASES, exclude=[{"base": "6.3"}]),
     "here: exclude number 1 matches nothing: base has no value '6.3'"),
    (MatrixFile(axes=BASES, exclude=[{"flavor": "kasan"}]),
     "here: exclude number 1 matches nothing: flavor has no value 'kasan'"),
    (MatrixFile(axes=BASES, exclude=[{"flvor": "kasan"}]),
     "here: exclude number 1: no axis named 'flvor'; did you mean 'flavor'?"),
    (MatrixFile(axes=BASES, exclude=[{"base": "6.1"}, {"base": "6.1"}]),
     "here: exclude number 2 matches nothing that is left"),
    (MatrixFile(axes=BASES, exclude=[{}]), "here: exclude number 1 matches nothing that is left"),
    (MatrixFile(axes=BASES, exclude=[{"base": ["6.1", "6.2"]}]), "here: the excludes leave no job"),
    (MatrixFile(axes={"compress": ["xz"]}, shapes={"a": Shape(compress="lz4")}),
     "here: shape a says compress = 'lz4', and compress is an axis"),
    (MatrixFile(axes={"kernel": ["vmlinux"]}, base="6.1"),
     "here: kernel is a kernel that is already built, so base means nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("told", "message"), WRONG, ids=[row[1][6:50] for row in WRONG])
def test_a_matrix_that_cannot_be_meant_is_told(told: MatrixFile, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        expand(told)


def test_cells_that_share_a_kernel_stand_together_the_longest_first() -> None:
    told = MatrixFile(
        axes={
            "flavor": ["none", "kasan", "decompressors"],
            "cmdline": ["", "a"],
            "compress": ["none", "xz"],
        }
    )
    groups = matrix_order.groups(expand(told), no_needs)
    # A kernel that lacks the decompressor is another one; that with all of them is one.
    assert [(group.cells[0].job.flavors, len(group.cells)) for group in groups] == [
        (("kasan",), 2), (("kasan",), 2), (("decompressors",), 4), ((), 2), ((), 2),
    ]  # fmt: skip
    assert all(group.is_built for group in groups)


def test_flows_that_need_the_same_of_the_kernel_share_one() -> None:
    cells = expand(MatrixFile(axes={"flow": ["a", "b", "c"]}))

    def needs(job: Job) -> tuple[str, ...]:
        return ("CONFIG_SMP=y",) if job.flows == ("c",) else ()

    groups = matrix_order.groups(cells, needs)
    assert [[cell.job.flows for cell in group.cells] for group in groups] == [
        [("a",), ("b",)], [("c",)],
    ]  # fmt: skip


def test_a_shape_is_laid_over_what_holds_for_all() -> None:
    told = MatrixFile(flow="all", memory=256, shapes={"a": Shape(flow="b+c", memory=512)})
    (cell,) = expand(told)
    assert (cell.job.flows, cell.job.memory_mib) == (("b", "c"), 512)


def test_a_kernel_of_the_users_own_is_not_built() -> None:
    cells = expand(MatrixFile(axes={"kernel": ["a", "b"], "cmdline": ["", "c"]}))
    assert [group.is_built for group in matrix_order.groups(cells, no_needs)] == [False, False]
    assert cells[0].job.series == "none"


@pytest.mark.parametrize(
    ("available", "is_built", "expected"),
    [(24_000, True, 2), (1500, True, 1), (2100, True, 2), (2000, True, 1), (700, False, 1),
     (1200, False, 2), (10, True, 1)],
)  # fmt: skip
def test_memory_bounds_how_many_run_at_once(
    available: int, *, is_built: bool, expected: int
) -> None:
    axes = {"cmdline": ["", "a"]} if is_built else {"kernel": ["a", "b"]}
    groups = matrix_order.groups(expand(MatrixFile(axes=axes, memory=256)), no_needs)
    assert matrix_run.slots(groups, jobs=2, available_mib=available) == expected


def test_available_memory_is_what_the_kernel_says(tmp_path: Path) -> None:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:       16000000 kB\nMemAvailable:    2048000 kB\n")
    assert matrix_run.available_mib(path) == 2000


def test_the_worst_outcome_gives_the_exit_code() -> None:
    words = ["pass", "fail", "build-failed", "usage", "host-error"]
    codes = [matrix_result.exit_code_of(words[: count + 1]) for count in range(len(words))]
    assert codes == [0, 1, 125, 2, 128]
    assert {EXIT_CODES[outcome] for outcome in Outcome} <= {*codes}
    assert matrix_result.exit_code_of(["pass", "not-run"]) == 0


def test_a_task_and_its_end_survive_the_way_to_another_process() -> None:
    task = Task(job=Job(kernel="/a", flavors=("b",), timeout_s=0.5), out=Path("/c"))
    assert decode_task(encode(task)) == task
    done = Done(outcome="pass", reason="so", run="/d", seconds=1.5)
    assert decode_done(encode(done)) == done


# --- on the stand-in kernel -----------------------------------------------------------------

FILE = """\
title = "the stand-in, both ways"
tree = "linux"
[axes]
cmdline = ["", "a=1"]
[shapes.plain]
[shapes.net]
kconfig = ["CONFIG_NET=y", "CONFIG_NET_9P=y"]
"""


@pytest.fixture
def project(project: Path) -> Path:
    (project / "matrix.toml").write_text(FILE)
    return project


def stages_made(folder: Path) -> list[str]:
    return [stage.name for stage in runs.read(folder).stages if not stage.cached]


def test_each_kernel_is_built_once_and_each_cell_has_its_run(
    harness: Harness, project: Path
) -> None:
    done = harness("matrix", "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    schema = json.loads((ROOT / "docs/matrix.schema.json").read_text())
    jsonschema.validate(result, schema)
    assert schema == json.loads(matrix_result.json_schema())
    assert (result["title"], result["kernels"]) == ("the stand-in, both ways", 2)
    assert result["outcomes"] == {"pass": 4}
    assert result["axes"] == {"cmdline": ["", "a=1"], "shape": ["plain", "net"]}

    folder = (matrices_dir() / "latest").resolve()
    assert json.loads((folder / "matrix.json").read_text()) == result
    made = [stages_made(folder / cell["run"]) for cell in result["cells"]]
    assert sorted("build" in stages for stages in made) == [False, False, True, True]
    lines = [runs.read(folder / cell["run"]).job.cmdline for cell in result["cells"]]
    assert lines == ["", "", "a=1", "a=1"]
    page = (folder / "matrix.md").read_text()
    links = re.findall(r"\[pass\]\((\S+)\)", page)
    assert len(links) == 4
    assert all((folder / link / "result.json").is_file() for link in links)
    # Away from a terminal, a line a job.
    said = [line for line in done.stderr.splitlines() if line.startswith("[")]
    assert [line.split()[0] for line in said] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]


def test_the_report_is_a_row_a_cell(harness: Harness, project: Path) -> None:
    done = harness("matrix", "--axis", "shape=plain", "--quiet", cwd=project)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "the stand-in, both ways"
    assert [line.split()[:3] for line in lines[2:5]] == [
        ["cmdline", "outcome", "s"], ["1", "-", "pass"], ["2", "a=1", "pass"],
    ]  # fmt: skip
    assert "2 pass: 2 jobs on 1 kernel" in lines
    assert "all with shape plain" in lines
    assert done.stderr == ""


def test_a_finding_is_told_with_why_and_where(harness: Harness, project: Path) -> None:
    with (project / "matrix.toml").open("a") as stream:
        stream.write('[shapes.slow]\nkconfig = ["CONFIG_SLOW_BOOT=y"]\ntimeout = 0.6\n')
    done = harness("matrix", cwd=project)
    assert done.returncode == 1, done.stderr
    assert "4 pass, 2 hang: 6 jobs on 3 kernels" in done.stdout
    found = [line for line in done.stdout.splitlines() if "shape slow" in line]
    assert len(found) == 2
    assert all((Path(line.split()[-1]) / "console.log").is_file() for line in found)
    page = (matrices_dir() / "latest/matrix.md").read_text()
    assert page.count("\n    harness boot ") == 2


def test_a_kernel_that_cannot_be_made_is_tried_once(harness: Harness, project: Path) -> None:
    with (project / "matrix.toml").open("a") as stream:
        stream.write('[shapes.lost]\nkconfig = ["CONFIG_NET_10P=y"]\n')
    done = harness("matrix", "--json", cwd=project)
    assert done.returncode == 125, done.stderr
    result = json.loads(done.stdout)
    lost = [cell for cell in result["cells"] if cell["values"]["shape"] == "lost"]
    assert [cell["outcome"] for cell in lost] == ["config-lost", "config-lost"]
    assert [cell["with_cell"] for cell in lost] == [None, lost[0]["number"]]
    assert lost[0]["run"] == lost[1]["run"]
    assert len(runs.all_runs()) == 5
    assert result["outcomes"] == {"pass": 4, "config-lost": 2}


def test_what_an_axis_gives_wins_over_the_file(harness: Harness, project: Path) -> None:
    arguments = ("--axis", "cmdline=b,c", "--exclude", "shape=net", "--list")
    done = harness("matrix", *arguments, cwd=project)
    assert done.stdout.split() == ["1", "cmdline", "b,c", "shape", "plain"], done.stderr
    assert not runs.runs_dir().exists()


def test_a_series_has_its_matrix_beside_it(harness: Harness, tmp_path: Path) -> None:
    named = harness("matrix", "nullfs", "--list", cwd=tmp_path)
    assert named.returncode == 0, named.stderr
    assert harness("matrix", "--list", cwd=tmp_path).stdout == named.stdout
    assert "cmdline nullfs_rootfs" in named.stdout


def test_out_is_where_all_of_it_goes(harness: Harness, project: Path, tmp_path: Path) -> None:
    harness("matrix", "--axis", "shape=plain", "--out", tmp_path / "there", cwd=project)
    assert len(list((tmp_path / "there/runs").glob("*/result.json"))) == 3  # `latest` too
    page = tmp_path / "there/matrices/latest/matrix.md"
    links = re.findall(r"\[pass\]\((\S+)\)", page.read_text())
    assert [(page.resolve().parent / link / "console.log").is_file() for link in links] == [
        True, True,
    ]  # fmt: skip
    assert not runs.runs_dir().exists()


def test_a_terminal_sees_what_runs(project: Path) -> None:
    size = {"COLUMNS": "100", "LINES": "30"}
    shown = on_a_terminal("matrix", "--axis", "shape=plain", cwd=project, env=size)
    text = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", shown).decode()
    assert "building" in text
    assert "0 of 2, 0 not passed" in text
    assert "[1/2]" not in text


def test_an_interrupt_ends_it_with_what_there_is(project: Path) -> None:
    with (project / "matrix.toml").open("a") as stream:
        stream.write('[shapes.slow]\nkconfig = ["CONFIG_SLOW_BUILD=y"]\n')
    child = subprocess.Popen(
        [sys.executable, "-m", "harness", "matrix"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("[4/6]"):
            break
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=30)
    assert child.returncode == 130, stderr
    assert "4 pass, 2 not-run: 6 jobs on 3 kernels" in stdout
    assert "Traceback" not in stderr
    result = json.loads((matrices_dir() / "latest/matrix.json").read_text())
    assert result["outcomes"] == {"pass": 4, "not-run": 2}
    # What ran was ended, and not waited for.
    assert len(runs.all_runs()) == 4
    left = subprocess.run(["pgrep", "-f", str(project)], capture_output=True, check=False)
    assert left.stdout == b""


@pytest.mark.parametrize(("jobs", "builds"), [(1, 1), (2, 1), (3, 2)])
def test_no_more_run_at_once_than_is_said(
    project: Path, monkeypatch: pytest.MonkeyPatch, jobs: int, builds: int
) -> None:
    monkeypatch.chdir(project)
    shapes = {name: Shape(kconfig=[f"CONFIG_{name}=y"]) for name in ("EXPERT", "NET", "HZ_100")}
    axes = {"cmdline": ["", "a=1", "a=2"]}
    told = MatrixFile(tree="linux", profile="mini", scenario="boot", axes=axes, shapes=shapes)
    groups = matrix_order.groups(expand(told, Job(series="none")), no_needs)
    seen: list[matrix_run.Progress] = []
    outcomes = matrix_run.run(groups, jobs=jobs, builds=builds, out=None, on_progress=seen.append)
    assert [done.outcome for done in outcomes.done.values()] == ["pass"] * 9
    running: dict[int, matrix_run.State] = {}
    most = {"all": 0, "building": 0}
    for progress in seen:
        running[progress.cell.number] = progress.state
        if progress.done:
            del running[progress.cell.number]
        building = list(running.values()).count(matrix_run.State.BUILDING)
        most = {"all": max(most["all"], len(running)), "building": max(most["building"], building)}
    assert most == {"all": jobs, "building": builds}
    ended = [p.cell.number for p in seen if p.done]
    for group in groups:
        # The first of a group has built the kernel before the others want it.
        assert min(ended.index(cell.number) for cell in group.cells) == ended.index(
            group.cells[0].number
        )


def test_a_broken_host_is_the_hosts_fault(harness: Harness, project: Path, tmp_path: Path) -> None:
    path = path_without(tmp_path, "qemu-system-x86_64")
    done = harness("matrix", cwd=project, env={"PATH": path})
    assert done.returncode == 128, done.stdout
    assert "4 host-error: 4 jobs on 2 kernels" in done.stdout
    assert "qemu-system-x86_64 is not on PATH" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_missing_compiler_is_told_before_anything_runs(
    harness: Harness, project: Path, tmp_path: Path
) -> None:
    done = harness("matrix", cwd=project, env={"PATH": path_without(tmp_path, "gcc")})
    assert done.returncode == 128
    assert "error: gcc is not on PATH" in done.stderr
    assert not matrices_dir().exists()


def test_what_only_a_job_finds_out_is_the_users_fault(harness: Harness, project: Path) -> None:
    done = harness("matrix", "--axis", "base=main,v9.9", "--axis", "cmdline=", cwd=project)
    assert done.returncode == 2, done.stdout
    assert "usage: --base v9.9: no such revision in " in done.stdout
    assert "2 pass, 2 usage: 4 jobs" in done.stdout


BAD: list[tuple[str, list[str], str]] = [
    ("unknown axis", ["--axis", "sries=none"], "--axis: no axis named 'sries'; did you mean"),
    ("no axis at all", ["--axis", "base"], "--axis base: expected NAME=VALUE[,VALUE…]"),
    ("unknown flavor", ["--axis", "flavor=odd"], "no flavor named 'odd'; there are: "),
    ("unknown profile", ["--axis", "profile=huge"], "no profile named 'huge'; there are: "),
    ("unknown arch", ["--axis", "arch=vax"], "unknown architecture 'vax'"),
    ("unknown toolchain", ["--axis", "toolchain=tcc"], "unknown toolchain 'tcc'"),
    ("unknown compression", ["--axis", "compress=gzp"], "--compress gzp: no such compression"),
    ("unknown series", ["--axis", "series=none,nulfs"], "nulfs"),
    ("unknown scenario", ["--axis", "scenario=bot"], "there is no scenario 'bot'"),
    ("unknown flow", ["--axis", "flow=bot"], "scenario boot has no flow 'bot'"),
    ("unknown shape", ["matrix.toml", "--axis", "shape=odd"], "axis shape has 'odd', which is no"),
    ("no version", ["none.toml", "--axis", "base=latest"], "--base latest: not a kernel version"),
    ("no kernel", ["none.toml", "--axis", "kernel=gone"], "gone: there is no such file"),
    ("standard input", ["--axis", "series=-"], "a matrix reads a series more than once"),
    ("bad exclude", ["--exclude", "base"], "--exclude base: expected AXIS=VALUE"),
    ("exclude of nothing", ["--exclude", "cmdline=b"],
     "matrix.toml: exclude number 1 matches nothing: cmdline has no value 'b'"),
    ("no such matrix", ["gone"], "no matrix 'gone': neither a file, nor a folder or series"),
    ("bad TOML", ["bad.toml"], "bad.toml: unknown key 'axis'; did you mean 'axes'?"),
    ("bad type", ["type.toml"], "type.toml: Expected `array`, got `str`"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_bad_input_is_one_clear_line_and_exit_2(
    harness: Harness, project: Path, arguments: list[str], message: str
) -> None:
    (project / "bad.toml").write_text('[axis]\nbase = ["6.1"]\n')
    (project / "none.toml").write_text("")
    (project / "type.toml").write_text('[axes]\nbase = "6.1"\n')
    done = harness("matrix", *arguments, cwd=project)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if "rror: " in line]
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not runs.runs_dir().exists()
