"""What a serial line can do to a console, and what must not count as the guest's word."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import console_corpus
import pytest
from console_corpus import CorpusLog

from harness import console, ktap, lines, params, verdict
from harness.errors import Outcome
from harness.job import Console

NONCE = "7f3a9c21"
LOGS = console_corpus.logs()
BANNER = "[    0.000000] Linux version 6.18.5 (harness@harness) (gcc) #1 SMP\n"
OOPS = "BUG: kernel NULL pointer dereference, address: 0000000000000008"


def _parse(text: str, nonce: str | None = NONCE) -> Console:
    return console.parse(text.encode(), nonce)


def _found(data: bytes, nonce: str | None) -> tuple[str, ...]:
    return console_corpus.describe(console.parse(data, nonce))


# --- any state a serial line can leave a log in: on every log of the corpus ---------------------


Spoil = Callable[[bytes, random.Random], bytes]


def _crlf(data: bytes, _: random.Random) -> bytes:
    return data.replace(b"\r", b"").replace(b"\n", b"\r\n")


def _crcrlf(data: bytes, _: random.Random) -> bytes:
    return data.replace(b"\r", b"").replace(b"\n", b"\r\r\n")


def _nuls(data: bytes, chance: random.Random) -> bytes:
    return _strew(data, [b"\0", b"\0\0\0"], chance)


def _escapes(data: bytes, chance: random.Random) -> bytes:
    clean = lines.clean(data).encode()
    sorts = [
        b"\x1b[0m",
        b"\x1b[1;31m",
        b"\x1b[2J",
        b"\x1b[?7l",
        b"\x1b(B",
        b"\x1bc",
        b"\x1b]0;x\x07",
    ]
    return _strew(clean, sorts, chance)


def _strew(data: bytes, what: list[bytes], chance: random.Random) -> bytes:
    places = sorted(chance.randrange(len(data) + 1) for _ in range(40))
    parts = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    return b"".join(part + chance.choice(what) for part in parts[:-1]) + parts[-1]


@pytest.mark.parametrize("spoil", [_crlf, _crcrlf, _nuls, _escapes])
@pytest.mark.parametrize("log", LOGS, ids=[log.path.stem for log in LOGS])
def test_line_noise_changes_nothing(log: CorpusLog, spoil: Spoil) -> None:
    spoiled = spoil(log.data, random.Random(log.path.stem))  # noqa: S311
    assert _found(spoiled, log.nonce) == log.expected


def test_noise_in_all_logs_is_noise() -> None:
    # The test above is void if what it strews is not there any more when it is parsed.
    log = next(log for log in LOGS if log.path.stem == "whole-and-clean")
    chance = random.Random(1)  # noqa: S311
    assert b"\x1b[" in _escapes(log.data, chance)
    assert b"\0" in _nuls(log.data, chance)
    assert b"\r\r\n" in _crcrlf(log.data, chance)


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_no_records_and_no_error(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    words = [
        *(b"BUG: ", b"\x1b[", b"\0", b"\r", b"\n", b"[    0.1", b"00000] ", b"harness: ", b"\xff"),
        *(b"ok 1", b"1..2", b"---[ end trace", b"Call Trace:", b"Linux version 6", b'"', b"=" * 66),
    ]
    data = b"".join(chance.choice([*words, chance.randbytes(3)]) for _ in range(400))
    found = console.parse(data, NONCE)
    assert found.records == ()
    assert all(1 <= splat.line <= found.line_count for splat in found.splats)


# Outcome and the first line shown of each of the ways in which a console can mislead; titles and
# reasons are in the logs' own headers.
MISLEADING = {
    "garbage-between-lines": (
        Outcome.PASS,
        "line 26: [    0.423655] harness: 7f3a9c21 4 end count=4",
    ),
    "nul-ansi-crlf": (Outcome.PASS, "line 14: [    0.422924] harness: 7f3a9c21 3 end count=3"),
    "end-record-on-the-command-line": (
        Outcome.HANG,
        "line 9: [    0.420731] Run /init as init process",
    ),
    "success-echoed-not-said": (Outcome.FAIL, "line 9: [    0.420731] Run /init as init process"),
    "count-is-not-what-arrived": (
        Outcome.FAIL,
        "line 12: [    0.422924] harness: 7f3a9c21 3 end count=5",
    ),
    "record-lost": (
        Outcome.FAIL,
        "line 12: [    0.422924] harness: 7f3a9c21 4 observe pivot.umount2=0",
    ),
    "record-after-the-end": (
        Outcome.FAIL,
        "line 12: [    0.422924] harness: 7f3a9c21 3 observe pivot.late=0",
    ),
    "ordinary-lines-after-the-end": (
        Outcome.PASS,
        "line 13: [    0.423655] harness: 7f3a9c21 4 end count=4",
    ),
    "panic-after-success-marker": (
        Outcome.PANIC,
        "line 13: Kernel panic - not syncing: Fatal exception in interrupt",
    ),
    "second-boot-banner": (
        Outcome.RESET,
        "line 12: [    0.422924] harness: 7f3a9c21 3 end count=3",
    ),
}


@pytest.mark.parametrize("name", MISLEADING)
def test_a_misleading_console_is_judged_by_the_line_that_tells(name: str) -> None:
    log = next(log for log in LOGS if log.path.stem == name)
    judged = verdict.judge_log(console.parse(log.data, log.nonce))
    assert (judged.outcome, judged.evidence[0]) == MISLEADING[name]


# --- lines --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "clean"),
    [
        (b"a\r\nb\rc\n", "a\nb\nc\n"),
        (b"\x1b[31mred\x1b[0m \x1b]0;title\x1b\\x", "red x"),
        (b"cut \x1b[12;", "cut "),
        (b"a\x1b[3\x001mb", "ab"),
        (b"\xc3\xbc \xff", "ü �"),
    ],
    ids=["line ends", "colours and titles", "cut escape", "NUL in an escape", "no UTF-8"],
)
def test_clean(data: bytes, clean: str) -> None:
    assert lines.clean(data) == clean


def test_lines_count_as_an_editor_counts_them() -> None:
    found = console.parse(b"one\r\n\r\ntwo")
    assert (found.lines, found.line_count) == ({1: "one", 3: "two"}, 3)


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        ("[    0.123456] text", [(True, None, "text")]),
        ("[12345.123456]  indented", [(True, None, " indented")]),
        ("[    0.123456][    T1] text", [(True, "T1", "text")]),
        ("[    0.123456][   C12] text", [(True, "C12", "text")]),
        ("[    T1] text", [(True, "T1", "text")]),
        ("[    0.123456] ", [(True, None, "")]),
        ("<6>[    0.123456] text", [(True, None, "text")]),
        ("/ # [    0.123456] text", [(False, None, "/ # "), (True, None, "text")]),
        ("[    0.1] not printk's", [(False, None, "[    0.1] not printk's")]),
        ('[    0.123456] "[    0.123457] b"', [(True, None, '"[    0.123457] b"')]),
        ("[    0.123456] a[    0.123457] b", [(True, None, "a"), (True, None, "b")]),
        (
            "[    0.123456] harness: x [    0.123457] b",
            [(True, None, "harness: x [    0.123457] b")],
        ),
    ],
)
def test_pieces(line: str, pieces: list[tuple[bool, str | None, str]]) -> None:
    found = lines.Row(row=1, line=1, text=line).pieces(has_stamps=True)
    assert [(p.is_kernel, p.caller, p.text) for p in found] == pieces


def test_kernel_without_stamps_may_print_what_looks_like_one() -> None:
    found = _parse(f"Linux version 6.18.5 (x)\nsays [    0.123456] {OOPS}\n{OOPS}\n")
    assert [splat.line for splat in found.splats] == [3]


# --- records ------------------------------------------------------------------------------------


def _record(text: str, stamp: str = "[    0.512345] ") -> str:
    return f"{stamp}harness: {NONCE} {text}\n"


def test_records_and_observations() -> None:
    found = _parse(
        BANNER
        + _record("1 begin proto=1 flow=a,b")
        + _record("2 step a.mount")
        + _record("3 observe a.mount=EINVAL")
        + _record("4 observe a.empty=")
        + _record("5 observe a.text=100%25%20%C3%BC=%0A")
        + _record("6 fault mount /proc: ENOENT")
        + _record("7 end count=7")
    )
    assert [(r.seq, r.kind, r.text, r.line) for r in found.records] == [
        (1, "begin", "proto=1 flow=a,b", 2),
        (2, "step", "a.mount", 3),
        (3, "observe", "a.mount=EINVAL", 4),
        (4, "observe", "a.empty=", 5),
        (5, "observe", "a.text=100%25%20%C3%BC=%0A", 6),
        (6, "fault", "mount /proc: ENOENT", 7),
        (7, "end", "count=7", 8),
    ]
    assert [(o.name, o.value) for o in found.observations] == [
        ("a.mount", "EINVAL"),
        ("a.empty", ""),
        ("a.text", "100% ü=\n"),
    ]
    assert found.stray == ()


@pytest.mark.parametrize(
    "text",
    [
        "x observe a=1",
        "1 observe a",
        "1 observe a=b c",
        "1 observe =b",
        "1 end",
        "1 end count=",
        "1 end count=-1",
        "1 begin",
        "1 step",
        "1 pass a",
        "observe a=1",
        "",
    ],
)
def test_what_cannot_be_read_is_stray(text: str) -> None:
    found = _parse(BANNER + _record(text))
    assert found.records == ()
    assert found.stray == (f"harness: {NONCE} {text}",)


@pytest.mark.parametrize("other", ["7f3a9c2", "7f3a9c211", "7F3A9C21", "-"])
def test_record_with_another_nonce_is_stray(other: str) -> None:
    found = _parse(f"{BANNER}[    0.5] x\n[    0.512345] harness: {other} 1 begin proto=1 flow=a\n")
    assert found.records == ()
    assert len(found.stray) == 1


def test_without_a_nonce_that_of_the_first_begin_counts() -> None:
    words = ["nonsense", "a 9 step x", "b 1 begin proto=1 flow=f", "c 2 step x", "b 2 step y"]
    more = ["c 1 begin proto=1 flow=f"]
    lines_ = [f"[    0.512345] harness: {text}\n" for text in words + more]
    found = _parse(BANNER + "".join(lines_), None)
    assert [record.text for record in found.records] == ["proto=1 flow=f", "y"]
    assert len(found.stray) == 4


def test_line_with_two_things_on_it_is_read_once() -> None:
    found = _parse(BANNER + "ok 1 a" + _record("1 begin proto=1 flow=a"))
    assert len(found.records) == 1


def test_log_without_begin_has_no_records() -> None:
    assert _parse(BANNER + _record("2 observe a=1"), None).records == ()


@pytest.mark.parametrize(
    "line",
    [
        f"[    0.012345] Kernel command line: x=harness: {NONCE} 1 begin proto=1 flow=a",
        f"[    0.012345] Kernel command line: [    0.012345] harness: {NONCE} 1 step a",
        f"[    0.012345] init: harness: {NONCE} 1 begin proto=1 flow=a",
        f"harness: {NONCE} 1 begin proto=1 flow=a",
        f'[    0.012345] x "[    0.012345] harness: {NONCE} 1 begin proto=1 flow=a"',
    ],
    ids=["command line", "stamp on the command line", "mid-line", "userspace", "quoted"],
)
def test_what_only_looks_like_a_record_is_none(line: str) -> None:
    assert _parse(f"{BANNER}{line}\n").records == ()


def test_record_after_an_unfinished_line_of_userspace_counts() -> None:
    found = _parse(BANNER + "Starting… " + _record("1 begin proto=1 flow=a"))
    assert [record.kind for record in found.records] == ["begin"]


def test_record_of_an_unstamped_kernel_counts() -> None:
    found = _parse("Linux version 6.18.5 (x)\n" + _record("1 begin proto=1 flow=a", stamp=""))
    assert [record.kind for record in found.records] == ["begin"]


# --- the kernel's facts -------------------------------------------------------------------------


def test_command_line_is_the_kernels_not_the_firmwares() -> None:
    found = _parse(
        BANNER
        + "[    0.000000] Command line: other\n"
        + "[    0.012345] Kernel command line: console=ttyS0 quiet \n"
    )
    assert found.cmdline == "console=ttyS0 quiet"


def test_banners_are_counted() -> None:
    assert len(_parse(BANNER + "Linux version 5.0 says userspace\n" + BANNER).banners) == 2


@pytest.mark.parametrize(
    ("words", "unknown"),
    [
        ("nullfs_rootfs", ("nullfs_rootfs",)),
        ("a b=c", ("a", "b=c")),
        ('a "b c" d="e f" g', ("a", '"b c"', 'd="e f"', "g")),
    ],
)
def test_unknown_parameters(words: str, unknown: tuple[str, ...]) -> None:
    line = f'Unknown kernel command line parameters "{words}", will be passed to user space.'
    assert _parse(f"{BANNER}[    0.023456] {line}\n").unknown_parameters == unknown
    assert _parse(f"{BANNER}{line}\n").unknown_parameters == ()


def test_parameters_after_two_dashes_are_inits() -> None:
    assert params.parameters("a -- b c") == ("a",)
    assert params.parameters('a x"--" b=" -- " c') == ("a", 'x"--"', 'b=" -- "', "c")
    assert params.parameters('a "--" b') == ("a",)


def test_quoted_parameter_has_its_name_without_quotes() -> None:
    assert [params.name_of(word) for word in ('"foo=a b"', 'foo="a b"', "foo")] == ["foo"] * 3


# --- KTAP ---------------------------------------------------------------------------------------


def _ktap(*texts: str) -> list[tuple[str, str]]:
    return [(r.status, r.name) for r in ktap.read(enumerate(texts, 1))]


def test_ktap_line_numbers() -> None:
    found = _parse(BANNER + "TAP version 13\n1..1\n# talk\nok 1 - a\n")
    assert [(r.name, r.status, r.line) for r in found.ktap] == [("a", "pass", 5)]


def test_ktap_through_kmsg_is_the_same() -> None:
    texts = [
        "KTAP version 1",
        "1..1",
        "  KTAP version 1",
        "  1..2",
        "  ok 1 a",
        "  not ok 2 b",
        "not ok 1 s",
    ]
    plain = _parse(BANNER + "\n".join(texts))
    stamped = _parse(BANNER + "\n".join(f"[    1.234567] {text}" for text in texts))
    assert plain.ktap == stamped.ktap
    assert [r.name for r in plain.ktap] == ["s.a", "s.b", "s"]


def test_subtest_that_does_not_come_to_its_plan() -> None:
    assert _ktap("KTAP version 1", "1..1", "  1..3", "  ok 1 a", "ok 1 s") == [
        ("pass", "s.a"),
        ("missing", "s.#2"),
        ("missing", "s.#3"),
        ("pass", "s"),
    ]


def test_log_that_ends_in_a_subtest() -> None:
    assert _ktap("KTAP version 1", "1..2", "  1..2", "  ok 1 a") == [
        ("pass", "a"),
        ("missing", "#2"),
        ("missing", "#1"),
        ("missing", "#2"),
    ]


def test_two_suites_one_after_the_other() -> None:
    texts = ("TAP version 13", "1..1", "ok 1 a", "TAP version 13", "1..2", "ok 1 b")
    assert _ktap(*texts) == [("pass", "a"), ("pass", "b"), ("missing", "#2")]


def test_plan_for_nothing() -> None:
    assert _ktap("TAP version 13", "1..0 # SKIP no such device") == []


# --- speed --------------------------------------------------------------------------------------

BOOT_LINE = b"[%5d.%06d] pci 0000:00:1f.2: BAR 4 [io  0xc040-0xc05f]: assigned, says [the] bus\r\n"
TAIL = f"[   12.000000] {OOPS}\n".encode()


@pytest.mark.parametrize(
    "data",
    [
        b"".join(BOOT_LINE % (n // 1000, n % 1000) for n in range(40_000)),
        b"[    0.000001] " + b"] x BUG WARNING ok 1 " * 160_000,
        b"." * 3_000_000,
        b"] Unable to handle kernel ] WARNING: [ ] a invoked ]\t" * 60_000,
        b"BUG: \n" * 20_000,
    ],
    ids=["ordinary", "one long line", "no newline", "almost reports", "nothing but reports"],
)
def test_a_log_of_megabytes_takes_no_time_to_speak_of(data: bytes) -> None:
    whole = BANNER.encode() + data + TAIL
    started = time.process_time()
    found = console.parse(whole, NONCE)
    # 20 to 60 MB/s here; something quadratic would take minutes.
    assert time.process_time() - started < 4
    assert found.splats[-1].title == "oops: NULL pointer dereference"


# --- size ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 10, 65_520, 65_530, 65_536, 70_000, 200_000])
def test_a_report_is_found_however_far_into_a_line(size: int) -> None:
    report = f"[    0.500000] {OOPS}\n[    0.500001] Call Trace:\n[    0.500002]  foo+0x1/0x2\n"
    found = _parse(f"{BANNER}{'x' * size}{report}\n{_record('1 begin a=b')}")
    assert [(splat.line, splat.frames) for splat in found.splats] == [(2, ("foo",))]
    assert [record.line for record in found.records] == [6]
    assert found.line_count == 6
    assert OOPS in found.lines[2]


@pytest.mark.parametrize("text", [OOPS, "ok 1 a", "harness: n 1 begin a=b"])
def test_what_a_long_line_says_is_no_line_of_its_own(text: str) -> None:
    for size in (65_536, 131_072):
        found = console.parse(b"TAP version 13\n1..1\n" + b"x" * size + text.encode())
        assert (found.splats, found.records, found.stray) == ((), (), ())
        assert [result.status for result in found.ktap] == ["missing"]


def test_frames_far_below_are_of_their_report() -> None:
    # Three blocks further down.
    filler = "".join(f"[    0.500000] {'y' * 400}\n" for _ in range(500))
    trace = "[    0.500001] Call Trace:\n[    0.500002]  foo+0x1/0x2\n"
    found = _parse(f"{BANNER}[    0.500000] {OOPS}\n{filler}{trace}")
    assert [splat.frames for splat in found.splats] == [("foo",)]
    assert len(found.splats[0].lines) == 503


def test_the_reading_of_the_stamps_is_chosen_by_what_comes_first() -> None:
    # Far below, in another block.
    filler = "x\n" * 50_000
    late = _parse(f"{OOPS}\n{filler}[    0.500000] {OOPS}\n")
    assert [splat.line for splat in late.splats] == [50_002]
    assert [splat.line for splat in _parse(f"{OOPS}\n{filler}").splats] == [1]
    quoted = _parse(f"Linux version 6.18.5 (x)\n{filler}[    0.500000] {OOPS}\n{OOPS}\n")
    assert [splat.line for splat in quoted.splats] == [50_003]


def test_the_last_lines_are_those_before_any_number_of_empty_ones() -> None:
    found = _parse("one\ntwo\nthree\n \nfour\n" + " \n" * 200_000)
    assert list(found.lines) == [2, 3, 5]
    assert found.line_count == 200_005


def test_words_are_looked_for_among_the_kernels_alone() -> None:
    text = (
        f"{BANNER}needle\n[    0.1] needle\n"
        "[    0.500000] Kernel command line: needle\n"
        "[    0.500000] a needle\n[    0.500000] a needle\n"
    )
    found = console.parse(text.encode(), watch=["needle", "none"])
    assert (found.watched, found.lines[5]) == ({"needle": 5}, "[    0.500000] a needle")


FLOODS = {
    "reports": b"[    0.500000] BUG: x\n",
    "records": b"[    0.500000] harness: n 1 observe a=1\n",
    "results": b"ok 1 a\n",
    "banners": b"[    0.500000] Linux version 6.18.5 (x)\n",
}


@pytest.mark.parametrize("line", FLOODS.values(), ids=FLOODS.keys())
def test_what_is_too_much_to_keep_is_said(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_KEEP_MAX", 100_000)
    whole = b"".join(
        (
            BANNER.encode() + line * 50,
            _record("1 begin proto=1 flow=a").encode() + _record("2 end count=2").encode(),
        )
    )
    assert console.parse(whole, NONCE).unread_from is None
    found = console.parse(BANNER.encode() + line * 10_000 + whole, NONCE)
    assert found.unread_from is not None
    assert found.records == () or line == FLOODS["records"]
    judged = verdict.judge_log(found)
    assert judged.outcome is not Outcome.PASS
    assert any("was not judged" in text for text in (judged.reason, *judged.evidence))


SELF = """
import sys
from harness.cli import main
sys.argv = ["harness", "parse", "-"]
try:
    main()
