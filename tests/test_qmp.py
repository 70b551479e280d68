import json
import os
import socket
import time
from collections.abc import Iterator

import pytest

from harness.qmp import Monitor

GREETING = {"QMP": {"version": {"qemu": {"major": 9, "minor": 0, "micro": 0}}, "capabilities": []}}


class FakeQemu:
    """The other end of the channel, as QEMU would be."""

    def __init__(self, monitor: Monitor) -> None:
        self._socket = socket.socket(fileno=os.dup(monitor.fd))
        self._lines = self._socket.makefile("rb")

    def send(self, *messages: object) -> None:
        self._socket.sendall(
            b"".join(json.dumps(message).encode() + b"\r\n" for message in messages)
        )

    def send_raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> dict[str, object]:
        message: dict[str, object] = json.loads(self._lines.readline())
        return message

    def leave(self) -> None:
        self._lines.close()
        self._socket.close()


def event(name: str, at: float, **data: object) -> dict[str, object]:
    whole, part = divmod(at, 1)
    stamp = {"seconds": int(whole), "microseconds": int(part * 1e6)}
    return {"event": name, "data": data, "timestamp": stamp}


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    made = Monitor()
    yield made
    made.drop()


@pytest.fixture
def qemu(monitor: Monitor) -> Iterator[FakeQemu]:
    fake = FakeQemu(monitor)
    monitor.start()
    yield fake
    fake.leave()


def test_capabilities_are_negotiated_before_the_guest_runs(qemu: FakeQemu) -> None:
    assert [qemu.receive()["execute"], qemu.receive()["execute"]] == ["qmp_capabilities", "cont"]


def test_qemu_starts_stopped_and_inherits_its_end(monitor: Monitor) -> None:
    assert "-S" in monitor.argv
    assert f"socket,id=qmp,fd={monitor.fd}" in monitor.argv


def test_events_that_came_before_anyone_listened_are_all_there(
    monitor: Monitor, qemu: FakeQemu
) -> None:
    now = time.time()
    qemu.send(GREETING, {"return": {}}, event("RESUME", now + 0.01), {"return": {}})
    qemu.send(
        event("GUEST_PANICKED", now + 0.02, action="run"),
        event("SHUTDOWN", now + 0.03, guest=True),
        event("RESUME", now + 3600),
    )
    qemu.leave()
    monitor.close()
    time.sleep(0.05)
    events = monitor.events()
    assert [found.name for found in events] == ["RESUME", "GUEST_PANICKED", "SHUTDOWN", "RESUME"]
    assert json.loads(events[1].data) == {"action": "run"}
    start, *others = (found.seconds for found in events)
    assert [round(each - start, 3) for each in others[:2]] == [0.01, 0.02]
    # A clock that is set on by an hour makes no event of an hour's age.
    assert others[2] < 60


def test_events_are_seen_while_the_guest_runs(monitor: Monitor, qemu: FakeQemu) -> None:
    qemu.send(GREETING, {"return": {}}, {"return": {}}, event("STOP", time.time()))
    end = time.monotonic() + 10
    while not monitor.events() and time.monotonic() < end:
        time.sleep(0.01)
    assert [found.name for found in monitor.events()] == ["STOP"]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x7fELF\n",
        b'{"QMP"',
        b'{"error": {"class": "GenericError", "desc": "no"}}\r\n',
        json.dumps(GREETING).encode() + b"\r\nnonsense\r\n",
    ],
    ids=["nothing", "garbage", "cut short", "an error", "garbage later"],
)
def test_a_qemu_that_dies_or_babbles_gives_no_events_and_no_trouble(
    monitor: Monitor, qemu: FakeQemu, said: bytes
) -> None:
    qemu.send_raw(said)
    qemu.leave()
    started = time.monotonic()
    monitor.close()
    assert monitor.events() == ()
    assert time.monotonic() - started < 4


def test_a_qemu_that_never_started_needs_no_waiting(monitor: Monitor) -> None:
    monitor.close()
    assert monitor.events() == ()


@pytest.mark.parametrize("said", [[], [GREETING], [GREETING, {"return": {}}]])
def test_a_qemu_that_lives_on_can_be_left(
    monitor: Monitor, qemu: FakeQemu, said: list[object]
) -> None:
    qemu.send(*said)
    started = time.monotonic()
    monitor.drop()
    assert time.monotonic() - started < 4


def test_questions_are_asked_for_and_not_insisted_on(monitor: Monitor, qemu: FakeQemu) -> None:
    assert monitor.tell("info registers") == ""
    qemu.send(GREETING, {"return": {}}, {"return": {}}, event("RESUME", time.time()))
    while not monitor.events():
        time.sleep(0.01)
    started = time.monotonic()
    assert monitor.tell("info registers", timeout_s=0.1) == ""
    assert time.monotonic() - started < 2
