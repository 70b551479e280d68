"""Takes a kernel, an initramfs and a command line; gives the transcript of one boot in QEMU.

The only module that imports pexpect (QEMU's process group and the guest's console). It judges
nothing.
"""

import os
import signal
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pexpect

from harness import accel as accels
from harness import ending, environment, functions, log, postmortem, proc, processes
from harness.arch import Arch
from harness.capture import Capture
from harness.cmdline import kernel_cmdline, repro_script
from harness.errors import HostError
from harness.job import BootSpec, EndReason, Hang, QmpEvent, Transcript
from harness.machine import compose, with_firmware_of
from harness.qmp import Monitor
from harness.store import Store
from harness.watch import Limit, Overdue, Watch

__all__ = ["boot", "compose", "kernel_cmdline", "repro_script", "with_firmware_of"]

# A guest says 20 to 60 KB. One that says more than this is ended, and judged by what is kept.
CONSOLE_MAX = 32 << 20
# After a panic the kernel prints without a pause until it is done. If it then neither reboots
# nor prints (panic=0), there is nothing to wait for.
PANIC_GRACE_S = 3.0
# QEMU writes the console byte by byte. Resting between reads makes 40 of 350 of them for 7 KB,
# and 3 ms of CPU out of 8, for at most this much more at the end.
_REST_S = 0.002
# For how long to wait for the last words of a QEMU that was killed.
_DRAIN_S = 0.5


def boot(
    spec: BootSpec,
    arch: Arch,
    *,
    store: Store,
    accel: str | None = None,
    on_output: Callable[[bytes], None] | None = None,
    run_dir: Path | None = None,
    meanwhile: Callable[[], None] | None = None,
    stop: Event | None = None,
) -> Transcript:
    """Boot once, to the guest's end or its deadline; nothing is left running or lying about.

    `accel` is chosen if not given. `on_output` gets the console as it comes; `run_dir`, if
    given, holds it as console.log. `meanwhile` is called once, when the guest is on its way: a
    tenth of a second's work there costs a machine with two CPUs nothing. Setting `stop` from
    another thread ends the guest within half a second.

    Raises:
        HostError: there is no QEMU, or it cannot be started. A QEMU that starts and fails is
            a transcript that ended in QEMU_FAILED.
    """
    qemu = proc.which(arch.qemu)
    accel = accel or accels.choose(arch, store)
    argv = compose(spec, with_firmware_of(arch, qemu), accel)
    log.note(f"$ {proc.quote(argv)}")
    path = run_dir / "console.log" if run_dir else None
    with Capture(on_output, path, limit=CONSOLE_MAX) as capture:
        end = _run(argv, capture, spec, meanwhile, stop)
        return Transcript(
            console=capture.data(),
            ended=ending.why(
                arch, cut=end.cut.reason, status=end.status, events=end.events, stderr=end.stderr
            ),
            status=end.status,
            events=end.events,
            seconds=end.seconds,
            accel=accel,
            argv=tuple(argv),
            qemu_stderr=end.stderr,
            note=end.cut.note,
            pause_s=end.pause_s,
            hang=end.cut.hang,
        )


class _Cut(msgspec.Struct, frozen=True, kw_only=True):
    """Why the tool ended a guest, if it did."""

    reason: EndReason | None = None
    note: str = ""
    hang: Hang | None = None
    events: tuple[QmpEvent, ...] | None = None
    """QEMU's, before it was asked where the guest hangs."""


