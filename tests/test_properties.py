"""What holds for any input, of all that reads what strangers wrote."""

import io
import random
import stat
from email.message import EmailMessage
from itertools import accumulate, pairwise

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness import console, cpio, kconfig, lines, mail, params, thread, verdict
from harness.errors import Outcome, UsageError
from harness.job import Console

# The same examples in every run: what CI finds is found here.
stable = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

NONCE = "7f3a9c21"
STAMP = b"[    0.512345] "
BANNER = STAMP + b"Linux version 6.18.5 (harness@harness) (gcc) #1 SMP\n"
printable = st.text(st.characters(min_codepoint=32, max_codepoint=126))
word = st.text("abcdefgXYZ019._-", min_size=1, max_size=12)


# --- records ------------------------------------------------------------------------------------


def encode(value: bytes) -> str:
    """As initramfs/common/record.c writes a value."""
    return "".join(chr(c) if 0x20 < c <= 0x7E and c != 0x25 else f"%{c:02X}" for c in value)


@stable
@given(st.text())
def test_a_value_comes_back_as_the_guest_had_it(value: str) -> None:
    raw = value.encode("utf-8", "replace")
    assert console.decode(encode(raw)) == raw.decode()


@stable
@given(st.text())
def test_decoding_takes_any_text(text: str) -> None:
    if "%" not in text:
        assert console.decode(text) == text
    console.decode(text.encode("utf-8", "replace").decode())


def _log_of(observed: dict[str, str]) -> bytes:
    """A whole boot that observes, as its guest writes it."""
    words = [
        "begin proto=1 flow=a",
        *(f"observe a.{name}={encode(value.encode())}" for name, value in observed.items()),
    ]
    words.append(f"end count={len(words) + 1}")
    return BANNER + b"".join(
        STAMP + f"harness: {NONCE} {number} {text}\n".encode()
        for number, text in enumerate(words, 1)
    )


observed = st.dictionaries(word, st.text(st.characters(exclude_categories=["Cs"])), max_size=6)


@stable
@given(observed)
def test_records_come_back_as_the_guest_wrote_them(values: dict[str, str]) -> None:
    found = console.parse(_log_of(values), NONCE)
    assert {o.name: o.value for o in found.observations} == {
        f"a.{name}": value for name, value in values.items()
    }
    assert [record.seq for record in found.records] == list(range(1, len(values) + 3))
    assert verdict.judge_log(found).outcome is Outcome.PASS


@stable
@given(observed, st.data())
def test_a_record_lost_or_changed_is_no_pass(values: dict[str, str], data: st.DataObject) -> None:
    said = _log_of(values).splitlines(keepends=True)
    at = data.draw(st.integers(1, len(said) - 1))
    kept = said[:at] + data.draw(st.sampled_from([[], [said[at], said[at]]])) + said[at + 1 :]
    judged = verdict.judge_log(console.parse(b"".join(kept), NONCE))
    assert judged.outcome is not Outcome.PASS


# What a log is made of, to be put together in any order.
scraps = st.sampled_from([
    *(b"[    0.1", b"00000] ", STAMP, b"harness: ", b"end count=2", b"1 begin proto=1 flow=a"),
    *(b"BUG: ", b"\x1b[", b"\x1b]0;", b"\0", b"\r", b"\r\n", b"\n", b"\xff", b"\xc3", b'"'),
    b"=" * 66,
    *(b"ok 1 a", b"1..2", b"TAP version 13", b"---[ end trace", b"Call Trace:", BANNER),
    *(b"Linux version 6", b"Kernel command line: ", b"reboot: Restarting system", b" " * 99),
    *(b"BUG: KASAN: x in f+0x1/0x2\n", b"WARNING: CPU: 0 PID: 1 at f+0x1/0x2\n", b"oom" * 40),
])  # fmt: skip
garbage = st.lists(scraps | st.binary(max_size=20), max_size=80).map(b"".join)


def _count(data: bytes) -> int:
    text = lines.clean(data)
    return text.count("\n") + (not text.endswith("\n") and text != "")


