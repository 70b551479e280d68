"""Faults of the host: each is said to be the host's, and spoils nothing that comes after it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Harness, commit
from test_cli import UNSHARE, wants_a_disk
from test_pipeline import NAMESPACE, change, commands_below, start, wait_for_stage

from harness import faults, lane, log, outdir, proc, runs
from harness.errors import HostError
from harness.lock import Lock
from harness.store import Store

QEMU = "qemu-system-x86_64"


def program(folder: Path, name: str, script: str) -> dict[str, str]:
    """Put a shell script in front of PATH, where `$REAL` is what it hides; give the environment."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\nREAL={shutil.which(name)}\n{script}\n")
    path.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def broken_module(folder: Path, name: str, error: str) -> dict[str, str]:
    """Put a module in front of the tool's own that cannot be imported; give the environment."""
    folder.mkdir()
    (folder / f"{name}.py").write_text(f"raise {error}\n")
    return {"PYTHONPATH": str(folder)}


# --- the tool itself ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "error", "said"),
    [
        ("jinja2", "ZeroDivisionError('it')", "error: the tool itself failed at jinja2.py:1: Zero"),
        ("jinja2", "MemoryError", "the tool ran out of memory"),
        ("click", "ImportError('no click')", "error: harness is not installed whole: no click"),
    ],
)
def test_a_fault_of_the_tools_own_is_no_finding(
    harness: Harness, project: Path, tmp_path: Path, module: str, error: str, said: str
) -> None:
    done = harness(
        "boot", "--tree", "linux", cwd=project, env=broken_module(tmp_path / "m", module, error)
    )
    assert done.returncode == 128
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_what_cannot_be_printed_is_no_pass(harness: Harness, project: Path) -> None:
    assert harness("boot", "--tree", "linux", cwd=project).returncode == 0
    argv = [sys.executable, "-m", "harness", "show", "--json"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            argv, cwd=project, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, "Traceback" in done.stderr) == (128, False)
    assert "No space left on device" in done.stderr
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        argv, cwd=project, stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (128, "")


def test_a_disk_without_room_is_named_where_the_error_names_no_file() -> None:
    error = faults.explain(OSError(28, "No space left on device"))
    assert error.message == "No space left on device"
    assert "harness gc" in str(error.hint)
    assert faults.explain(OSError(30, "Read-only file system", "/x")).message.endswith(": /x")


# --- disks ----------------------------------------------------------------------------------


