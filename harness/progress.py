"""Takes a console as it comes, says whether it shows progress. Pure: no I/O, no clock.

Progress is a line that was not there before. The kernel's lines bear the guest's time and ours a
number, so it is new guest time or a new record; the same line again is neither.
"""

# As much as is looked at in one step: a guest that says more has said it in its last lines too.
_LOOK_MAX = 1 << 16
# A guest says a few hundred lines. One that says more than this is left to the limit on all of it.
_KNOWN_MAX = 1 << 17


class Progress:
    """What was said so far, as a set of lines."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._fresh = bytearray()

    def add(self, data: bytes) -> None:
        """Take in what the guest said."""
        self._fresh += data
        if len(self._fresh) > 2 * _LOOK_MAX:
            del self._fresh[:-_LOOK_MAX]

    def take(self) -> bool:
        """Return whether there was progress since the last call. A line counts when it is whole."""
        *lines, rest = bytes(self._fresh).split(b"\n")
        self._fresh = bytearray(rest)
        said = {hash(line) for line in lines if line.strip()}
        is_new = not said <= self._known
        if len(self._known) < _KNOWN_MAX:
            self._known |= said
        return is_new
