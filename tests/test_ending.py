import json

import msgspec
import pytest

from harness import arch, ending
from harness.job import EndReason, QmpEvent

ARCH = arch.load("x86_64")
LET_RUN = QmpEvent(name="RESUME", data="{}", seconds=0.1)


def shutdown(reason: str) -> QmpEvent:
    data = json.dumps({"guest": reason.startswith("guest"), "reason": reason})
    return QmpEvent(name="SHUTDOWN", data=data, seconds=1)


def why(
    *events: QmpEvent, status: int = 0, cut: EndReason | None = None, stderr: str = ""
) -> EndReason:
    return ending.why(ARCH, cut=cut, status=status, events=events, stderr=stderr)


@pytest.mark.parametrize(
    ("reason", "ended"),
    [
        ("guest-reset", EndReason.GUEST_RESET),
        ("subsystem-reset", EndReason.GUEST_RESET),
        ("guest-shutdown", EndReason.GUEST_SHUTDOWN),
        ("guest-panic", EndReason.GUEST_PANIC),
        # Someone else ended QEMU: it says nothing of the guest.
        ("host-signal", EndReason.QEMU_FAILED),
        ("host-error", EndReason.QEMU_FAILED),
        ("a new reason", EndReason.QEMU_FAILED),
    ],
)
def test_qemu_gives_the_reason(reason: str, ended: EndReason) -> None:
    assert why(LET_RUN, shutdown(reason)) is ended


def test_the_exit_device_with_and_without_an_event() -> None:
    assert why(LET_RUN, status=33) is EndReason.GUEST_EXIT
    assert why(LET_RUN, shutdown("guest-shutdown"), status=33) is EndReason.GUEST_EXIT


def test_exit_status_1_is_a_failure_only_if_qemu_complained() -> None:
    assert why(LET_RUN, status=1) is EndReason.GUEST_EXIT
    warning = "qemu-system-x86_64: warning: TCG doesn't support requested feature\n"
    assert why(LET_RUN, status=1, stderr=warning) is EndReason.GUEST_EXIT
    complaint = "qemu-system-x86_64: no space left\n"
    assert why(LET_RUN, status=1, stderr=warning + complaint) is EndReason.QEMU_FAILED


def test_an_architecture_without_an_exit_device_has_no_such_status() -> None:
    bare = msgspec.structs.replace(ARCH, exit_device="")
    assert ending.why(bare, cut=None, status=33, events=[LET_RUN], stderr="") is (
        EndReason.QEMU_FAILED
    )


def test_a_guest_that_was_never_let_run_says_nothing() -> None:
    assert why(status=33) is EndReason.QEMU_FAILED
    assert why(status=-9, cut=EndReason.DEADLINE) is EndReason.QEMU_FAILED


def test_killed_by_the_tool_or_by_another() -> None:
    assert why(LET_RUN, status=-9, cut=EndReason.DEADLINE) is EndReason.DEADLINE
    assert why(LET_RUN, status=-9) is EndReason.QEMU_FAILED


def test_a_guest_that_ended_just_before_it_was_killed() -> None:
    events = (LET_RUN, shutdown("guest-reset"))
    assert why(*events, status=0, cut=EndReason.DEADLINE) is EndReason.GUEST_RESET


def test_a_panic_that_the_guest_reported_outweighs_the_reset_after_it() -> None:
    panicked = QmpEvent(name="GUEST_PANICKED", data='{"action": "run"}', seconds=0.5)
    assert why(LET_RUN, panicked, shutdown("guest-reset")) is EndReason.GUEST_PANIC


def test_a_guest_that_qemu_stopped_is_the_hosts_fault() -> None:
    """As after `KVM internal error`: QEMU pauses the guest and stays."""
    stop = QmpEvent(name="STOP", data="{}", seconds=0.5)
    assert why(LET_RUN, stop, status=-9, cut=EndReason.HOST_QUIT) is EndReason.QEMU_FAILED
    assert not ending.is_stopped([stop, LET_RUN])
    assert not ending.is_stopped([LET_RUN, shutdown("guest-reset")])
