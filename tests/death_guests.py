"""Deaths that take no kernel: what a console shows, said by a guest of a few instructions.

Each function gives the instructions, and how many seconds the guest may take.
"""

import random
from collections.abc import Callable
from pathlib import Path

import tiny_guest
from conftest import ROOT
from tiny_guest import ARCH, HALT, SPIN, TRIPLE_FAULT, exit_with, say

from harness import boot, console, scenario, verdict
from harness.job import BootPlan, BootSpec, Transcript, Verdict
from harness.store import Store

BANNER = "Linux version 6.18.5 (harness@harness)"
NONCE = "0"
CMDLINE = "console=ttyS0 panic=-1 harness.nonce=0"

Guest = tuple[str, float]

_PASSED = exit_with(16)
_BEGIN = "[    0.400000] harness: 0 1 begin proto=1 flow=bug\n"
_END = "[    0.500000] harness: 0 2 end count=2\n"


def _booted(*more: str) -> bytes:
    """Return what a kernel says until its init runs, and more."""
    head = (
        f"[    0.000000] {BANNER} (gcc) #1 SMP\n",
        f"[    0.012345] Kernel command line: {CMDLINE}\n",
    )
    return "".join((*head, *more)).encode()


def triple_fault() -> Guest:
    return say(_booted()) + TRIPLE_FAULT, 20


def triple_fault_at_once() -> Guest:
    return TRIPLE_FAULT, 20


def reboot_loop() -> Guest:
    # QEMU ends at a reset. What starts again without one is, say, a kernel that a panic's kexec
    # brings up.
    return say(_booted("[    0.100000] Run /init as init process\n"), times=0), 2


def two_banners() -> Guest:
    return say(_booted() + _booted(_BEGIN, _END)) + _PASSED, 20


def garbage_only() -> Guest:
    garbage = random.Random(1).randbytes(3000)  # noqa: S311
    return say(garbage) + HALT, 2


def much_output() -> Guest:
    line = b"[    1.000000] " + b"x" * 984 + b"\n"
    return say(_booted(_BEGIN)) + say(line, times=100_000) + SPIN, 1200


def one_long_line() -> Guest:
    long = say(_booted(_BEGIN)) + say(b"x" * 1000, times=64_000)
    return long + say(b"\n" + _END.encode()) + _PASSED, 1200


GUESTS: dict[str, Callable[[], Guest]] = {
    guest.__name__: guest
    for guest in (
        triple_fault,
        triple_fault_at_once,
        reboot_loop,
        two_banners,
        garbage_only,
        much_output,
        one_long_line,
    )
}


def boot_guest(name: str, folder: Path, store: Store) -> Verdict:
    """Boot a guest, and judge it as one that was to run the flow `bug` of the scenario."""
    body, deadline_s = GUESTS[name]()
    image = tiny_guest.build(body, folder, store)
    spec = tiny_guest.spec_of(image, ARCH, deadline_s=deadline_s, cmdline=CMDLINE, banner=BANNER)
    transcript = boot.boot(spec, ARCH, store=store, accel="tcg")
    return judge(spec, transcript, "bug")


def judge(spec: BootSpec, transcript: Transcript, flow: str) -> Verdict:
    """Judge a boot that was to run a flow of the scenario `crash`."""
    return verdict.judge(
        words="",
        full_cmdline=spec.cmdline,
        nonce=spec.nonce,
        kernel=spec.kernel,
        scenario=scenario.load("crash", [ROOT / "initramfs"]),
        plan=BootPlan(flows=(flow,)),
        variant="default",
        transcript=transcript,
        console=console.parse(transcript.console, spec.nonce),
    )
