"""QMP, QEMU's machine protocol: what befell a guest, in QEMU's own words.

Takes a QEMU that is about to start, gives its events. What they mean is for `boot` to say.
"""

import json
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.job import QmpEvent

if TYPE_CHECKING:
    import asyncio

    from qemu.qmp import QMPClient

# QEMU starts with -S and finds this in the socket. It sends no event before the first command
# and runs no guest before the second, so no event is lost; yet nothing waits for Python, which
# takes 60 to 90 ms to import asyncio and qemu.qmp while QEMU (35 ms) and the guest start.
_PRELUDE = b'{"execute": "qmp_capabilities"}\n{"execute": "cont"}\n'


class Monitor:
    """One QEMU's QMP channel, read by a thread.

    A socket pair rather than a socket in a folder: there is no path to be too long, nothing to
    wait for until it listens, and nothing to leave behind.
    """

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.sendall(_PRELUDE)
        self._started, self._started_mono = time.time(), time.monotonic()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: QMPClient | None = None
        self._thread = threading.Thread(target=self._listen, name="qmp", daemon=True)

    @property
    def fd(self) -> int:
        """QEMU's end of the channel, to be inherited under the same number."""
        return self._theirs.fileno()

    @property
    def argv(self) -> list[str]:
        """What connects QEMU to the channel and lets the channel start the guest."""
        return [
            "-S",
            "-chardev", f"socket,id=qmp,fd={self.fd}",
            "-mon", "chardev=qmp,mode=control",
        ]  # fmt: skip

    def start(self) -> None:
        """Listen, now that QEMU has its end: ours ends when QEMU does."""
        self._started, self._started_mono = time.time(), time.monotonic()
        self._theirs.close()
        self._thread.start()

    def events(self) -> tuple[QmpEvent, ...]:
        """Return the events so far; after `close`, all of them."""
        if self._client is None:
            return ()
        return tuple(self._event(message) for message in self._client.events.history)

    def close(self, *, timeout_s: float = 30.0) -> None:
        """Take in the last events of a QEMU that has ended, and let the channel go."""
        self._theirs.close()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        self._ours.close()

    def drop(self) -> None:
        """Let the channel go, though QEMU may live; no error if it has gone."""
        with suppress(OSError):
            self._ours.shutdown(socket.SHUT_RDWR)
        self.close()

    def ask(self, command: str, *, timeout_s: float = 1.0, **arguments: object) -> object:
        """Return QEMU's answer to a command; None if it gives none within the time, or refuses."""
        if self._loop is None or self._client is None:
            return None
        import asyncio  # noqa: PLC0415 - the thread has it already

        question = self._client.execute(command, arguments)
        # Whatever goes wrong, the guest is ended next: it must not be for this.
        with suppress(Exception):
            return asyncio.run_coroutine_threadsafe(question, self._loop).result(timeout_s)
        return None

    def tell(self, line: str, *, timeout_s: float = 1.0, **arguments: object) -> str:
        """Return what QEMU's monitor for people answers, as text; empty if it does not."""
        answer = self.ask(
            "human-monitor-command", timeout_s=timeout_s, **{"command-line": line, **arguments}
        )
        return str(answer or "").replace("\r\n", "\n").strip()

    def _listen(self) -> None:
        import asyncio  # noqa: PLC0415 - while QEMU starts, see _PRELUDE

        from qemu.qmp import QMPError  # noqa: PLC0415

        # EOFError: QEMU ended, as it must. A QEMU that never spoke is `boot`'s to explain.
        with suppress(QMPError, EOFError, OSError):
            asyncio.run(self._converse())

    async def _converse(self) -> None:
        import asyncio  # noqa: PLC0415
        import logging  # noqa: PLC0415

        from qemu.qmp import QMPClient, Runstate  # noqa: PLC0415

        client = QMPClient()
        client.negotiate = False
        # The answers to the prelude are nobody's, which it would warn of.
        client.logger.setLevel(logging.ERROR)
        self._client = client
        # qemu.qmp asserts that QEMU is still there, which a quick guest's is not; by then all that
        # it said has been read.
        with suppress(AssertionError):
            await client.connect(self._ours)
        self._loop = asyncio.get_running_loop()
        while client.runstate is Runstate.RUNNING:
            await client.runstate_changed()
        self._loop = None
        await client.disconnect()

    def _event(self, message: Mapping[str, object]) -> QmpEvent:
        # QEMU's own time of the event: it may have waited in the socket for the import.
        stamp = message.get("timestamp")
        seconds = 0.0
        if isinstance(stamp, Mapping):
            at = float(stamp["seconds"]) + float(stamp["microseconds"]) / 1e6
            # No more than has passed, should somebody set the clock meanwhile.
            passed = time.monotonic() - self._started_mono
            seconds = min(passed, max(0.0, round(at - self._started, 6)))
        return QmpEvent(
            name=str(message["event"]), data=json.dumps(message.get("data", {})), seconds=seconds
        )
