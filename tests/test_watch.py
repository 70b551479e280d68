"""When a guest has hung: by its own time and by what it says, not by this machine's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest
import tiny_guest as guest
from hypothesis import given
from hypothesis import strategies as st
from test_boot import qemus_of, wait_for

from harness import arch as arches
from harness import boot, calibrate
from harness.guesttime import GuestTime
from harness.job import EndReason, Transcript
from harness.progress import Progress
from harness.store import Store
from harness.watch import Limit, Watch

ARCH = arches.load("x86_64")
HERE = Path(__file__).parent

BUSY = "while True: pass"
ASLEEP = "import time; time.sleep(60)"


def python(code: str, *, nice: int = 0) -> "subprocess.Popen[bytes]":
    """Run Python code on one CPU only, in a session of its own."""
    prepare = f"import os; os.nice({nice}); os.sched_setaffinity(0, {{{_cpu()}}})\n"
    return subprocess.Popen([sys.executable, "-c", prepare + code], start_new_session=True)


def _cpu() -> int:
    return max(os.sched_getaffinity(0))


@contextmanager
def running(code: str, *, count: int = 1, nice: int = 0) -> Iterator["subprocess.Popen[bytes]"]:
    """Give the last of `count` processes that run Python code."""
    with ExitStack() as stack:
        made = [stack.enter_context(python(code, nice=nice)) for _ in range(count)]
        # By then they run what they are to run.
        time.sleep(0.5)
        try:
            yield made[-1]
        finally:
            for process in made:
                process.kill()


def had_of(pid: int) -> tuple[float, float]:
    """Return how much a process is given in each second, and how much CPU time it takes."""
    clock = GuestTime(pid)
    began, cpu_s = time.monotonic(), clock.cpu_s
    while time.monotonic() < began + 1.2:
        time.sleep(0.1)
        clock.read()
    passed = time.monotonic() - began
    return clock.had_s / passed, (clock.cpu_s - cpu_s) / passed


# --- the time that a process is given -------------------------------------------------------


def test_one_that_sleeps_has_all_the_time() -> None:
    with running(ASLEEP) as process:
        had, ran = had_of(process.pid)
        assert had == pytest.approx(1, abs=0.2)
        assert ran < 0.1


def test_one_that_is_busy_has_the_time_in_which_it_runs() -> None:
    with running(BUSY, count=4), running(BUSY, nice=19) as process:
        had, ran = had_of(process.pid)
        assert ran <= had + 0.02
        assert had < 0.5


def test_one_that_is_stopped_has_none_and_goes_on_where_it_was() -> None:
    with running(ASLEEP) as process:
        process.send_signal(signal.SIGSTOP)
        assert had_of(process.pid)[0] < 0.2
        process.send_signal(signal.SIGCONT)
        assert had_of(process.pid)[0] > 0.5


def test_the_longest_pause_is_told() -> None:
    with running(ASLEEP) as process:
        clock = GuestTime(process.pid)
        for sig, steps in ((signal.SIGSTOP, 3), (signal.SIGCONT, 2), (signal.SIGSTOP, 1)):
            process.send_signal(sig)
            for _ in range(steps):
                time.sleep(0.3)
                clock.read()
        assert clock.pause_s == pytest.approx(0.9, abs=0.2)


def test_a_moment_of_plenty_ends_no_pause() -> None:
    with running(ASLEEP) as process:
        clock = GuestTime(process.pid)
        for sig, seconds in (
            (signal.SIGSTOP, 0.9),
            (signal.SIGCONT, 0.1),
            (signal.SIGSTOP, 0.9),
            (signal.SIGCONT, 0.1),
        ):
            process.send_signal(sig)
            time.sleep(seconds)
            clock.read()
        # What it had counts four times.
        assert clock.pause_s == pytest.approx(0.9 - 0.3 + 0.9, abs=0.25)


def test_a_fair_share_of_a_busy_machine_is_no_pause() -> None:
    """One of three has less than half of a CPU, and its kernel's lockups are its own."""
    with running(BUSY, count=3) as process:
        clock = GuestTime(process.pid)
        for _ in range(25):
            time.sleep(0.1)
            clock.read()
    assert clock.had_s < 1.6
    assert clock.pause_s < 1


