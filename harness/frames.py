"""Takes a line of a kernel report, gives the call or the program counter on it. Pure.

Knows how each arch prints them; does not know which report they are in.
"""

import re
from typing import NamedTuple

_NAME = r"[A-Za-z_.$][\w.$]*"
_ADDRESS = r"\(?\[<?\s*(?:[0-9a-f]{8,16}|\(?_*ptrval_*\)?)\s*>?\]"
# decode_stacktrace.sh puts files and lines in place of the offset.
_AT = r"(?:\+0x[0-9a-f]+/0x[0-9a-f]+| \(\S+\.[chS]:\d+)"
_CALL = re.compile(
    rf"(?:kmemleak: )?\s*(?:<[A-Z#]+>\s+)?(?P<address>(?:{_ADDRESS} ?)*)(?P<guess>\? )?"
    # arm32 prints callee and caller on each line: each caller is the next line's callee.
    rf"(?P<callee>\(?{_NAME}\)? from (?:\[<[0-9a-f]+>\] )?\(?)?"
    rf"(?P<func>{_NAME}){_AT}(?P<doubt>.* \(unreliable\))?"
)
_HEADING = re.compile(r"Call [Tt]race:|Backtrace: ?$|(?:kmemleak: )?\s*backtrace(?: \(crc \w+\))?:")
_BETWEEN = re.compile(
    r"\s*(?:</?[A-Z#]+>|R[A-Z0-9]{2}: |ORIG_RAX|E(?:FLAGS|[A-Z]{2}): |Code: |[FCGDE][SRFP]\w?[:0-9]"
    r"|\(?\[<?[0-9a-f]{8,16}>?\]|0x[0-9a-f]+|\? "
    r"|--- interrupt|Exception stack|NIP|LR|REGS:|MSR:|CFAR:|GPR|[0-9a-f]{4}: |.*\[inline\]$)"
)
_COUNTER = re.compile(
    r"\s*(?:RIP:?|EIP:?|IP:|e?pc *:|[PN]C is at|EIP is at|NIP|Krnl PSW *:"
    r"|ERA *:|T?PC:|IAOQ\[0\]:|\[ERET +\]:)\s"
    rf"(?:[\s:(<>\[\]]|\b(?:0x)?[0-9a-f]{{4,16}}\b)*(?P<func>{_NAME}){_AT}"
)


class Call(NamedTuple):
    """One function on a trace.

    `is_guess`: the kernel found its address on the stack and does not vouch for it. A trace
    without a heading has calls that stand behind their address (`has_address`), as riscv64
    prints them, or before their caller (`names_caller`), as arm32 does.
    """

    func: str
    is_guess: bool
    has_address: bool
    names_caller: bool


def call(text: str) -> Call | None:
    """Return the call that a line of a trace shows."""
    match = _CALL.match(text)
    if not match:
        return None
    return Call(
        func=match["func"],
        is_guess=bool(match["guess"] or match["doubt"] or match["address"].startswith("(")),
        has_address=bool(match["address"]),
        names_caller=bool(match["callee"]),
    )


def is_heading(text: str) -> bool:
    """Tell whether a call trace begins after this line."""
    return bool(_HEADING.match(text))


def is_between(text: str) -> bool:
    """Tell whether a line that shows no call can stand in a call trace: registers and the like."""
    return bool(_BETWEEN.match(text))


def counter(text: str) -> str | None:
    """Return the function in which the program counter is, if this line tells."""
    match = _COUNTER.match(text)
    return match["func"] if match else None