finally:
    print(open("/proc/self/status").read(), file=sys.stderr)
"""


def _ordinary() -> Iterator[bytes]:
    yield BANNER.encode()
    part = b"".join(BOOT_LINE % (n // 1000, n % 1000) for n in range(12_000))
    for _ in range(200):
        yield part
    yield TAIL


def _one_line() -> Iterator[bytes]:
    yield BANNER.encode()
    for _ in range(64):
        yield b"." * (1 << 20)
    yield TAIL


def _nothing_but_reports() -> Iterator[bytes]:
    yield BANNER.encode() + TAIL
    for _ in range(30):
        yield b"[    0.500000] WARNING: CPU: 0 PID: 1 at f+0x1/0x2\n" * 20_000


@pytest.mark.parametrize("log", [_ordinary, _one_line, _nothing_but_reports])
def test_a_log_of_any_size_takes_no_memory_to_speak_of(log: Callable[[], Iterator[bytes]]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SELF],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdin
        for part in log():
            child.stdin.write(part)
        out, status = child.communicate()
    assert out.startswith(b"oops: oops: NULL pointer dereference")
    assert b"\n  line 2: " in out or log is not _one_line
    peak_kib = int(status.partition(b"VmHWM:")[2].split()[0])
    assert peak_kib < 150_000
