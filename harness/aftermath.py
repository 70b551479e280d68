"""Takes how a boot ended, as QEMU and the tool saw it, gives the `Cause`s in that. Pure."""

import re
from collections.abc import Iterator

from harness import hangpoint
from harness.errors import Outcome
from harness.evidence import NOWHERE, Cause, has_kernel_output, last_lines, last_words
from harness.job import Console, EndReason, Hang, Transcript

GUEST_STATUS_OK = 33
"""QEMU's exit status when the guest's init wrote 0x10 to isa-debug-exit: (0x10 << 1) | 1."""

_REASON = re.compile(r'"reason"\s*:\s*"([^"]*)"')


def silence(console: Console, hang: Hang | None = None) -> Iterator[Cause]:
    """The kernel printed nothing at all; firmware may have. `hang` is where it was, if known."""
    if not has_kernel_output(console):
        last = last_lines(console)
        what = f"{console.line_count} line(s), none of them the kernel's" if last else "nothing"
        reason = f"the console shows {what}"
        if hang:
            reason += f": it hung {hangpoint.where(console, hang)}; {hangpoint.doing(hang)}"
        yield Cause(NOWHERE, Outcome.NO_OUTPUT, reason, last)


def ending(console: Console, transcript: Transcript, *, is_proved: bool) -> Iterator[Cause]:
    """An end that is not that of a guest which has done its work and says so.

    `is_proved`: the guest has said that it did all it was asked.
    """
    ended = transcript.ended
    events = {event.name for event in transcript.events}
    reasons = [_REASON.search(event.data) for event in transcript.events]
    words = {match[1] for match in reasons if match}
    if ended is EndReason.GUEST_PANIC or "GUEST_PANICKED" in events or "guest-panic" in words:
        reason = f"the guest reported a panic to QEMU and printed none: {last_words(console)}"
        yield Cause(NOWHERE, Outcome.PANIC, reason, last_lines(console))
    if ended is EndReason.GUEST_RESET or words & {"guest-reset", "subsystem-reset"}:
        # An init that cannot use the exit device reboots, and the kernel says so.
        if not (is_proved and _is_announced(console)):
            yield _reset(console)
    elif ended in (EndReason.DEADLINE, EndReason.HOST_QUIT):
        yield _hang(console, transcript, is_proved=is_proved)
    elif ended is EndReason.GUEST_EXIT and transcript.status != GUEST_STATUS_OK:
        reason = f"QEMU exited with {transcript.status}, expected {GUEST_STATUS_OK} of the guest"
        yield Cause(NOWHERE, Outcome.FAIL, reason, last_lines(console))
    elif ended is EndReason.GUEST_SHUTDOWN and transcript.status != 0:
        reason = f"QEMU exited with {transcript.status} after the guest shut down, expected 0"
        yield Cause(NOWHERE, Outcome.FAIL, reason, last_lines(console))


def _reset(console: Console) -> Cause:
    said = last_words(console) if has_kernel_output(console) else "before the kernel said a word"
    reason = f"the guest reset without a word of why (a triple fault?): {said}"
    return Cause(NOWHERE, Outcome.RESET, reason, last_lines(console))


def _hang(console: Console, transcript: Transcript, *, is_proved: bool) -> Cause:
    after = f"after {transcript.seconds:.1f} s"
    if transcript.ended is EndReason.HOST_QUIT:
        what = f"the guest was ended {after}, {transcript.note or 'it would not end by itself'}"
    elif is_proved:
        what = f"the guest had done all and did not end, {after}"
    else:
        what = f"the guest had not ended {after}"
    hang = transcript.hang
    if hang is None:
        return Cause(NOWHERE, Outcome.HANG, f"{what}: {last_words(console)}", last_lines(console))
    place = hangpoint.where(console, hang)
    reason = f"{what} ({transcript.note}): {place}; {hangpoint.doing(hang)}"
    return Cause(NOWHERE, Outcome.HANG, reason, last_lines(console))


def _is_announced(console: Console) -> bool:
    last = console.records[-1].line if console.records else 0
    return console.restarting > last
