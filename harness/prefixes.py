"""Takes a log as syslog, journald, dmesg or a CI keeps it, gives what the console showed. Pure.

Only what stands before a line goes; the number of lines stays.
"""

import re
from collections.abc import Iterable, Iterator

_CLOCK = rb"\d\d:\d\d:\d\d"
_DATE = rb"\d{4}-\d\d-\d\d[T ]" + _CLOCK + rb"(?:[.,]\d+)?(?: ?(?:Z|[+-]\d\d:?\d\d))?"
_WORDY_DATE = rb"(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} [ \d]\d " + _CLOCK + rb"(?: \d{4})?"
_PREFIX = b"|".join(
    [
        # syslog and journald: other programs' lines keep theirs, so that they stay theirs
        rb"(?:" + _WORDY_DATE + rb"|" + _DATE + rb") [^ :\[\n]+ kernel(?:\[\d+\])?: ",
        rb" ?kernel: ?(?=\S)",
        # dmesg --ctime, --time-format iso, --reltime, --decode
        rb"\[" + _WORDY_DATE + rb"\] ",
        rb"\[[A-Z][a-z]{2} ?\d+ \d\d:\d\d\] |\[ *\+\d+\.\d+\] ",
        rb"(?:kern|user|daemon|syslog) +:(?:emerg|alert|crit|err|warn|notice|info|debug) *: ",
        # a CI's own clock, with or without brackets
        rb"\[?" + _DATE + rb"\]?:? (?!\S+ [\w./-]+\[\d+\]: )",
        # /dev/kmsg; a level that nobody took off; a quoted mail
        rb"\d{1,3},\d+,\d+,[-c+][^;\n]{0,40};",
        rb"<\d{1,3}>",
        rb"(?:> ?)+",
    ]
)
# What some vendors' printk puts between the time and the text.
_VENDOR = re.compile(
    rb"^(\[ *\d+\.\d{6})(?:@\d+)?\]  ?(?:c\d+ +\d+ +|\(\d+\)\[\d+:[^\]\n]{0,20}\] ?"
    rb"|\[ *\d+: *[^\]\n]{1,20}: *\d+\] ?)",
    re.MULTILINE,
)
_COLOR = rb"(?:\x1b\[[\d;]*m)*"
_HEAD = re.compile(
    rb"^" + _COLOR + rb"(?:(?:" + _PREFIX + rb")" + _COLOR + rb"){1,3}", re.MULTILINE
)
# In which a log shows how it was kept.
_SAMPLE = 1 << 18
# A line that is longer has nothing before it that matters.
_MAX_LINE = 1 << 16


def strip(portions: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a log without what its keeper put before its lines; as it is if nothing is there."""
    rest = iter(_whole_lines(portions))
    sample: list[bytes] = []
    while sum(map(len, sample)) < _SAMPLE and (portion := next(rest, None)) is not None:
        sample.append(portion)
    is_kept = any(_HEAD.search(portion) for portion in sample)
    is_vendors = any(_VENDOR.search(portion) for portion in sample)
    for part in (sample, rest):
        for portion in part:
            text = _HEAD.sub(b"", portion) if is_kept else portion
            yield _VENDOR.sub(rb"\1] ", text) if is_vendors else text


def _whole_lines(portions: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of `portions`, cut where lines end; a line of any length is let through."""
    kept = b""
    for portion in portions:
        data = kept + portion
        end = data.rfind(b"\n") + 1
        if len(data) - end > _MAX_LINE:
            end = len(data)
        kept = data[end:]
        if end:
            yield data[:end]
    if kept:
        yield kept