class Fake:
    """A process of /proc, whose threads ran and waited for as long as the test says."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.proc = folder
        self.folder = folder / "7"
        self.names = names
        self.have({})

    def have(self, counts: dict[str, tuple[float, float]]) -> None:
        """Give threads, by name, the seconds in which they ran and waited."""
        ran_s = sum(ran for ran, _ in counts.values())
        self._stat(self.folder, "qemu", ran_s)
        for number, name in enumerate(self.names):
            ran, waited = counts.get(name, (0.0, 0.0))
            folder = self.folder / "task" / str(number)
            self._stat(folder, name, ran)
            (folder / "schedstat").write_text(f"{ran * 1e9:.0f} {waited * 1e9:.0f} 1\n")

    @staticmethod
    def _stat(folder: Path, name: str, ran_s: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        ticks = int(ran_s * os.sysconf("SC_CLK_TCK"))
        (folder / "stat").write_text(f"7 ({name}) S {'0 ' * 10}{ticks} 0 0")


CPU_0, CPU_1 = "CPU 0/TCG", "CPU 1/KVM"


@pytest.mark.parametrize(
    ("counts", "part"),
    [
        pytest.param({CPU_0: (0, 0.3), CPU_1: (0, 0.3)}, 0.7, id="both wait at once"),
        pytest.param({CPU_0: (0.2, 0.8), CPU_1: (0, 0)}, 0.2, id="the one with the least counts"),
        pytest.param({CPU_0: (0.5, 0.5), CPU_1: (0.5, 0.5)}, 0.5, id="both have half"),
        pytest.param({CPU_0: (0, 0.3), "qemu": (0, 0.3)}, 0.4, id="for the rest of QEMU too"),
        pytest.param({"qemu": (0, 0.3)}, 0.7, id="for it alone"),
    ],
)
def test_each_virtual_cpu_waits_for_itself(
    tmp_path: Path, counts: dict[str, tuple[float, float]], part: float
) -> None:
    process = Fake(tmp_path, "qemu", CPU_0, CPU_1)
    clock = GuestTime(7, tmp_path)
    began = time.monotonic()
    time.sleep(1)
    process.have(counts)
    had = clock.read()
    assert had / (time.monotonic() - began) == pytest.approx(part, abs=0.05)


def test_one_that_has_ended_has_none() -> None:
    with running(ASLEEP) as process:
        clock = GuestTime(process.pid)
        process.kill()
        process.wait()
        time.sleep(0.2)
        assert clock.read() == 0


def test_what_nobody_looked_at_is_not_held_against_it() -> None:
    """So it is when the tool itself was stopped, or the machine slept."""
    with running(BUSY) as process:
        clock = GuestTime(process.pid)
        time.sleep(2.5)
        assert clock.read() <= 2


# --- progress -------------------------------------------------------------------------------


def took(*said: bytes) -> list[bool]:
    progress = Progress()
    found = []
    for data in said:
        progress.add(data)
        found.append(progress.take())
    return found


@pytest.mark.parametrize(
    ("said", "progressed"),
    [
        pytest.param([b"one\n", b"one\n", b"one\none\n"], [True, False, False], id="the same"),
        pytest.param([b"a\n", b"b\n", b"a\nb\n"], [True, True, False], id="a cycle"),
        pytest.param([b"[ 1.000001] x\n", b"[ 1.000002] x\n"], [True, True], id="guest time"),
        pytest.param([b"harness: n 1 end\n", b"harness: n 2 end\n"], [True, True], id="record"),
        pytest.param([b"....", b"....", b".\n", b"\n\n"], [False, False, True, False], id="dots"),
        pytest.param([b"", b""], [False, False], id="silence"),
    ],
)  # fmt: skip
def test_progress_is_a_line_that_was_not_there(said: list[bytes], progressed: list[bool]) -> None:
    assert took(*said) == progressed


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_pieces_of_any_size_show_the_same(data: bytes, cuts: list[int]) -> None:
    whole, pieces = Progress(), Progress()
    whole.add(data)
    starts = sorted({0, *cuts})
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        pieces.add(data[start : max(start, end)])
    assert whole.take() == pieces.take()


def test_a_flood_takes_no_memory() -> None:
    progress = Progress()
    for _ in range(100):
        progress.add(b"x" * (1 << 20))
    assert len(progress._fresh) <= 1 << 20
    assert not progress.take()


# --- limits ---------------------------------------------------------------------------------


def test_a_limit_in_wall_time_is_the_machines_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.watch._STARVED_MIN_S", 1.0)
    monkeypatch.setattr("harness.watch.STARVED_FACTOR", 1)
    with running(ASLEEP) as process:
        process.send_signal(signal.SIGSTOP)
        watch = Watch(process.pid, deadline_s=1.0)
        began = time.monotonic()
        while not (overdue := watch.look()):
            time.sleep(0.05)
        assert 1 <= time.monotonic() - began < 5
    assert overdue.limit is Limit.STARVED
    assert "this machine gave the guest 0.0 s" in overdue.note


# --- guests ---------------------------------------------------------------------------------

WORK = "mov $100000000, %eax; work: dec %eax; jnz work;"

# Counts in the last six digits of a line's stamp, as far as it gets.
COUNT = """
	mov $0x3f8, %dx
