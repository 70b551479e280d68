"""Takes a guest that has hung, asks it and QEMU where it is. Gives a `Hang`; then it is ended.

What the guest answers is not its own words: it is kept apart, and nothing of it is judged.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol

import msgspec

from harness import paths
from harness.functions import Functions
from harness.job import CpuPoint, Hang
from harness.qmp import Monitor
from harness.watch import Overdue

_SAMPLES = 3
_SAMPLE_GAP_S = 0.05
# A guest that answers does so at once; a long answer goes on without a pause.
_FIRST_WORD_S = 0.7
_PAUSE_S = 0.25
_ANSWER_MAX_S = 1.5
# In all. One that never stops talking is not listened to for longer.
_ANSWERS_MAX_S = 3.0
_ANSWERS_MAX = 1 << 20
_INITCALLS = "do_one_initcall"
_CPU = re.compile(r"^CPU#(\d+)", re.MULTILINE)
_WORD = re.compile(r"0x([0-9a-f]{16})")


class _Registers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    address: str
    stack: str
    user: str


class _Stack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: int


class _Sysrq(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: tuple[str, ...]


class _Table(msgspec.Struct, frozen=True):
    registers: _Registers
    stack: _Stack
    sysrq: _Sysrq


class Line(Protocol):
    """The guest's serial line."""

    def say(self, data: bytes) -> None:
        """Type, as at the guest's terminal."""

    def listen(self, limit_s: float) -> bytes:
        """Return what the guest says within the time; nothing if it is silent or gone."""


def examine(
    monitor: Monitor, line: Line, overdue: Overdue, functions: Callable[[], Functions | None]
) -> Hang:
    """Find out where a guest hangs, in a few seconds, whatever state it is in."""
    table = _table()
    samples: list[str] = []
    points: list[list[CpuPoint]] = []
    names = functions()
    for number in range(_SAMPLES):
        if number:
            time.sleep(_SAMPLE_GAP_S)
        # Under TCG a running CPU's registers are those of some time ago.
        monitor.ask("stop")
        text = monitor.tell("info registers -a")
        points.append([_point(monitor, table, names, *cpu) for cpu in _cpus(text)])
        monitor.ask("cont")
        samples.append(text)
    return Hang(
        limit=overdue.limit.value,
        is_idle=overdue.is_idle,
        has_functions=names is not None,
        cpus=_most_seen(points),
        registers="\n\n".join(samples),
        answer=_interrogate(monitor, line, table.sysrq.keys),
    )


def _interrogate(monitor: Monitor, line: Line, keys: Sequence[str]) -> bytes:
    """Return what the guest says to an NMI and to sysrq."""
    end = time.monotonic() + _ANSWERS_MAX_S
    said = b""
    monitor.ask("inject-nmi")
    for key in keys:
        monitor.ask("chardev-send-break", id="console")
        line.say(key.encode())
        answer = _answer(line, end)
        said += answer
        if not answer:
            # It does not listen, and will not to the others.
            break
    return said[:_ANSWERS_MAX]


def _answer(line: Line, end: float) -> bytes:
    end = min(end, time.monotonic() + _ANSWER_MAX_S)
    said = data = line.listen(_FIRST_WORD_S)
    while data and time.monotonic() < end and len(said) < _ANSWERS_MAX:
        data = line.listen(_PAUSE_S)
        said += data
    return said


def _cpus(text: str) -> list[tuple[int, str]]:
    """Take the registers of all CPUs apart: (number, text) each."""
    starts = list(_CPU.finditer(text))
    ends = [*(start.start() for start in starts[1:]), len(text)]
    return [
        (int(start[1]), text[start.end() : end]) for start, end in zip(starts, ends, strict=True)
    ]


def _point(
    monitor: Monitor, table: _Table, names: Functions | None, cpu: int, text: str
) -> CpuPoint:
    found = re.search(table.registers.address, text)
    address = int(found[1], 16) if found else 0
    if re.search(table.registers.user, text):
        return CpuPoint(cpu=cpu, address=address, is_user=True)
    function = names.at(address) if names else ""
    stack = re.search(table.registers.stack, text)
    if names is None or not function or not stack:
        return CpuPoint(cpu=cpu, address=address, function=function)
    top = int(stack[1], 16)
    count = (table.stack.size - top % table.stack.size) // 8
    dump = monitor.tell(f"x /{count}gx {top:#x}", **{"cpu-index": cpu})
    words = [int(word, 16) for line in dump.splitlines() for word in _WORD.findall(line[18:])]
    callers, initcall = _chain(names, [address, *words])
    return CpuPoint(
        cpu=cpu,
        address=address,
        function=function,
        callers=tuple(callers[1:]),
        initcall=initcall,
    )


def _chain(names: Functions, words: Sequence[int]) -> tuple[list[str], str]:
    """Return the functions that a stack has return addresses into, and the initcall among them.

    The innermost comes first. An old return address may be among them: nothing tells it from a
    true one.
    """
    found: list[tuple[str, bool]] = []
    for word in words:
        name = names.at(word)
        # What points at a function's first byte is a pointer to it.
        if name and (not found or (name != found[-1][0] and not names.is_start(word))):
            found.append((name, names.is_init(word)))
    chain = [name for name, _ in found]
    if _INITCALLS not in chain:
        return chain, ""
    inside = found[: chain.index(_INITCALLS)]
    # Nearly every initcall is __init, and what it calls is not.
    initcall = next((name for name, is_init in reversed(inside) if is_init), "")
    return chain, initcall or (inside[-1][0] if inside else "")


def _most_seen(samples: Sequence[Sequence[CpuPoint]]) -> tuple[CpuPoint, ...]:
    """Of each CPU, the first sample in the function that it was in most often."""
    best: list[CpuPoint] = []
    for points in zip(*(sample for sample in samples if sample), strict=False):
        counts = Counter(point.function for point in points)
        best.append(max(points, key=lambda point, of=counts: of[point.function]))  # type: ignore[misc]
    return tuple(best)


@cache
def _table() -> _Table:
    import tomllib  # noqa: PLC0415 - only a hang needs it

    text = (paths.PACKAGE_DIR / "data" / "hang.toml").read_text()
    return msgspec.convert(tomllib.loads(text), _Table)
