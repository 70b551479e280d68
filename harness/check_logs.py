"""The logs that reports of a gate show: which they are, and as much of each as is read. Pure."""

from collections.abc import Iterator

import msgspec

from harness.check_result import BootResult, CheckResult

CONSOLE = "console.log"
READ_MAX = 4 << 20
"""How much of a log is read, in bytes: its end, since that is where it goes wrong."""


class Logs(msgspec.Struct, frozen=True, kw_only=True):
    """Logs by their paths as the result has them, seen from the gate's folder.

    Those that cannot be read are not there.
    """

    files: dict[str, bytes] = {}
    cut: frozenset[str] = frozenset()
    """Those of which only the last `READ_MAX` bytes are here."""

    def console(self, boot: BootResult) -> bytes | None:
        """Return the console of a boot, if it is there."""
        path = console_of(boot)
        return self.files.get(path) if path else None


def console_of(boot: BootResult) -> str | None:
    """Return the path of a boot's console; None if it was not booted."""
    return f"{boot.run}/{CONSOLE}" if boot.run else None


def wanted(result: CheckResult) -> Iterator[str]:
    """Yield the paths of all logs that reports of `result` may show, each once."""
    boots = [*result.base.boots, *(boot for patch in result.patches for boot in patch.boots)]
    paths = [console_of(boot) for boot in boots]
    paths += [patch.build_log for patch in result.patches]
    yield from dict.fromkeys(path for path in paths if path)