again:	mov $text, %esi
	mov $17, %ecx
more:	lodsb
	outb %al, %dx
	loop more
	mov $text + 12, %edi
carry:	incb (%edi)
	cmpb $'9' + 1, (%edi)
	jne again
	movb $'0', (%edi)
	dec %edi
	cmp $text + 6, %edi
	jne carry
	jmp again
text:	.ascii "[    0.000000] x\\n"
"""


Boot = Callable[..., Transcript]


@pytest.fixture
def run(tmp_path: Path, store: Store) -> Boot:
    def boot_it(body: str, *, deadline_s: float = 20) -> Transcript:
        image = guest.build(body, tmp_path, store)
        spec = guest.spec_of(image, ARCH, deadline_s=deadline_s)
        return boot.boot(spec, ARCH, store=store, accel="tcg")

    return boot_it


def cpus_of(image: Path) -> set[str]:
    """Return the names of the threads that are a running guest's CPUs."""
    return {
        path.read_text().strip()
        for pid in qemus_of(image)
        for path in Path(f"/proc/{pid}/task").glob("*/comm")
        if "CPU" in path.read_text()
    }


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_guests_cpus_are_known_by_their_threads(tmp_path: Path, store: Store, cpus: int) -> None:
    image = guest.build(guest.SPIN, tmp_path, store)
    spec = msgspec.structs.replace(guest.spec_of(image, ARCH, deadline_s=0.5), cpus=cpus)
    names = {f"CPU {number}/TCG" for number in range(cpus)}
    found: list[bool] = []

    def was_seen() -> bool:
        return wait_for(lambda: cpus_of(image) == names)

    boot.boot(spec, ARCH, store=store, accel="tcg", meanwhile=lambda: found.append(was_seen()))
    assert found == [True]


def limit_of(transcript: Transcript) -> tuple[str, bool]:
    assert transcript.ended is EndReason.DEADLINE
    assert transcript.hang is not None
    return transcript.hang.limit, transcript.hang.is_idle


@pytest.mark.parametrize(
    ("body", "limit", "is_idle"),
    [
        pytest.param(guest.SPIN, "no-progress", False, id="spins"),
        pytest.param(guest.HALT, "no-progress", True, id="sleeps"),
        pytest.param(guest.say(b"on\n", times=0), "no-progress", False, id="repeats itself"),
        pytest.param(COUNT, "total", False, id="its time goes on"),
    ],
)
def test_a_hang_is_told_by_the_limit(run: Boot, body: str, limit: str, is_idle: bool) -> None:  # noqa: FBT001
    transcript = run(body, deadline_s=0.5)
    assert limit_of(transcript) == (limit, is_idle)
    assert transcript.seconds >= (1.5 if limit == "total" else 0.5)


def in_another_process(image: Path, store: Store, deadline_s: float) -> "subprocess.Popen[str]":
    """Boot as a tool of its own, which says how it went: reason, and seconds."""
    return subprocess.Popen(
        [sys.executable, __file__, str(image), str(store.root), str(deadline_s)],
        stdout=subprocess.PIPE,
        text=True,
    )


