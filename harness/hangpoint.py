"""Takes a hung guest's console and what was found of it, says where it hangs. Pure.

The guest's own records say it best, then its stack, then the last of the kernel's lines.
"""

import re
from functools import cache

import msgspec

from harness import lines, paths
from harness.console import decode
from harness.evidence import has_kernel_output
from harness.job import Console, CpuPoint, Hang

# Of a stack, as much as a sentence can hold.
_FRAMES_MAX = 4
_LOWEST_KERNEL = 1 << 63
_CALLED = "do_one_initcall"

# As sysrq prints a task and its stack; what stands behind a `?` is a guess.
_STAMP = re.compile(lines.STAMP)
_TASK = re.compile(r"task:(?P<name>.*?) +state:(?P<state>\S+) .*\bpid:(?P<pid>\d+)")
_FRAME = re.compile(r" *([\w.]+)\+0x[0-9a-f]+/0x[0-9a-f]+")


class _Rule(msgspec.Struct, frozen=True):
    part: str
    name: str = ""
    text: str = ""


class _Scheduler(msgspec.Struct, frozen=True):
    names: str


class _Table(msgspec.Struct, frozen=True):
    scheduler: _Scheduler
    function: tuple[_Rule, ...]
    line: tuple[_Rule, ...]


def where(console: Console, hang: Hang | None) -> str:
    """Return how far a guest came that did not end: a step, an initcall, a part of the boot.

    Empty where nothing tells.
    """
    record = console.records[-1] if console.records else None
    if record and record.kind == "end":
        return "after its end record"
    if record and record.kind == "step":
        return f"in init at step {decode(record.text)}"
    if record:
        return f"in init after record {record.seq} ({record.kind} {decode(record.text)})"
    if not has_kernel_output(console):
        return _before_the_console(hang)
    return _by_stack(hang) or _by_lines(console) or "while the kernel starts"


def doing(hang: Hang) -> str:
    """Return what the CPUs do, in a few words; where they do nothing, what a task waits for."""
    waiting = _waiting(hang.answer) if hang.is_idle else ""
    if waiting:
        return waiting
    what = "idle" if hang.is_idle else "busy"
    return "; ".join(f"CPU {point.cpu} {what} {_place(point)}" for point in hang.cpus) or what


def _place(point: CpuPoint) -> str:
    if point.is_user:
        return f"in user space at {point.address:#x}"
    if not point.function:
        return f"at {point.address:#x}"
    return f"in {' < '.join((point.function, *point.callers)[:_FRAMES_MAX])}"


def _waiting(answer: bytes) -> str:
    """Return the task that waits: the first that nothing can wake early (D), else init."""
    tasks: list[tuple[re.Match[str], list[str]]] = []
    for line in lines.clean(answer).split("\n"):
        text = _STAMP.sub("", line, count=1)
        if task := _TASK.match(text):
            tasks.append((task, []))
        elif tasks and (frame := _FRAME.match(text)):
            tasks[-1][1].append(frame[1])
    uninterruptible = (each for each in tasks if each[0]["state"] == "D")
    init = (each for each in tasks if each[0]["pid"] == "1")
    for task, frames in (*uninterruptible, *init):
        shown = [name for name in frames if not re.fullmatch(_table().scheduler.names, name)]
        if shown:
            return f"{task['name']} waits in {' < '.join(shown[:_FRAMES_MAX])}"
    return ""


def _before_the_console(hang: Hang | None) -> str:
    points = hang.cpus if hang else ()
    if not points:
        return "before the console"
    point = points[0]
    if point.function:
        return f"before the console, {_by_stack(hang) or 'while the kernel starts'}"
    if point.address < _LOWEST_KERNEL:
        # Where memory is mapped as it is: firmware, a decompressor, the kernel's first steps.
        return "in the decompressor, or before it"
    return "before the console"


def _by_stack(hang: Hang | None) -> str:
    for point in hang.cpus if hang else ():
        for name in (point.function, *point.callers):
            rule = next((r for r in _table().function if re.fullmatch(r.name, name)), None)
            if rule and not rule.part:
                break
            if rule and (name != _CALLED or point.initcall):
                return f"in {rule.part.format(point.initcall)}"
    return ""


def _by_lines(console: Console) -> str:
    for number, text in reversed(console.lines.items()):
        row = lines.Row(number, number, text)
        for piece in reversed(row.pieces(has_stamps=console.has_stamps)):
            for rule in _table().line:
                found = re.match(rule.text, piece.text) if piece.is_kernel else None
                if found:
                    return f"in {rule.part.format(*found.groups())}" if rule.part else ""
    return ""


@cache
def _table() -> _Table:
    import tomllib  # noqa: PLC0415 - only a hang needs it

    text = (paths.PACKAGE_DIR / "data" / "hang.toml").read_text()
    return msgspec.convert(tomllib.loads(text), _Table)