class _End(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a QEMU that has ended."""

    cut: _Cut
    status: int
    seconds: float
    pause_s: float
    stderr: str
    events: tuple[QmpEvent, ...]


class _Qemu(pexpect.spawn):  # type: ignore[misc]  # pexpect has no types
    """QEMU as the leader of its own session, with the guest's console as its terminal."""

    def __init__(self, argv: Sequence[str], keep_fd: int, stderr_fd: int) -> None:
        self._fds = (keep_fd, stderr_fd)
        die_with_parent = processes.die_with_parent()

        def prepare() -> None:
            die_with_parent()
            os.set_inheritable(keep_fd, True)  # noqa: FBT003 - positional only
            os.dup2(stderr_fd, 2)
            # Bytes as the guest sent them: no echo, no newline made two.
            mode = termios.tcgetattr(0)
            mode[0] = mode[1] = mode[3] = 0
            termios.tcsetattr(0, termios.TCSANOW, mode)

        env = environment.of_child()
        super().__init__(argv[0], list(argv[1:]), env=env, preexec_fn=prepare, use_poll=True)
        # It would sleep a tenth of a second when it closes, for other systems' sake.
        self.ptyproc.delayafterclose = 0

    def _spawnpty(self, args: list[str], **options: Any) -> Any:
        return super()._spawnpty(args, pass_fds=self._fds, **options)

    def say(self, data: bytes) -> None:
        """Type, as at the guest's terminal."""
        os.write(self.child_fd, data)

    def listen(self, limit_s: float) -> bytes:
        """Return what the guest says within the time; nothing if it is silent or gone."""
        try:
            return bytes(self.read_nonblocking(1 << 16, timeout=limit_s))
        except (pexpect.EOF, pexpect.TIMEOUT):
            return b""

    def end(self) -> None:
        """Kill it with all it may have started; no error if it has gone."""
        if self.isalive():
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()


def _run(
    argv: list[str],
    capture: Capture,
    spec: BootSpec,
    meanwhile: Callable[[], None] | None,
    stop: Event | None,
) -> _End:
    monitor = Monitor()
    stderr_fd = os.memfd_create("qemu-stderr")
    started = time.monotonic()
    qemu = None
    try:
        with processes.uninterrupted():
            qemu = _spawn([*argv, *monitor.argv], monitor.fd, stderr_fd)
        watch = Watch(qemu.pid, spec.deadline_s)
        # Not before: a process with threads had better not fork.
        monitor.start()
        if meanwhile:
            meanwhile()
        cut = _follow(qemu, capture, monitor, watch, stop)
        seconds = time.monotonic() - started
        if isinstance(cut, Overdue):
            cut = _give_up(qemu, monitor, cut, spec)
        qemu.end()
        if cut.reason and not cut.hang:
            _drain(qemu, capture)
        monitor.close()
        # What a guest did when it was asked is not how it ended.
        sig = signal.SIGKILL if cut.hang else qemu.signalstatus
        return _End(
            cut=cut,
            status=-sig if sig else qemu.exitstatus,
            seconds=seconds,
            pause_s=watch.pause_s,
            stderr=os.pread(stderr_fd, 1 << 16, 0).decode(errors="replace"),
            events=monitor.events() if cut.events is None else cut.events,
        )
    finally:
        if qemu is not None:
            qemu.end()
            qemu.close()
        monitor.drop()
        os.close(stderr_fd)


def _spawn(argv: list[str], keep_fd: int, stderr_fd: int) -> _Qemu:
    try:
        return _Qemu(argv, keep_fd, stderr_fd)
    except (OSError, pexpect.ExceptionPexpect) as error:
        raise HostError(
            f"cannot start {argv[0]}: {error}",
            hint="`harness doctor` says which package has it",
        ) from error


def _follow(
    qemu: _Qemu, capture: Capture, monitor: Monitor, watch: Watch, stop: Event | None
) -> _Cut | Overdue:
    """Read the console until QEMU ends, or there is a reason to end it."""
    while True:
        try:
            data = qemu.read_nonblocking(1 << 16, timeout=watch.look_s)
            capture.add(data)
            watch.heard(data)
            time.sleep(_REST_S)
        except pexpect.EOF:
            return _Cut()
        except pexpect.TIMEOUT:
            pass
        overdue = watch.look()
        note = "it was interrupted" if stop and stop.is_set() else ""
        note = note or _reason_to_quit(capture, monitor, watch)
        if note:
            return _Cut(reason=EndReason.HOST_QUIT, note=note)
        if overdue:
            return overdue


def _give_up(qemu: _Qemu, monitor: Monitor, overdue: Overdue, spec: BootSpec) -> _Cut:
    """Find out where a guest that ran into a limit is."""
    if overdue.limit is Limit.STARVED:
        return _Cut(reason=EndReason.STARVED, note=overdue.note)
    events = monitor.events()
    if not any(event.name == "RESUME" for event in events):
        # It was never let run, and QEMU may not even listen.
        return _Cut(reason=EndReason.DEADLINE, note=overdue.note)
    hang = postmortem.examine(
        monitor, qemu, overdue, lambda: functions.load(spec.kernel, spec.cmdline)
    )
    return _Cut(reason=EndReason.DEADLINE, note=overdue.note, hang=hang, events=events)


def _drain(qemu: _Qemu, capture: Capture) -> None:
    """Take in what a QEMU that was killed had said by then."""
    while data := qemu.listen(_DRAIN_S):
        capture.add(data)


def _reason_to_quit(capture: Capture, monitor: Monitor, watch: Watch) -> str:
    if capture.has_panic and watch.silence_s >= PANIC_GRACE_S:
        return f"a panic, then nothing for {PANIC_GRACE_S:g} s"
    if capture.is_cut:
        return f"its console had passed {CONSOLE_MAX} bytes"
    if watch.silence_s > 0 and ending.is_stopped(monitor.events()):
        return "QEMU stopped the guest"
    return ""
