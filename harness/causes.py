"""Takes what a boot produced, gives all that speaks against it: a list of `Cause`s.

Pure. Each function looks for one sort; `verdict` chooses among what they find.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from harness import allow, params
from harness.console import decode
from harness.errors import Outcome
from harness.evidence import (
    NOWHERE,
    Cause,
    and_more,
    banner_lines,
    find,
    last_lines,
    last_words,
    quote,
    short,
)
from harness.job import (
    Allowance,
    Check,
    Console,
    Kernel,
    Place,
    Splat,
    Transcript,
)

_MAX_REPORT_LINES = 8
_MAX_PLACES = 3
# Half of the 20 s after which the kernel's detectors of lockups and stalls report by their clock.
_PAUSE_MIN_S = 10.0
# Before v6.19 printk cuts the line at its longest record, 1024 bytes; less is no cut of its own.
_MAX_ECHO = 990
_FACT = re.compile(r"(\w+)=(\S*)")


# --- the right kernel, told the right things ---------------------------------------------------


def restarts(console: Console) -> Iterator[Cause]:
    """A second banner: the guest has started again, whatever it said of that."""
    for line in banner_lines(console)[1:2]:
        before = max(
            (n for n, text in console.lines.items() if n < line and text.strip()), default=line
        )
        yield Cause(
            line,
            Outcome.RESET,
            "the guest started again: a second boot banner",
            (quote(console, before), quote(console, line)),
        )


def wrong_kernel(console: Console, kernel: Kernel) -> Iterator[Cause]:
    """The banner is not there, or is not that of the image that was to boot."""
    if not console.banners:
        yield _too_quiet(console, "no `Linux version` banner: nothing tells which kernel ran")
    elif not console.banners[0].startswith(kernel.banner):
        line = banner_lines(console)[0]
        yield Cause(
            line,
            Outcome.FAIL,
            f"another kernel ran than the one under test, {kernel.release}",
            (quote(console, line), f"expected: {kernel.banner}"),
        )


def wrong_cmdline(console: Console, full_cmdline: str) -> Iterator[Cause]:
    """The kernel was not told, or did not take, the job's command line."""
    echo = console.cmdline
    if echo is None:
        yield _too_quiet(console, "no `Kernel command line:` echo: nothing tells what it was told")
        return
    given, taken = " ".join(full_cmdline.split()), " ".join(echo.split())
    is_cut = len(taken) >= _MAX_ECHO and given.startswith(taken)
    if taken != given and not is_cut:
        line = find(console, "Kernel command line: ")
        yield Cause(
            line,
            Outcome.FAIL,
            "the kernel ran with another command line than the job's",
            (quote(console, line), f"expected: {given}"),
        )


def unknown_parameters(console: Console, job_cmdline: str) -> Iterator[Cause]:
    """The kernel does not know a parameter that the job gives: it was not tested at all."""
    given = {params.name_of(word) for word in params.parameters(job_cmdline)}
    unknown = [word for word in console.unknown_parameters if params.name_of(word) in given]
    if not unknown:
        return
    line = find(console, "Unknown kernel command line parameters ")
    names = ", ".join(f'"{word}"' for word in unknown)
    them, was, option = (
        ("it", "was", "option") if len(unknown) == 1 else ("they", "were", "options")
    )
    yield Cause(
        line,
        Outcome.FAIL,
        f"the kernel does not know {names}: {them} {was} passed to user space, "
        f"so the {option} {was} not tested",
        (quote(console, line),),
    )


def _too_quiet(console: Console, reason: str) -> Cause:
    hint = "does the command line have `quiet` or a low `loglevel=`?"
    return Cause(NOWHERE, Outcome.FAIL, f"{reason}; {hint}", last_lines(console))


# --- what went wrong in the kernel -------------------------------------------------------------