def on_small_disks(project: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script that may mount; `tool` runs the tool, `$cache` and `$state` are its folders."""
    top = project.parent
    for name in ("cache", "state"):
        (top / name).mkdir(exist_ok=True)
    whole = (
        f'tool() {{ "{sys.executable}" -m harness boot --tree linux "$@"; echo "exit $?"; }}\n'
        f"cache={top}/cache state={top}/state\n{script}"
    )
    return subprocess.run(
        [*UNSHARE, "sh", "-c", whole], cwd=project, capture_output=True, text=True, check=False
    )


@wants_a_disk
def test_a_run_is_published_whole_or_not_at_all(project: Path) -> None:
    done = on_small_disks(
        project,
        "mount -t tmpfs -o size=4k none $state || exit 99\n"
        "tool; find $state -type f -o -type l\n"
        "mount -o remount,size=100m $state; tool; ls -A $state/harness/runs\n",
    )
    first, _, second = done.stdout.partition("exit 128\n")
    assert not first, done.stdout
    assert "cannot write the run to " in done.stderr
    assert "No space left on device" in done.stderr
    assert not second.startswith("/"), "half of a run is there"
    assert second.splitlines()[-3] == "exit 0"
    assert second.splitlines()[-1] == "latest"


@wants_a_disk
def test_permissions_lost_between_runs_are_the_hosts_fault(project: Path, clone: Path) -> None:
    series = change(clone, NAMESPACE % "new", "fs: answer anew", name="series")
    done = on_small_disks(
        project,
        "mount -t tmpfs none $cache || exit 99\ntool >/dev/null; mount -o remount,ro $cache\n"
        f"tool --series {series}; mount -o remount,rw $cache; tool --series {series}\n",
    )
    assert "host-error: Read-only file system: " in done.stdout, done.stdout + done.stderr
    assert "exit 128" in done.stdout
    assert done.stdout.endswith("exit 0\n")
    assert "Traceback" not in done.stderr


# --- QEMU -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('[ "$1" = --version ] || exit 1; exec $REAL "$@"', "QEMU"),
        ('[ "$1" = --version ] || kill -ABRT $$; exec $REAL "$@"', "QEMU"),
        ('exec prlimit --as=200000000 $REAL "$@"', "allocate memory"),
    ],
    ids=["exits", "aborts", "out of memory"],
)
def test_a_qemu_that_does_not_start_a_guest_is_the_hosts_fault(
    harness: Harness, project: Path, tmp_path: Path, script: str, said: str
) -> None:
    env = program(tmp_path / "bin", QEMU, script)
    done = harness("boot", "--tree", "linux", cwd=project, env=env)
    assert done.returncode == 128, done.stdout + done.stderr
    assert done.stdout.startswith("host-error: ")
    assert said in done.stdout


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_qemu_that_is_killed_under_a_guest_is_the_hosts_fault(
    project: Path, sig: signal.Signals
) -> None:
    child = start(project, "--kconfig", "CONFIG_SLOW_BOOT=y")
    wait_for_stage(project, child, "boot")
    os.kill(commands_below(child.pid)[QEMU], sig)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 128
    assert out.startswith(b"host-error: ")


# --- make and what it starts ----------------------------------------------------------------


def test_an_object_that_somebody_damaged_is_made_again(
    harness: Harness, project: Path, clone: Path, tmp_path: Path
) -> None:
    assert harness("boot", "--tree", "linux", cwd=project).returncode == 0
    (built,) = (tmp_path / "cache/harness/lanes").glob("*/out/*/init/main.o")
    before = built.stat()
    built.write_bytes(built.read_bytes()[:100])
    os.utime(built, ns=(before.st_atime_ns, before.st_mtime_ns))
    series = change(clone, NAMESPACE % "new", "fs: answer anew", name="series")
    done = harness("boot", "--tree", "linux", "--series", series, cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 files are not as make left them; made again" in done.stderr


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        # The disk that holds the log is full too: nothing can be said on it.
        ("@kill -KILL $$PPID", "make was killed from outside, by SIGKILL"),
        ("@exec >/dev/null 2>&1; kill -SEGV $$PPID", "make was killed from outside, by SIGSEGV"),
    ],
)
def test_a_make_that_is_killed_is_the_hosts_fault(
    harness: Harness, project: Path, clone: Path, recipe: str, said: str
) -> None:
    makefile = clone / "Makefile"
    makefile.write_text(
        makefile.read_text().replace("vmlinux: $(O)", f"vmlinux:\n\t{recipe}\nx: $(O)", 1)
    )
    commit(clone, "break make")
    # In a namespace nothing that make starts can kill it.
    env = {"HARNESS_SANDBOX": "none"}
    done = harness("boot", "--tree", "linux", cwd=project, env=env)
    assert done.returncode == 128, done.stdout
    assert said in done.stdout


def test_a_compiler_that_is_killed_half_way_spoils_nothing(
    harness: Harness, project: Path, tmp_path: Path
) -> None:
    """What it leaves is newer than its source: make alone would take it for whole."""
    folder = tmp_path / "bin"
    env = program(
        folder,
        "gcc",
        f"""[ -e {folder}/armed ] || exec $REAL "$@"
        for word; do
            case $word in fs/*.o|*/fs/*.o)
                $REAL "$@"; head -c 300 "$word" > "$word.cut"; cat "$word.cut" > "$word"
                rm "$word.cut"; kill -KILL $$;;
            esac
        done
        exec $REAL "$@\"""",
    )
    (folder / "armed").touch()
    done = harness("boot", "--tree", "linux", cwd=project, env=env)
    assert done.returncode == 128, done.stdout
    assert ": the compiler was " in done.stdout
    (folder / "armed").unlink()
    (left,) = (tmp_path / "cache/harness/lanes").glob("*/out/*/fs/namespace.o")
    assert left.stat().st_size == 300
    done = harness("boot", "--tree", "linux", cwd=project, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(tmp_path.rglob("bad/*"))


INTERRUPT_AT = """
import sys
from harness import sandbox
from harness.__main__ import main

calls = []

def interrupt(frame, event, argument):
    if event == "call" and frame.f_code is sandbox.run.__code__:
        if "vmlinux" in frame.f_locals["argv"]:
            raise KeyboardInterrupt

sys.setprofile(interrupt)
sys.exit(main())
"""


def test_an_interrupt_before_make_has_said_a_word_is_one(project: Path, tmp_path: Path) -> None:
    """There is no log of the first build in a lane then."""
    argv = [sys.executable, "-c", INTERRUPT_AT, "boot", "--tree", "linux"]
    done = subprocess.run(argv, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stdout + done.stderr
    assert not list((tmp_path / "cache/harness/lanes").glob("*/out/*.log"))


# bubblewrap says of a program that was killed what a shell does.
@pytest.mark.parametrize(("sandbox", "death"), [("none", "kill -KILL $$"), ("auto", "exit 137")])
def test_a_git_that_is_killed_does_not_blame_the_patch(
    harness: Harness, project: Path, clone: Path, tmp_path: Path, sandbox: str, death: str
) -> None:
    series = change(clone, NAMESPACE % "new", "fs: answer anew", name="series")
    env = program(tmp_path / "bin", "git", f'case "$*" in *apply*) {death};; esac; exec $REAL "$@"')
    env["HARNESS_SANDBOX"] = sandbox
    done = harness("boot", "--tree", "linux", "--series", series, cwd=project, env=env)
    assert done.returncode == 128
    assert "was killed from outside, by SIGKILL" in done.stdout


# --- the O= folder --------------------------------------------------------------------------


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An O= folder with two objects, sealed."""
    folder = tmp_path / "out/abc"
    outdir.prepare(folder)
    for name in ("a.o", "fs/b.o"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"object")
    outdir.seal(folder)
    return folder


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_make_left_is_kept(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outdir.prepare(out)
    assert files_of(out) == ["a.o", "fs/b.o"]
    assert capsys.readouterr().err == ""


def test_what_a_killed_make_wrote_goes_and_nothing_else(out: Path) -> None:
    (out / "a.o").write_bytes(b"half")
    (out / "new.o").write_bytes(b"")
    outdir.prepare(out)
    assert files_of(out) == ["fs/b.o"]


@pytest.mark.parametrize("damage", ["gone", "cut short"])
def test_without_its_seal_all_of_it_goes(out: Path, damage: str) -> None:
    seal = out.with_suffix(".seal")
    seal.unlink() if damage == "gone" else seal.write_bytes(seal.read_bytes()[:-9])
    outdir.prepare(out)
    assert files_of(out) == []


def test_a_clock_that_was_set_back_costs_a_build_and_no_more(
    harness: Harness, project: Path, clone: Path, tmp_path: Path
) -> None:
    """A source that is written now is older than its object of tomorrow: make would keep that."""
    assert harness("boot", "--tree", "linux", cwd=project).returncode == 0
    tomorrow = time.time() + 86400
    (folder,) = (tmp_path / "cache/harness/lanes").iterdir()
    (built,) = (path for path in (folder / "out").iterdir() if not path.suffix)
    for path in built.rglob("*"):
        os.utime(path, (tomorrow, tomorrow))
    outdir.seal(built, remember=lane.Worktree(path=folder / "tree", lock_fd=0).remember)
    series = change(clone, NAMESPACE % "new", "fs: answer anew", name="series")
    done = harness("boot", "--tree", "linux", "--series", series, "--json", cwd=project)
    assert json.loads(done.stdout)["observations"]["boot.mount"] == "new"
    assert "the clock was set back since the last build there" in done.stderr


# --- locks and orders -----------------------------------------------------------------------


def test_a_child_keeps_the_lock_when_the_tool_is_killed(tmp_path: Path) -> None:
    """An orphan of a killed build may still write: nobody builds there before it is done."""
    path = tmp_path / "lock"
    script = (
        "import sys; from pathlib import Path; from harness import proc; "
        "from harness.lock import Lock; lock = Lock(Path(sys.argv[1])); lock.acquire(); "
        "proc.run(['sh', '-c', 'trap \"\" TERM; echo up >&2; sleep 1'], keep_fds=[lock.fd],"
        " log_path=Path(sys.argv[1] + '.log'))"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(path)])
    while not (tmp_path / "lock.log").exists() or not (tmp_path / "lock.log").stat().st_size:
        time.sleep(0.01)
    child.kill()
    child.wait()
    assert not Lock(path).acquire(blocking=False)
    lock = Lock(path)
    assert lock.acquire()
    lock.release()


def test_runs_are_in_the_order_they_were_published_whatever_the_clock_says(tmp_path: Path) -> None:
    top = tmp_path / "runs"

    def publish(name: str) -> Path:
        return runs.publish_folder("run", name, texts={runs.RESULT: b"{}"}, links={}, top=top)

    # All of one second, and of names that sort otherwise.
    names = ["20260101-000000-f", "20260101-000000-a", "20260101-000000-c"]
    publish(names[0])
    os.utime(publish(names[1]), (time.time() + 9999,) * 2)
    publish(names[2])
    assert [path.name for path in runs.in_order(top, runs.RESULT)] == names
    assert (top / "latest").resolve().name == names[2]


def test_what_a_killed_process_left_among_the_runs_is_swept(tmp_path: Path) -> None:
    top = tmp_path / "runs"
    (top / ".half").mkdir(parents=True)
    (top / ".half/console.log").write_text("half")
    runs.publish_folder("run", "whole", texts={runs.RESULT: b"{}"}, links={}, top=top)
    assert sorted(path.name for path in top.iterdir()) == ["latest", "whole"]


def test_a_command_that_cannot_be_started_for_want_of_processes_is_the_hosts_fault(
    tmp_path: Path,
) -> None:
    with pytest.raises(HostError, match="cannot start"):
        proc.run([str(tmp_path)])


def test_a_half_written_note_is_used_up_by_the_next_sweep(store: Store) -> None:
    (store.root / "last").mkdir(parents=True)
    (store.root / "last/.kernel.new").write_text("half")
    store.get_or_make("thing", {"a": "1"}, lambda _: log.note("made"))
    assert not (store.root / "last/.kernel.new").exists()
