"""Takes an accelerator, gives the deadline of boots on this machine: measured, not guessed.

The unit is the CPU time that QEMU takes for the guest that proves an accelerator
(data/probe): started, ten million additions, ended.
"""

import os
from pathlib import Path

from harness import accel as accels
from harness import boot, log, proc
from harness.arch import Arch
from harness.errors import HarnessError
from harness.job import BootSpec, EndReason, Kernel
from harness.store import Store

NOMINAL_UNIT_S = 0.1
"""That of the machine on which the deadlines were chosen, two slow cores without KVM, is 0.06 to
0.07: this leaves room for what is measured in hundredths."""
# Many times the 0.5 to 2.4 s that a boot takes where a unit is the nominal one.
_DEADLINES_S = {accels.KVM: 30.0, accels.TCG: 60.0}
# The shortest counts: what disturbs a boot makes it longer.
_ROUNDS = 3
# A machine ten thousand times as slow as the nominal one is one on which nothing was measured.
_PROBE_DEADLINE_S = 600.0
_SCALE_MAX = 100.0
_ANSWER = "unit"


def deadline_s(arch: Arch, accel: str, store: Store, *, asked_s: float | None = None) -> float:
    """Return how long a guest may go without progress, of its own time.

    `asked_s` is a scenario's word on that, for the nominal machine.
    """
    return (asked_s or _DEADLINES_S[accel]) * scale(arch, accel, store)


def scale(arch: Arch, accel: str, store: Store) -> float:
    """Return how many times slower than the nominal one this machine is; 1 if it is quicker.

    What a kernel waits for by the clock takes the same time everywhere, so no deadline shrinks.
    """
    return min(max(unit_s(arch, accel, store) / NOMINAL_UNIT_S, 1.0), _SCALE_MAX)


def unit_s(arch: Arch, accel: str, store: Store) -> float:
    """Return the unit, measured once for each QEMU, CPU and start of this machine.

    It is the nominal one where it cannot be measured: without a compiler, or a guest to measure.
    """
    if not arch.probe_path.is_file():
        return NOMINAL_UNIT_S
    inputs = {
        **accels.machine_facts(arch, proc.which(arch.qemu)),
        "accel": accel,
        "rounds": str(_ROUNDS),
    }
    try:
        entry = store.get_or_make(
            "unit",
            inputs,
            lambda folder: _write(folder, _measure(arch, accel, store)),
        )
    except _UnmeasuredError as error:
        # Not kept: the next run may be luckier.
        log.note(f"not calibrated: {error.message}")
        return NOMINAL_UNIT_S
    return float((entry.path / _ANSWER).read_text())


class _UnmeasuredError(HarnessError):
    """The calibration guest does not run."""


def _measure(arch: Arch, accel: str, store: Store) -> float:
    try:
        guest = accels.probe_guest(arch, store)
    except HarnessError as error:
        raise _UnmeasuredError(error.message) from error
    units = []
    for _ in range(_ROUNDS):
        before = _children_s()
        ended = boot.boot(_spec(guest, arch), arch, store=store, accel=accel).ended
        if ended not in (EndReason.GUEST_EXIT, EndReason.GUEST_SHUTDOWN):
            raise _UnmeasuredError(f"the calibration guest ended by {ended.value}")
        # What other threads' children took in this while can only add.
        units.append(_children_s() - before)
    return min(units)


def _children_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _spec(guest: Path, arch: Arch) -> BootSpec:
    return BootSpec(
        arch=arch.name,
        kernel=Kernel(arch=arch.name, release="", banner="", image=guest, digest="", built=False),
        initramfs=None,
        cmdline="",
        nonce="0",
        deadline_s=_PROBE_DEADLINE_S,
        memory_mib=64,
    )


def _write(folder: Path, unit: float) -> None:
    (folder / _ANSWER).write_text(f"{unit:.3f}")
