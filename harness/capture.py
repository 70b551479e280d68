"""Takes a guest's console as it comes, keeps it. It knows how much, and of a panic."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

_CUT = b"\n(harness kept %d bytes of this console; there was more)\n"
_PANIC = b"Kernel panic - not syncing"


class Capture:
    """A console so far.

    `on_output` gets every piece. `path`, if given, grows with the console, so that what was said
    survives whatever becomes of the tool. Of more than `limit` bytes the rest is not kept, and a
    last line says so.
    """

    def __init__(
        self,
        on_output: Callable[[bytes], None] | None = None,
        path: Path | None = None,
        *,
        limit: int,
    ) -> None:
        self._on_output = on_output
        self._file = path.open("wb", buffering=0) if path else None
        self._limit = limit
        self._pieces: list[bytes] = []
        self._tail = b""
        self.size = 0
        self.has_panic = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def add(self, data: bytes) -> None:
        """Take in what the guest wrote."""
        self._keep(data)
        self.size += len(data)
        # The words may come in any number of pieces.
        recent = self._tail + data
        self.has_panic = self.has_panic or _PANIC in recent
        self._tail = recent[-len(_PANIC) :]
        if self._on_output:
            self._on_output(data)

    @property
    def is_cut(self) -> bool:
        """Whether there was more than is kept."""
        return self.size > self._limit

    def _keep(self, data: bytes) -> None:
        if self.is_cut:
            return
        room = self._limit - self.size
        if len(data) > room:
            data = data[:room] + _CUT % self._limit
        self._pieces.append(data)
        if self._file:
            self._file.write(data)

    def data(self) -> bytes:
        """Return all that is kept."""
        return b"".join(self._pieces)
