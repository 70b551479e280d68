"""Which checks of a gate were made, by what, how long each took, or why one was not."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from harness.check_result import NOTHING_TO_LOOK_AT, CheckRun


class Ledger:
    """The checks of one gate, as they are made."""

    def __init__(self) -> None:
        self._ran: set[str] = set()
        self._why_not: dict[str, str] = {}
        self._versions: dict[str, str] = {}
        self._seconds: dict[str, float] = {}

    def note(self, check: str, *, version: str = "", why_not: str = "") -> None:
        """Note that a check was made, or why it could not be."""
        self._ran.add(check)
        self._versions[check] = version or self._versions.get(check, "")
        if why_not:
            self._why_not[check] = why_not

    @contextmanager
    def timed(self, check: str) -> Iterator[None]:
        """Count the time that passes meanwhile as that of a check."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._seconds[check] = self._seconds.get(check, 0.0) + time.monotonic() - started

    def runs(self, checks: Iterable[str]) -> list[CheckRun]:
        """Return what there is to say of some checks."""
        return [
            CheckRun(
                name=name,
                ran=name in self._ran and name not in self._why_not,
                why=self._why_not.get(name, "" if name in self._ran else NOTHING_TO_LOOK_AT),
                version=self._versions.get(name, ""),
                seconds=round(self._seconds.get(name, 0.0), 2),
            )
            for name in checks
        ]
