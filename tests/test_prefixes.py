"""Logs as others keep them: what stands before a line goes, whoever put it there."""

import pytest

from harness import console, prefixes

LINES = (
    "BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "Oops: Oops: 0000 [#1] SMP NOPTI",
    "RIP: 0010:at_fault+0x12/0x34",
    "Call Trace:",
    " <TASK>",
    " caller+0x1/0x2",
    " </TASK>",
    "---[ end trace 0000000000000000 ]---",
)
STAMP = "[   12.345678] "
# What each line is shown behind; with how many stamps it still is the kernel's is not our matter.
KEPT = {
    "syslog": "Nov  5 07:00:02 host kernel: ",
    "syslog, stamped": f"Nov 25 07:00:02 host kernel: {STAMP}",
    "syslog, new clock": "2026-11-25T07:00:02.123456+00:00 host kernel: ",
    "journalctl --output short-iso": "2026-11-25T07:00:02+0000 host kernel: ",
    "logread": "Wed Nov 25 07:00:02 2026 kern.warn kernel: ",
    "wall": " kernel:",
    "dmesg --ctime": "[Wed Nov 25 07:00:02 2026] ",
    "dmesg --time-format iso": "2026-11-25T07:00:02,123456+00:00 ",
    "dmesg --time-format delta": "[  +0.000002] ",
    "dmesg --decode": f"kern  :warn  : {STAMP}",
    "dmesg --decode --notime": "kern  :warn  : ",
    "a level": "<4>",
    "pstore": f"<4>{STAMP}",
    "/dev/kmsg": "4,1234,12345678,-;",
    "GitHub": "2026-11-25T07:00:02.1234567Z ",
    "Jenkins": "[2026-11-25T07:00:02.123Z] ",
    "GitHub of a stamped log": f"2026-11-25T07:00:02.1234567Z {STAMP}",
    "dmesg in colour": "\x1b[32m[Wed Nov 25 07:00:02 2026] \x1b[0m",
    "mail": "> ",
    "mail, twice": "> > ",
    "Android": "[   12.345678] c2   1234 ",
    "MediaTek": "[   12.345678] (2)[1234:swapper/0]",
    "Amlogic": "[   12.345678@2] c2   1234 ",
    "Samsung": "[   12.345678]  [2:      swapper/0:    1] ",
    "nothing": "",
    "stamp": STAMP,
    "caller": "[   12.345678][    T1] ",
}


def _strip(text: str) -> str:
    return b"".join(prefixes.strip([text.encode()])).decode()


@pytest.mark.parametrize("before", KEPT.values(), ids=KEPT)
def test_report_is_read_behind_what_a_keeper_puts_before_it(before: str) -> None:
    log = "".join(f"{before}{line}\n" for line in LINES)
    found = console.parse(_strip(log).encode())
    assert [(s.kind, s.title, len(s.lines), s.frames) for s in found.splats] == [
        ("null-deref", "oops: NULL pointer dereference in at_fault", len(LINES), ("caller",))
    ]


@pytest.mark.parametrize(
    "line",
    [
        "Nov 25 07:00:02 host systemd[1]: BUG: kernel NULL pointer dereference, address: 0",
        "2026-11-25T07:00:02+0000 host sshd[12]: BUG: kernel NULL pointer dereference",
        "Nov 25 07:00:02 host cron: kernel BUG at fs/namei.c:12!",
    ],
)
def test_what_another_program_said_stays_its_own(line: str) -> None:
    log = f"Nov 25 07:00:02 host kernel: all is well\n{line}\n"
    assert _strip(log).splitlines()[1] == line
    assert console.parse(_strip(log).encode()).splats == ()


@pytest.mark.parametrize("line", LINES)
def test_no_report_is_taken_for_a_keepers_words(line: str) -> None:
    assert _strip(f"<4>x\n{line}\n") == f"x\n{line}\n"


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_portions_of_any_size_give_the_same(size: int) -> None:
    log = "".join(f"Nov 25 07:00:02 host kernel: {line}\n" for line in LINES).encode()
    portions = [log[at : at + size] for at in range(0, len(log), size)]
    assert b"".join(prefixes.strip(portions)) == b"".join(f"{line}\n".encode() for line in LINES)


def test_number_of_lines_stays() -> None:
    log = "<4>one\n\n> \n<4>\nlast"
    assert _strip(log).count("\n") == log.count("\n")


def test_a_line_without_an_end_is_let_through() -> None:
    data = b"<4>" + b"x" * (1 << 20)
    portions = [data[at : at + 4096] for at in range(0, len(data), 4096)]
    assert sum(map(len, prefixes.strip(portions))) >= len(data) - 3
