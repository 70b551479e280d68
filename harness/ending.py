"""Why a boot ended, from QEMU's exit status, its events and its stderr. Pure: no I/O, no clock."""

import json
from collections.abc import Sequence

from harness.arch import Arch
from harness.job import EndReason, QmpEvent

_BY_REASON = {
    "guest-reset": EndReason.GUEST_RESET,
    "subsystem-reset": EndReason.GUEST_RESET,
    "guest-shutdown": EndReason.GUEST_SHUTDOWN,
    "guest-panic": EndReason.GUEST_PANIC,
}


def why(
    arch: Arch, *, cut: EndReason | None, status: int, events: Sequence[QmpEvent], stderr: str
) -> EndReason:
    """Return why QEMU ended; `cut` is why the tool killed it, if it did.

    A guest that never ran, or that QEMU gave up, is QEMU_FAILED whatever else there is.
    """
    names = {event.name for event in events}
    if "RESUME" not in names or (cut and is_stopped(events)):
        # Not even a deadline says anything of a guest that was not started, or not let go on.
        return EndReason.QEMU_FAILED
    if status < 0:
        return cut or EndReason.QEMU_FAILED
    if status == 1 and errors(stderr):
        return EndReason.QEMU_FAILED
    if "GUEST_PANICKED" in names:
        return EndReason.GUEST_PANIC
    reason = _shutdown_reason(events)
    # QEMU 7.2 leaves by exit() in the exit device, with no event; newer ones shut down.
    if arch.exit_device and status % 2 == 1 and reason in {None, "guest-shutdown"}:
        return EndReason.GUEST_EXIT
    return _BY_REASON.get(reason or "", EndReason.QEMU_FAILED)


def errors(stderr: str) -> tuple[str, ...]:
    """Return what QEMU complained of, its warnings left out."""
    return tuple(line for line in stderr.splitlines() if line.strip() and ": warning: " not in line)


def is_stopped(events: Sequence[QmpEvent]) -> bool:
    """Whether QEMU has paused the guest, as it does on a KVM internal error, and not gone on."""
    names = [event.name for event in events if event.name in {"STOP", "RESUME", "SHUTDOWN"}]
    return bool(names) and names[-1] == "STOP"


def _shutdown_reason(events: Sequence[QmpEvent]) -> str | None:
    for event in reversed(events):
        if event.name == "SHUTDOWN":
            data: dict[str, object] = json.loads(event.data)
            return str(data.get("reason"))
    return None