@stable
@given(garbage)
def test_garbage_is_no_error_and_no_pass(data: bytes) -> None:
    found = console.parse(data, NONCE)
    assert found.records == ()
    assert verdict.judge_log(console.parse(data.replace(b"ok", b"k"))).outcome is not Outcome.PASS
    assert all(1 <= splat.line <= found.line_count for splat in found.splats)
    assert all(1 <= line <= found.line_count for line in found.lines)
    assert found.line_count == _count(data)


# --- the console in portions --------------------------------------------------------------------


def _portions(data: bytes, sizes: list[int]) -> list[bytes]:
    places = [0, *accumulate(sizes)]
    return [data[a:b] for a, b in pairwise(places)] + [data[places[-1] :]]


@stable
@given(garbage, st.lists(st.integers(0, 40)))
def test_any_portions_give_the_same(data: bytes, sizes: list[int]) -> None:
    assert console.parse(_portions(data, sizes)) == console.parse(data)


@settings(stable, max_examples=15)
@given(garbage, garbage, garbage, st.integers(65_000, 70_000), st.integers(1, 9000))
def test_so_do_large_ones(a: bytes, b: bytes, c: bytes, length: int, portion: int) -> None:
    # Across the ends of blocks, with lines too long for one.
    data = a + b"x" * length + b + b"y\n" * (length // 3) + c + b"z" * 2 * length + a
    sizes = [portion] * (len(data) // portion)
    whole = console.parse(data)
    assert console.parse(_portions(data, sizes)) == whole
    assert whole.line_count == _count(data)


@stable
@given(garbage, st.lists(st.integers(0, 9), min_size=1))
@example(b"a\r\nb\r\r\nc\r\0\n\r\x1b[0m\n\x1b]0;a\x1b\\b\x1b(B\x1b[1;31m\xc3\xbc", [1])
def test_portions_of_a_byte_or_so_are_cleaned_alike(data: bytes, sizes: list[int]) -> None:
    cleaner = lines.Cleaner()
    parts = _portions(data, sizes * (len(data) // (sum(sizes) + 1) + 1))
    out = b"".join(cleaner.clean(part) for part in parts) + cleaner.clean(b"", is_end=True)
    assert out.decode("utf-8", "replace") == lines.clean(data)


def _seen(found: Console) -> tuple[object, ...]:
    return (
        [(r.seq, r.kind, r.text) for r in found.records],
        [(o.name, o.value) for o in found.observations],
        [(s.kind, s.title, s.frames) for s in found.splats],
        [(k.name, k.status) for k in found.ktap],
        (found.banners, found.cmdline, found.stray),
    )


LOG = (
    *_log_of({"mount": "EINVAL", "text": "a b%"}).splitlines(),
    *(STAMP + b"BUG: KASAN: use-after-free in foo+0x1/0x2", STAMP + b"=" * 66),
    *(b"TAP version 13", b"1..2", b"ok 1 - a", b"not ok 2 - b"),
    *(STAMP + b"WARNING: CPU: 0 PID: 1 at foo+0x1/0x2", STAMP + b"Call Trace:"),
    *(STAMP + b" bar+0x1/0x2", STAMP + b"---[ end trace 0000000000000000 ]---"),
)
noise = st.sampled_from([
    b"", b"\0\0", b"\x1b[0m", b"\x1b[1;31mred", b"\xff\xfe\xc3", b"\r", b"\x1b]0;title\x07", b"...",
])  # fmt: skip


@stable
@given(
    st.lists(noise, min_size=len(LOG), max_size=len(LOG)), st.sampled_from([b"\n", b"\r\n", b"\r"])
)
def test_noise_between_lines_changes_nothing_that_is_found(sorts: list[bytes], end: bytes) -> None:
    spoiled = b"".join(line + end + sort + end for line, sort in zip(LOG, sorts, strict=True))
    plain = console.parse(b"\n".join(LOG), NONCE)
    assert len(plain.splats) == 2
    assert _seen(console.parse(spoiled, NONCE)) == _seen(plain)


# --- archives -----------------------------------------------------------------------------------

name = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20
).filter(lambda text: text not in {".", "..", "TRAILER!!!"})
number = st.integers(0, 0xFFFFFFFF)
member = st.one_of(
    st.builds(cpio.folder, name),
    st.builds(cpio.file, name, st.binary(max_size=40), st.integers(0, 0o7777)),
    st.builds(cpio.symlink, name, name),
    st.builds(cpio.character_device, name, number, number),
)
members = st.lists(member, max_size=8, unique_by=lambda each: each.name)


def _written(found: list[cpio.Member]) -> bytes:
    stream = io.BytesIO()
    cpio.write(stream, found)
    return stream.getvalue()


@stable
@given(members, st.randoms(use_true_random=False))
def test_an_archive_gives_back_its_members(found: list[cpio.Member], chance: random.Random) -> None:
    nested = [cpio.folder("d")] + [
        cpio.Member(name=f"d/{m.name}", mode=m.mode, data=m.data, device=m.device) for m in found
    ]
    data = _written(nested)
    assert sorted(cpio.read(data), key=lambda m: m.name) == sorted(nested, key=lambda m: m.name)
    chance.shuffle(nested)
    assert _written(nested) == data
    assert list(cpio.read(data + b"\0" * 8 + data)) == list(cpio.read(data)) * 2


@stable
@given(members.map(_written), st.data())
def test_a_damaged_archive_is_read_to_an_end(data: bytes, draw: st.DataObject) -> None:
    raw = bytearray(data)
    heads = [at for at in range(len(data)) if data.startswith(b"070701", at)]
    for _ in range(draw.draw(st.integers(1, 3))):
        field = draw.draw(st.sampled_from(heads)) + 6 + 8 * draw.draw(st.sampled_from([1, 6, 11]))
        raw[field : field + 8] = draw.draw(
            st.sampled_from([b"-0000074", b"-0000001", b"+0000001", b"FFFFFFFF", b"0x0000_1", b""])
        )
    try:
        for count, found in enumerate(cpio.read(bytes(raw))):
            assert count < len(raw)
            assert stat.S_IMODE(found.mode) <= 0o7777
    except UsageError:
        pass


# --- command lines ------------------------------------------------------------------------------


def next_arg(args: str) -> tuple[str, str, str | None, str]:
    """As the kernel's lib/cmdline.c does it: (word, name, value, rest)."""
    at, equals, in_quote = 0, 0, False
    quoted = args.startswith('"')
    start = 1 if quoted else 0
    in_quote = quoted
    text = args[start:]
    while at < len(text) and (in_quote or not text[at].isspace()):
        if not equals and text[at] == "=":
            equals = at
        in_quote ^= text[at] == '"'
        at += 1
    param = text[:at]
    if quoted and param.endswith('"'):
        param = param[:-1]
    value = param[equals + 1 :] if equals else None
    return args[: start + at], param[:equals] if equals else param, value, text[at:].lstrip()


cmdline = st.text('ab=-" .,', max_size=30) | st.lists(
    st.sampled_from(["--", '"--"', "a", 'b="c d"', '"e=f g"', "=", '"', "h=", '-- "']), max_size=8
).map(" ".join)


@stable
@given(cmdline)
def test_words_are_those_of_the_kernel(text: str) -> None:
    found: list[str] = []
    names: list[str] = []
    kernels, rest = None, text.lstrip()
    while rest:
        token, param, value, rest = next_arg(rest)
        if param == "--" and value is None and kernels is None:
            kernels = len(found)
        found.append(token)
        names.append(param)
    assert params.words(text) == tuple(found)
    assert params.parameters(text) == tuple(found[:kernels])
    assert [params.name_of(each) for each in found] == names


@stable
@given(st.lists(printable.filter(lambda text: text and '"' not in text), max_size=6))
def test_quoted_words_come_back(values: list[str]) -> None:
    quoted = [f'a{n}="{value}"' for n, value in enumerate(values)]
    assert params.words(" ".join(quoted)) == tuple(quoted)


# --- mails --------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=120)
hunk = st.lists(st.tuples(st.sampled_from(" +-"), TEXT), min_size=1, max_size=12)


def _diff(number: int, changes: list[tuple[str, str]]) -> str:
    rows = "".join(f"{sign}{text}\n" for sign, text in changes)
    old, new = (sum(sign != other for sign, _ in changes) for other in "+-")
    path = f"fs/file{number}.c"
    return (
        f"---\n {path} | 2 +-\n\ndiff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n"
        f"@@ -1,{old} +1,{new} @@\n{rows}"
    )


def _mail(number: int, total: int, body: str, cte: str, subject: str) -> bytes:
    message = EmailMessage()
    message["From"] = "Jörg Ü <j@example.org>"
    message["Date"] = "Thu, 01 Jan 2026 10:00:00 +0000"
    message["Subject"] = f"[PATCH v3 {number}/{total}] {subject}"
    message.set_content(body, cte=cte, charset="utf-8")
    return message.as_bytes()


CTES = st.sampled_from(["base64", "quoted-printable", "8bit"])


@stable
@given(hunk, CTES, printable)
def test_a_patch_is_the_same_in_any_encoding(
    changes: list[tuple[str, str]], cte: str, subject: str
) -> None:
    diff = _diff(1, changes)
    read = mail.read_mail(_mail(1, 1, f"Why.\n{diff}", cte, subject), "here")
    assert read.diff == diff.encode()
    assert read.message == "Why."
    assert read.author == "Jörg Ü <j@example.org>"
    assert (read.tag.version, read.tag.number, read.tag.total) == (3, 1, 1)


@stable
@given(st.lists(st.tuples(hunk, CTES), min_size=1, max_size=5), st.data())
def test_an_mbox_gives_its_patches_in_order_whatever_its_own(
    patches: list[tuple[list[tuple[str, str]], str]], data: st.DataObject
) -> None:
    diffs = [_diff(number, changes) for number, (changes, _) in enumerate(patches, 1)]
    mails = [
        _mail(number, len(patches), f"Why.\n{diff}", cte, "x")
        for number, (diff, (_, cte)) in enumerate(zip(diffs, patches, strict=True), 1)
    ]
    mails.append(_mail(0, len(patches), "A cover.\n", "8bit", "cover"))
    mixed = data.draw(st.permutations(mails))
    mbox = b"".join(b"From x Thu Jan  1 10:00:00 2026\n" + each + b"\n" for each in mixed)
    read = [mail.read_mail(raw, "here") for raw in mail.split_mbox(mbox)]
    chosen = thread.choose(read, "here")
    for each, diff in zip(chosen, diffs, strict=True):
        # The newline that ends a mail in an mbox is no part of it.
        assert each.diff in {diff.encode(), diff.encode() + b"\n"}


@stable
@given(garbage)
def test_any_bytes_are_a_mail(data: bytes) -> None:
    for raw in mail.split_mbox(data):
        mail.read_mail(raw, "here")


# --- kconfig ------------------------------------------------------------------------------------

values = st.sampled_from(["y", "n", "m", "64", "0x1F"]) | TEXT.map(
    lambda text: '"' + text.replace("\\", "").replace('"', "") + '"'
)
configs = st.dictionaries(st.text("ABC_019", min_size=1, max_size=8), values, max_size=8)


def _config(found: dict[str, str]) -> dict[str, kconfig.Assignment]:
    text = "\n".join(kconfig.dot_config_line(name, value) for name, value in found.items())
    return kconfig.merge([kconfig.parse(f"#\n# A comment\n#\n\n{text}\n", "here")])


@stable
@given(configs, st.sampled_from(["\n", "\r\n"]))
def test_a_config_is_read_as_it_is_written(config: dict[str, str], end: str) -> None:
    text = end.join(kconfig.dot_config_line(name, value) for name, value in config.items())
    found = kconfig.parse(text, "here")
    assert {each.name: each.value for each in found} == config


@stable
@given(configs, configs)
def test_what_is_lost_is_all_that_differs(wanted: dict[str, str], got: dict[str, str]) -> None:
    lost = {each.name for each in kconfig.find_lost(_config(wanted), _config(got))}
    assert lost == {name for name, value in wanted.items() if got.get(name, "n") != value}
    assert kconfig.find_lost(_config(wanted), _config({**got, **wanted})) == []


@stable
@given(st.text())
def test_any_text_is_a_config_or_an_error(text: str) -> None:
    try:
        found = kconfig.parse(text, "here")
    except UsageError:
        return
    assert len(found) <= text.count("CONFIG_")