def splats(
    console: Console,
    allowances: Sequence[Allowance],
    transcript: Transcript | None = None,
    *,
    is_panic_tested: bool = False,
) -> Iterator[Cause]:
    """Kernel reports that are not allowed, wherever they are: after the end record too.

    `is_panic_tested`: a panic is an observation of this boot, for the table to judge. A lockup or
    a stall after this machine had not run the guest, whose clock went on, is this machine's.
    """
    pause_s = transcript.pause_s if transcript else 0.0
    for splat in console.splats:
        if is_panic_tested and splat.outcome is Outcome.PANIC:
            continue
        known = [each for each in allowances if allow.covers(each, splat)]
        if not all(each.is_expired for each in known):
            continue
        outcome, title = splat.outcome, splat.title
        if outcome is Outcome.HANG and pause_s >= _PAUSE_MIN_S:
            outcome = Outcome.HOST_ERROR
            title += f", but this machine hardly ran the guest for {pause_s:.0f} s"
        late = tuple(f"  (known until {each.expires}: {each.reason})" for each in known)
        yield Cause(splat.line, outcome, title, (*_report(splat), *late))


def _report(splat: Splat) -> tuple[str, ...]:
    shown = [short(text.strip()) for text in splat.lines if text.strip()][:_MAX_REPORT_LINES]
    rest = tuple(f"  {text}" for text in shown[1:])
    frames = (f"  call trace: {' < '.join(splat.frames[:6])}",) if splat.frames else ()
    places = tuple(f"  at {_place(place)}" for place in _near_fault(splat))
    cut = () if splat.is_complete else ("  (the report is cut short)",)
    return (f"line {splat.line}: {shown[0]}", *rest, *frames, *places, *cut)


def _near_fault(splat: Splat) -> tuple[Place, ...]:
    """Return the places from the function that the title names on."""
    func = splat.title.rpartition(" in ")[2]
    named = [n for n, place in enumerate(splat.places) if place.call.startswith(func)]
    first = named[0] if named else 0
    return splat.places[first : first + _MAX_PLACES]


def _place(place: Place) -> str:
    """Return `func+0x10/0x20: inlined file:line in func file:line`."""
    chain = " in ".join(f"{line.function} {line.file}:{line.line}" for line in place.at)
    return f"{place.call}: {chain}"


# --- what the guest said -----------------------------------------------------------------------


def faults(console: Console) -> Iterator[Cause]:
    """The guest could not ask its question: its own set-up failed."""
    for record in console.records:
        if record.kind == "fault":
            reason = f"the guest could not ask: {decode(record.text)}"
            yield Cause(record.line, Outcome.FAIL, reason, (quote(console, record.line),))


def mismatches(console: Console, checks: Sequence[Check]) -> Iterator[Cause]:
    """Observations that are not as expected: one cause, told by the first."""
    where = {(o.name, o.value): o.line for o in reversed(console.observations)}
    wrong = [check for check in checks if not check.ok and check.observed is not None]
    found = sorted(
        ((where[check.name, check.observed or ""], check) for check in wrong),
        key=lambda pair: pair[0],
    )
    if found:
        line, first = found[0]
        reason = f"{first.name} is {first.observed}, expected {first.expected} ({first.claim})"
        # What the kernel never said is on no line.
        evidence = tuple(quote(console, line) for line, _ in found if line != NOWHERE)
        yield Cause(line, Outcome.FAIL, and_more(reason, len(found)), evidence)


def unobserved(checks: Sequence[Check]) -> Iterator[Cause]:
    """Expectations that nobody observed."""
    missing = [check for check in checks if check.observed is None]
    if missing:
        first = missing[0]
        reason = f"{first.name} was not observed, expected {first.expected} ({first.claim})"
        yield Cause(NOWHERE, Outcome.FAIL, and_more(reason, len(missing)))


