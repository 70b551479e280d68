import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_guest as guest
import tiny_guest_arm64 as arm64

from harness import aftermath, boot, capture, console, qmp
from harness import arch as arches
from harness.errors import HostError, Outcome
from harness.job import BootSpec, EndReason, Transcript
from harness.store import Store

ARCH = arches.load("x86_64")
GOLDEN = Path(__file__).parent / "golden"

Boot = Callable[..., Transcript]


@pytest.fixture
def run(tmp_path: Path, store: Store) -> Boot:
    """Boot a guest given as instructions, under TCG."""

    def boot_it(body: str, *, deadline_s: float = 20) -> Transcript:
        image = guest.build(body, tmp_path, store)
        spec = guest.spec_of(image, ARCH, deadline_s=deadline_s)
        return boot.boot(spec, ARCH, store=store, accel="tcg")

    return boot_it


def qemus_of(needle: Path) -> list[int]:
    """Return the processes whose command line holds a path."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"qemu-system-x86_64") and os.fsencode(needle) in words:
            found.append(int(folder.name))
    return found


def wait_for(condition: Callable[[], object], *, limit_s: float = 10) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


# --- the ends -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "ended", "status"),
    [
        pytest.param(guest.exit_with(16), EndReason.GUEST_EXIT, 33, id="exit"),
        # QEMU's own failures exit with 1 as well.
        pytest.param(guest.exit_with(0), EndReason.GUEST_EXIT, 1, id="exit-0"),
        pytest.param(guest.exit_with(127), EndReason.GUEST_EXIT, 255, id="exit-127"),
        pytest.param(guest.TRIPLE_FAULT, EndReason.GUEST_RESET, 0, id="triple-fault"),
        pytest.param(guest.RESET_PORT, EndReason.GUEST_RESET, 0, id="reset-port"),
        pytest.param(guest.KEYBOARD_RESET, EndReason.GUEST_RESET, 0, id="keyboard-reset"),
        pytest.param(guest.POWER_OFF, EndReason.GUEST_SHUTDOWN, 0, id="power-off"),
    ],
)
def test_the_way_a_guest_leaves_is_told(
    run: Boot, body: str, ended: EndReason, status: int
) -> None:
    transcript = run(guest.say(b"hello\n") + body)
    assert (transcript.ended, transcript.status) == (ended, status)
    assert transcript.console == b"hello\n"
    assert transcript.note == ""
    assert transcript.qemu_stderr == ""


@pytest.mark.parametrize(
    ("body", "ended", "status"),
    [
        pytest.param(arm64.POWER_OFF, EndReason.GUEST_SHUTDOWN, 0, id="power-off"),
        pytest.param(arm64.RESET, EndReason.GUEST_RESET, 0, id="reset"),
        pytest.param(arm64.SPIN, EndReason.DEADLINE, -signal.SIGKILL, id="spin"),
    ],
)
@arm64.needed
def test_so_it_is_on_arm64(
    tmp_path: Path, store: Store, body: str, ended: EndReason, status: int
) -> None:
    image = arm64.build(arm64.say(b"hello\n") + body, tmp_path, store)
    spec = guest.spec_of(image, arm64.ARCH, deadline_s=2)
    transcript = boot.boot(spec, arm64.ARCH, store=store, accel="tcg")
    assert (transcript.ended, transcript.status) == (ended, status)
    assert transcript.console == b"hello\n"
    assert transcript.qemu_stderr == ""
    assert (transcript.hang is not None) == (ended is EndReason.DEADLINE)
    assert transcript.hang is None or "PC=" in transcript.hang.registers


@pytest.mark.parametrize("body", [guest.SPIN, guest.HALT], ids=["spin", "halt"])
def test_a_guest_that_hangs_ends_at_the_deadline_with_its_registers(run: Boot, body: str) -> None:
    transcript = run(guest.say(b"so far") + body, deadline_s=0.7)
    assert transcript.ended is EndReason.DEADLINE
    assert transcript.status == -signal.SIGKILL
    assert transcript.console == b"so far"
    assert "0.7 s" in transcript.note
    assert transcript.hang is not None
    assert "EIP=" in transcript.hang.registers
    assert transcript.seconds >= 0.7


def test_a_panic_and_then_silence_is_not_waited_for(
    run: Boot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "PANIC_GRACE_S", 0.2)
    transcript = run(guest.say(b"[1.0] Kernel panic - not syncing: x\n") + guest.SPIN)
    assert transcript.ended is EndReason.HOST_QUIT
    assert "panic" in transcript.note
    assert transcript.seconds < 5


def test_a_panic_that_resets_is_a_reset(run: Boot) -> None:
    transcript = run(guest.say(b"Kernel panic - not syncing: x\n") + guest.TRIPLE_FAULT)
    assert transcript.ended is EndReason.GUEST_RESET


def test_a_guest_without_a_word_is_no_failure_of_qemu(run: Boot) -> None:
    transcript = run(guest.exit_with(16))
    assert (transcript.ended, transcript.console) == (EndReason.GUEST_EXIT, b"")


def test_events_have_their_times(run: Boot) -> None:
    events = run(guest.TRIPLE_FAULT).events
    assert [event.name for event in events] == ["RESUME", "SHUTDOWN"]
    assert '"guest-reset"' in events[1].data
    assert 0 < events[0].seconds <= events[1].seconds < 5


# --- the console ----------------------------------------------------------------------------


def test_every_byte_comes_as_it_was_sent(run: Boot) -> None:
    every = bytes(range(256))
    assert run(guest.say(every) + guest.exit_with(16)).console == every


def test_a_long_line_and_no_newline_at_the_end(run: Boot) -> None:
    transcript = run(guest.say(b"0123456789" * 10, times=1024) + guest.exit_with(16))
    assert transcript.console == b"0123456789" * 10240


def test_nothing_is_lost_however_the_guest_leaves(run: Boot) -> None:
    for _ in range(5):
        assert run(guest.say(b"last words\n", times=50) + guest.RESET_PORT).console == (
            b"last words\n" * 50
        )


def test_a_guest_that_never_stops_talking_is_cut(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "CONSOLE_MAX", 100_000)
    image = guest.build(guest.say(b"on and on\n", times=0), tmp_path, store)
    spec = guest.spec_of(image, ARCH)
    transcript = boot.boot(spec, ARCH, store=store, accel="tcg", run_dir=tmp_path)
    assert transcript.ended is EndReason.HOST_QUIT
    assert "100000 bytes" in transcript.note
    whole, said = transcript.console[:100_000], transcript.console[100_000:]
    assert whole == b"on and on\n" * 10_000
    assert said == b"\n(harness kept 100000 bytes of this console; there was more)\n"
    # The run's folder has the same, and who reads it there is told the same.
    assert (tmp_path / "console.log").read_bytes() == transcript.console
    found = console.parse(transcript.console)
    assert found.line_count == 10_002
    (cause,) = aftermath.ending(found, transcript, is_proved=False)
    assert cause.outcome is Outcome.HANG
    assert "its console had passed 100000 bytes" in cause.reason
    assert "there was more" in cause.evidence[-1]


def test_output_is_passed_on_and_kept_as_it_comes(tmp_path: Path, store: Store) -> None:
    image = guest.build(guest.say(b"now\n") + guest.exit_with(16), tmp_path, store)
    log = tmp_path / "console.log"
    seen: list[bytes] = []
    boot.boot(
        guest.spec_of(image, ARCH),
        ARCH,
        store=store,
        accel="tcg",
        on_output=lambda data: seen.append(data + log.read_bytes()),
        run_dir=tmp_path,
    )
    assert seen[-1].endswith(b"now\n")
    assert log.read_bytes() == b"now\n"


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_panic_is_seen_in_pieces_of_any_size(size: int) -> None:
    text = b"x" * 50 + b"Kernel panic - not syncing: y"
    with capture.Capture(limit=1 << 20) as kept:
        for start in range(0, len(text), size):
            kept.add(text[start : start + size])
        assert kept.has_panic
        assert kept.data() == text


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_what_is_kept_ends_at_the_limit(tmp_path: Path, size: int) -> None:
    text, log = b"abc" * 100, tmp_path / "log"
    with capture.Capture(path=log, limit=300) as whole:
        for start in range(0, len(text), size):
            whole.add(text[start : start + size])
        assert not whole.is_cut
        assert whole.data() == log.read_bytes() == text
    with capture.Capture(path=log, limit=200) as cut:
        for start in range(0, len(text), size):
            cut.add(text[start : start + size])
        assert cut.is_cut
        assert cut.data() == log.read_bytes()
        assert cut.data().startswith(text[:200] + b"\n(harness kept 200 bytes of")
        assert cut.data().count(b"\n") == 2


# --- faults of the host ---------------------------------------------------------------------


def boot_image(image: Path, store: Store, *, memory_mib: int = 64) -> Transcript:
    spec = guest.spec_of(image, ARCH, memory_mib=memory_mib)
    return boot.boot(spec, ARCH, store=store, accel="tcg")


def test_a_kernel_that_is_not_there(tmp_path: Path, store: Store) -> None:
    transcript = boot_image(tmp_path / "none", store)
    assert (transcript.ended, transcript.status) == (EndReason.QEMU_FAILED, 1)
    assert "could not open kernel" in transcript.qemu_stderr
    assert transcript.console == b""


def test_a_memory_size_that_cannot_be(tmp_path: Path, store: Store) -> None:
    image = guest.build(guest.exit_with(16), tmp_path, store)
    transcript = boot_image(image, store, memory_mib=1 << 30)
    assert transcript.ended is EndReason.QEMU_FAILED
    assert transcript.qemu_stderr


def test_an_accelerator_that_does_not_start(tmp_path: Path, store: Store) -> None:
    image = guest.build(guest.exit_with(16), tmp_path, store)
    transcript = boot.boot(guest.spec_of(image, ARCH), ARCH, store=store, accel="xen")
    assert transcript.ended is EndReason.QEMU_FAILED
    assert transcript.qemu_stderr


def test_no_qemu_says_who_knows_the_package(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="qemu-system-x86_64 is not on PATH") as caught:
        boot_image(tmp_path / "none", store)
    assert "harness doctor" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("kill -SEGV $$", -signal.SIGSEGV),
        ("echo qemu-system-x86_64: no room >&2; exit 1", 1),
        ("exit 0", 0),
        # Not an exit of the guest's: nothing was ever let run.
        ("exit 33", 33),
        ("echo says much, runs nothing; exec sleep 60", -signal.SIGKILL),
    ],
)
def test_a_qemu_that_never_runs_the_guest_has_failed(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, script: str, status: int
) -> None:
    fake_qemu(tmp_path / "bin", f"#!/bin/sh\n{script}\n", monkeypatch)
    transcript = boot.boot(
        guest.spec_of(tmp_path / "none", ARCH, deadline_s=0.5), ARCH, store=store, accel="tcg"
    )
    assert (transcript.ended, transcript.status) == (EndReason.QEMU_FAILED, status)


def test_a_qemu_that_is_no_program(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_qemu(tmp_path / "bin", "\0\1\2", monkeypatch)
    with pytest.raises(HostError, match="cannot start"):
        boot_image(tmp_path / "none", store)


def fake_qemu(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    program = folder / ARCH.qemu
    program.write_text(text)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


# --- nothing is left behind -----------------------------------------------------------------


def test_an_interrupt_leaves_no_process_file_or_thread(tmp_path: Path, store: Store) -> None:
    image = guest.build(guest.say(b"x") + guest.SPIN, tmp_path, store)
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count will do

    def interrupt(_: bytes) -> None:
        assert qemus_of(image)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        boot.boot(guest.spec_of(image, ARCH), ARCH, store=store, accel="tcg", on_output=interrupt)
    assert not qemus_of(image)
    assert len(os.listdir("/proc/self/fd")) <= descriptors  # noqa: PTH208
    assert not [thread for thread in threading.enumerate() if thread.name == "qmp"]


def test_nor_does_one_between_the_start_and_the_first_byte(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = guest.build(guest.SPIN, tmp_path, store)
    start = qmp.Monitor.start

    def interrupted(monitor: qmp.Monitor) -> None:
        start(monitor)
        raise KeyboardInterrupt

    monkeypatch.setattr(qmp.Monitor, "start", interrupted)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        boot_image(image, store)
    assert not qemus_of(image)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_qemu_outlives_the_tool(tmp_path: Path, store: Store, sig: signal.Signals) -> None:
    image = guest.build(guest.SPIN, tmp_path, store)
    tool = subprocess.Popen([sys.executable, __file__, str(image), str(store.root)])
    try:
        assert wait_for(lambda: qemus_of(image))
        tool.send_signal(sig)
        tool.wait(10)
        assert wait_for(lambda: not qemus_of(image), limit_s=2)
    finally:
        tool.kill()
        tool.wait()


def test_two_boots_at_once(tmp_path: Path, store: Store) -> None:
    image = guest.build(guest.say(b"mine\n") + guest.exit_with(16), tmp_path, store)
    done: list[Transcript] = []
    threads = [
        threading.Thread(target=lambda: done.append(boot_image(image, store))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(t.ended, t.console) for t in done] == [(EndReason.GUEST_EXIT, b"mine\n")] * 4


# --- command lines --------------------------------------------------------------------------


@pytest.mark.parametrize("accel", ["tcg", "kvm"])
@pytest.mark.parametrize("name", arches.names())
def test_the_command_line_is_the_one_it_was(
    accel: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    is_update: bool,  # noqa: FBT001
) -> None:
    """virtme-ng's knowledge is undocumented: a new version must not change a boot unseen."""
    row = arches.load(name)
    monkeypatch.setattr("platform.machine", lambda: row.uname)
    argv = boot.compose(guest.spec_of(Path("/k"), row, cmdline='a b="c d"'), row, accel)
    golden = GOLDEN / f"argv-{row.name}-{accel}.txt"
    text = "\n".join(argv) + "\n"
    if is_update:
        golden.write_text(text)
    assert text == golden.read_text()