def outcome(tool: "subprocess.Popen[str]") -> tuple[str, float]:
    ended, seconds = tool.communicate(timeout=120)[0].split()
    return ended, float(seconds)


def test_a_busy_machine_makes_no_hang(run: Boot, tmp_path: Path, store: Store) -> None:
    """A guest that has one CPU with four others, at the lowest priority."""
    body = WORK + guest.exit_with(16)
    before = os.times()
    run(body)
    after = os.times()
    deadline_s = 3 * (after.children_user - before.children_user)
    image = guest.build(body, tmp_path, store)
    with running(BUSY, count=4, nice=15):
        argv = ["nice", "-n", "19", "taskset", "-c", str(_cpu())]
        tool = subprocess.Popen(
            [*argv, sys.executable, __file__, str(image), str(store.root), str(deadline_s)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        ended, seconds = outcome(tool)
    assert ended == EndReason.GUEST_EXIT
    # Or it would prove nothing.
    assert seconds > deadline_s


def test_yet_a_hang_is_seen_on_a_busy_machine(tmp_path: Path, store: Store) -> None:
    image = guest.build(guest.SPIN, tmp_path, store)
    with running(BUSY, count=2):
        ended, seconds = outcome(in_another_process(image, store, 0.5))
    assert ended == EndReason.DEADLINE
    assert seconds < 30


def test_a_qemu_that_was_stopped_has_not_hung(tmp_path: Path, store: Store) -> None:
    body = guest.say(b"begun\n") + WORK + guest.exit_with(16)
    image = guest.build(body, tmp_path, store)
    with in_another_process(image, store, 1.5) as tool:
        assert wait_for(lambda: qemus_of(image))
        (pid,) = qemus_of(image)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(pid, signal.SIGCONT)
        ended, seconds = outcome(tool)
    assert ended == EndReason.GUEST_EXIT
    assert seconds > 1.5


def test_nor_has_a_guest_whose_tool_was_stopped(tmp_path: Path, store: Store) -> None:
    # More than a terminal holds: the guest waits for the tool.
    body = WORK + guest.say(b"twenty bytes a line\n", times=1000) + guest.exit_with(16)
    image = guest.build(body, tmp_path, store)
    with in_another_process(image, store, 2.5) as tool:
        assert wait_for(lambda: qemus_of(image))
        tool.send_signal(signal.SIGSTOP)
        time.sleep(4)
        tool.send_signal(signal.SIGCONT)
        ended, seconds = outcome(tool)
    assert ended == EndReason.GUEST_EXIT
    assert seconds > 2.5


# --- the unit -------------------------------------------------------------------------------


def test_a_machine_is_measured_once(store: Store) -> None:
    unit = calibrate.unit_s(ARCH, "tcg", store)
    assert 0 < unit < 60
    began = time.monotonic()
    assert calibrate.unit_s(ARCH, "tcg", store) == unit
    assert time.monotonic() - began < 0.05


def test_deadlines_grow_with_the_unit_and_never_shrink(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = calibrate.unit_s(ARCH, "tcg", store)
    monkeypatch.setattr(calibrate, "NOMINAL_UNIT_S", unit / 3)
    assert calibrate.deadline_s(ARCH, "tcg", store) == pytest.approx(180)
    assert calibrate.deadline_s(ARCH, "tcg", store, asked_s=5) == pytest.approx(15)
    monkeypatch.setattr(calibrate, "NOMINAL_UNIT_S", unit * 3)
    assert calibrate.deadline_s(ARCH, "tcg", store) == 60


def test_a_machine_that_cannot_be_measured_is_the_nominal_one(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a QEMU and no compiler: nothing to measure with."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / ARCH.qemu).symlink_to("/bin/false")
    monkeypatch.setenv("PATH", str(folder))
    assert calibrate.scale(ARCH, "tcg", store) == 1
    assert not (store.root / "store" / "unit").exists()


if __name__ == "__main__":
    made = boot.boot(
        guest.spec_of(Path(sys.argv[1]), ARCH, deadline_s=float(sys.argv[3])),
        ARCH,
        store=Store(Path(sys.argv[2])),
        accel="tcg",
    )
    sys.stdout.write(f"{made.ended} {made.seconds}\n")