def ktap(console: Console, *, is_proof: bool) -> Iterator[Cause]:
    """KTAP tests that failed or are missing; none at all, if they are the proof."""
    failed = [result for result in console.ktap if result.status == "fail"]
    missing = [result for result in console.ktap if result.status == "missing"]
    if failed:
        reason = and_more(f"the test {failed[0].name} failed", len(failed))
        evidence = tuple(quote(console, result.line) for result in failed[:_MAX_REPORT_LINES])
        yield Cause(failed[0].line, Outcome.FAIL, reason, evidence)
    if missing:
        reason = f"KTAP is not whole: {missing[0].name} was planned and did not run"
        evidence = (quote(console, missing[0].line),)
        yield Cause(NOWHERE, Outcome.FAIL, and_more(reason, len(missing)), evidence)
    if is_proof and not any(result.status == "pass" for result in console.ktap):
        reason = "every KTAP test was skipped" if console.ktap else "the guest printed no KTAP"
        yield Cause(NOWHERE, Outcome.FAIL, reason)


def protocol(console: Console, flows: Sequence[str] | None) -> Iterator[Cause]:
    """Records that are not whole: begin, end, numbers, count. `flows` are those asked for."""
    records = console.records
    yield from _sequence(console)
    if records and records[0].kind == "begin" and flows is not None:
        facts = dict(_FACT.findall(records[0].text))
        expected = {"proto": "1", "flow": ",".join(flows)}
        for key, value in expected.items():
            said = decode(facts.get(key, ""))
            if said != value:
                reason = f"the guest began with {key}={said}, asked was {key}={value}"
                line = records[0].line
                yield Cause(line, Outcome.FAIL, reason, (quote(console, line),))
    ends = [record for record in records if record.kind == "end"]
    for end in ends[:1]:
        count = dict(_FACT.findall(end.text))["count"]
        whole = records[: records.index(end) + 1]
        if int(count) != len(whole):
            reason = f"the guest wrote {count} records, {len(whole)} arrived"
            yield Cause(end.line, Outcome.FAIL, reason, (quote(console, end.line),))
        for late in records[len(whole) : len(whole) + 1]:
            reason = f"the guest went on after its end record: {late.kind} {decode(late.text)}"
            yield Cause(late.line, Outcome.FAIL, reason, (quote(console, late.line),))


def _sequence(console: Console) -> Iterator[Cause]:
    """The first record that is not the one that has to come there."""
    for number, record in enumerate(console.records, 1):
        if record.seq != number:
            reason = f"record {number} is missing: record {record.seq} is in its place"
        elif (record.kind == "begin") != (number == 1):
            reason = f"record {number} is a {record.kind} record"
        else:
            continue
        yield Cause(record.line, Outcome.FAIL, reason, (quote(console, record.line),))
        return


def unproved(
    console: Console, *, nonce: str | None, cut_short: Outcome = Outcome.FAIL
) -> Iterator[Cause]:
    """No end record: the guest has not said that it did all it was asked.

    `cut_short` is the outcome if it had begun.
    """
    kinds = Counter(record.kind for record in console.records)
    if kinds["end"]:
        return
    outcome = cut_short if kinds["begin"] else Outcome.FAIL
    # What init says when it cannot even write records.
    said = f": {short(console.stray[0].removeprefix('harness: '))}" if console.stray else ""
    if kinds["begin"]:
        reason = f"the guest did not come to its end{said}: {last_words(console)}"
    elif said:
        reason = f"the guest did not begin{said}"
    else:
        bearing = f" with this boot's nonce {nonce}" if nonce else ""
        reason = f"no record{bearing}: nothing proves that the guest's init ran"
    yield Cause(NOWHERE, outcome, reason, last_lines(console))


def unread(console: Console) -> Iterator[Cause]:
    """There was more than can be kept: what the rest says is not known."""
    if console.unread_from is not None:
        line = console.unread_from
        reason = f"too much to read: what follows line {line} was not judged"
        yield Cause(line, Outcome.FAIL, reason, (quote(console, line),))


def strangers(console: Console) -> Iterator[Cause]:
    """Lines that look like records and are none of this boot's."""
    for text in console.stray[:1]:
        reason = f"a record that is not of this boot, or cannot be read: {short(text)}"
        yield Cause(NOWHERE, Outcome.FAIL, reason, (quote(console, find(console, text)),))