def test_firmware_that_this_qemu_does_not_bring_is_not_asked_for(tmp_path: Path) -> None:
    binary = tmp_path / "bin" / "qemu"
    assert boot.with_firmware_of(ARCH, str(binary)).bios == ""
    firmware = tmp_path / "share" / "qemu" / ARCH.bios
    firmware.parent.mkdir(parents=True)
    firmware.touch()
    assert boot.with_firmware_of(ARCH, str(binary)) == ARCH
    spec: BootSpec = guest.spec_of(Path("/k"), ARCH)
    assert "-bios" not in boot.compose(spec, boot.with_firmware_of(ARCH, "/none/bin/q"), "tcg")


def test_the_script_repeats_the_boot(tmp_path: Path, run: Boot) -> None:
    transcript = run(guest.say(b"again\n") + guest.exit_with(16))
    kernel = transcript.argv[transcript.argv.index("-kernel") + 1]
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "it's").symlink_to(kernel)
    script = folder / "repro.sh"
    script.write_text(boot.repro_script(transcript.argv, names={kernel: "it's"}))
    done = subprocess.run(
        ["sh", script], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert done.stdout == b"again\nguest exit ok\n"
    assert done.returncode == 33


if __name__ == "__main__":
    boot.boot(
        guest.spec_of(Path(sys.argv[1]), ARCH, deadline_s=60),
        ARCH,
        store=Store(Path(sys.argv[2])),
        accel="tcg",
    )
