"""Takes a boot, gives what its run tells of how the guest went, as the host saw it. Pure."""

import msgspec

from harness import hangpoint, result
from harness.job import Booted, Console, Hang, Transcript


def of(booted: Booted) -> result.BootResult:
    """Return how a boot went, and where it hung if it did."""
    transcript = booted.transcript
    return result.BootResult(
        ended=transcript.ended,
        status=transcript.status,
        seconds=round(transcript.seconds, 3),
        accel=transcript.accel,
        qmp=[
            result.QmpResult(name=e.name, data=msgspec.Raw(e.data), seconds=round(e.seconds, 3))
            for e in transcript.events
        ],
        argv=list(transcript.argv),
        hang=_hang(booted.console, transcript.hang) if transcript.hang else None,
    )


def _hang(console: Console, hang: Hang) -> result.HangResult:
    return result.HangResult(
        limit=hang.limit,
        where=hangpoint.where(console, hang),
        idle=hang.is_idle,
        cpus=[
            result.CpuResult(
                cpu=point.cpu,
                address=f"{point.address:#x}",
                function=point.function,
                callers=list(point.callers),
                user=point.is_user,
            )
            for point in hang.cpus
        ],
    )


def qmp_lines(transcript: Transcript) -> bytes:
    """Return QEMU's events, one JSON object a line."""
    return b"".join(
        b'{"event": %s, "data": %s, "seconds": %.3f}\n'
        % (msgspec.json.encode(event.name), event.data.encode(), event.seconds)
        for event in transcript.events
    )
