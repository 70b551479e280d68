"""The guest's C, on this machine: the parts that need no kernel of their own to be right."""

import errno
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import arch, console, paths

GUEST = paths.shipped("initramfs")
COMMON = GUEST / "common"

STRICT = [
    "-std=gnu11", "-Os", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wstrict-prototypes",
    "-Wmissing-prototypes", "-Wpointer-arith", "-Wwrite-strings",
]  # fmt: skip

# What a test's program has in place of machine.c: it ends, and tells how.
ENDING = """
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "harness.h"
#include "init.h"

void end_machine(void)
{
	_exit(0);
}

void die(const char *what)
{
	fprintf(stderr, "%s: %s\\n", what, strerror(errno));
	_exit(7);
}
"""

Guest = Callable[..., "Boot"]


class Boot:
    """What a test's program wrote to the file in place of /dev/kmsg, and how it ended."""

    def __init__(self, log: Path, done: subprocess.CompletedProcess[bytes]) -> None:
        self.raw = log.read_bytes() if log.is_file() else b""
        self.status = done.returncode
        self.stderr = done.stderr.decode()
        # As the kernel prints it: the level is not shown, the time is.
        shown = self.raw.replace(b"<1>", b"[    0.100000] ").replace(b"\n", b"\r\n")
        self.console = console.parse(shown, "n0nce")
        self.values = {seen.name: seen.value for seen in self.console.observations}

    def kinds(self) -> list[str]:
        return [record.kind for record in self.console.records]

    def faults(self) -> list[str]:
        return [record.text for record in self.console.records if record.kind == "fault"]

    def assert_whole(self) -> None:
        """Check what the verdict relies on: numbers without a gap, and the count."""
        records = self.console.records
        assert [record.seq for record in records] == list(range(1, len(records) + 1))
        assert records[0].text == "proto=1 flow=demo"
        assert records[-1].text == f"count={len(records)}"
        assert not self.console.stray


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The common C, compiled once, with the file `kmsg` where the program runs for /dev/kmsg."""
    folder = tmp_path_factory.mktemp("objects")
    made = []
    for name in ("record", "errno", "child", "file", "mounts"):
        made.append(folder / f"{name}.o")
        source = COMMON / f"{name}.c"
        argv = ["gcc", *STRICT, '-DKMSG_PATH="kmsg"', "-c", "-o", str(made[-1]), str(source)]
        subprocess.run(argv, check=True)
    return made


@pytest.fixture
def guest(tmp_path: Path, objects: list[Path]) -> Guest:
    def run(body: str, *arguments: str, before: str = "", kmsg: Path | None = None) -> Boot:
        log = tmp_path / "kmsg"
        log.unlink(missing_ok=True)
        if kmsg:
            log.symlink_to(kmsg)
        else:
            log.touch()
        source = tmp_path / "main.c"
        source.write_text(
            f"{ENDING}{before}\nint main(int argc, char **argv)\n{{\n(void)argc;\n(void)argv;\n"
            "char *state = getenv(STATE), *flow = NULL;\n(void)flow;\n"
            'if (state) {\nreopen_records("n0nce", strtoul(state, &flow, 10));\n} else {\n'
            f'open_records("n0nce");\nrecord_begin("demo");\n}}\n{body}\nfinish();\n}}\n'
        )
        program = tmp_path / "program"
        argv = ["gcc", *STRICT, f"-I{COMMON}", "-o", str(program), str(source)]
        subprocess.run([*argv, *map(str, objects)], check=True)
        done = subprocess.run(
            [program, *arguments], cwd=tmp_path, capture_output=True, check=False, timeout=30
        )
        return Boot(log, done)

    return run


@pytest.mark.parametrize("target", arch.names())
@pytest.mark.parametrize("name", ["boot", "crash", "nullfs", "kselftest", "userspace"])
def test_the_shipped_c_has_no_warning(name: str, target: str, tmp_path: Path) -> None:
    compiler = f"{arch.load(target).cross_compile}gcc"
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    sources = [*COMMON.glob("*.c"), *(GUEST / name).glob("*.c")]
    done = subprocess.run(
        [compiler, *STRICT, "-O2", "-static", f"-I{COMMON}", "-o", tmp_path / "init", *sources],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("path", sorted(GUEST.rglob("*.[ch]")), ids=lambda path: path.name)
def test_the_shipped_c_reads_as_kernel_c(path: Path) -> None:
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        assert len(line.expandtabs(8)) <= 80, f"{path.name}:{number}"
        assert not re.match(r" +[^ *]", line), f"{path.name}:{number} is indented by spaces"
        assert line == line.rstrip(), f"{path.name}:{number}"


def test_each_record_is_one_line_with_level_nonce_and_number(guest: Guest) -> None:
    boot = guest(
        'step("demo.call");\nobserve_str("demo.s", "x");\n'
        'observe_u64("demo.u", 18446744073709551615u);\n'
        'observe_hex("demo.h", 0x4e554c4c);\nobserve_bool("demo.y", true);\n'
        'observe_bool("demo.n", false);'
    )
    assert boot.raw.decode().splitlines() == [
        "<1>harness: n0nce 1 begin proto=1 flow=demo",
        "<1>harness: n0nce 2 step demo.call",
        "<1>harness: n0nce 3 observe demo.s=x",
        "<1>harness: n0nce 4 observe demo.u=18446744073709551615",
        "<1>harness: n0nce 5 observe demo.h=0x4e554c4c",
        "<1>harness: n0nce 6 observe demo.y=yes",
        "<1>harness: n0nce 7 observe demo.n=no",
        "<1>harness: n0nce 8 end count=8",
    ]
    boot.assert_whole()


def test_each_record_ends_in_a_newline_or_printk_would_hold_the_last_one_back(
    guest: Guest,
) -> None:
    boot = guest('observe_str("demo.s", "x");')
    assert boot.raw.endswith(b"count=3\n")


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "",
        "two words\tand a tab",
        "100 %",
        "%41 is no escape",
        "line\nfeed\r",
        "= and == stay",
        "naïve ✓",
        "".join(map(chr, range(1, 128))),
    ],
)
def test_a_value_comes_back_as_it_went(value: str, guest: Guest) -> None:
    boot = guest('observe_str("demo.v", argv[1]);', value)
    assert boot.values == {"demo.v": value}
    assert re.fullmatch(rb"[\x20-\x7e\n]*", boot.raw)
    boot.assert_whole()


def test_every_byte_is_either_printable_or_escaped(guest: Guest) -> None:
    boot = guest(
        "char all[256];\nfor (int i = 0; i < 255; i++)\n\tall[i] = i + 1;\nall[255] = 0;\n"
        'observe_str("demo.v", all);'
    )
    value = re.search(rb"demo\.v=(\S*)\n", boot.raw)
    assert value
    seen = re.sub(rb"%([0-9A-F]{2})", lambda match: bytes([int(match[1], 16)]), value[1])
    assert seen == bytes(range(1, 256))
    plain = re.sub(rb"%[0-9A-F]{2}", b"", value[1])
    assert plain == bytes(byte for byte in range(0x21, 0x7F) if byte != ord("%"))


def test_a_value_too_long_for_a_record_is_a_fault_that_names_it(guest: Guest) -> None:
    boot = guest('observe_str("demo.long", argv[1]);', "x" * 2000)
    assert boot.values == {}
    assert boot.faults() == ["the value of demo.long is too long for a record: 2000 bytes"]
    boot.assert_whole()


def test_the_longest_record_is_one_the_kernel_takes(guest: Guest) -> None:
    head = len("<1>harness: n0nce 2 observe demo.v=")
    fits = guest('observe_str("demo.v", argv[1]);', "x" * (900 - head))
    assert fits.values == {"demo.v": "x" * (900 - head)}
    assert max(map(len, fits.raw.splitlines())) < 976


def test_one_byte_more_than_the_longest_record_is_a_fault(guest: Guest) -> None:
    head = len("<1>harness: n0nce 2 observe demo.v=")
    assert guest('observe_str("demo.v", argv[1]);', "x" * (901 - head)).faults()


def test_every_errno_has_its_own_name(guest: Guest) -> None:
    numbers = sorted(errno.errorcode)
    calls = "\n".join(
        f'errno = {number};\nobserve_errno("demo.e{number}", -1);' for number in numbers
    )
    boot = guest(calls)
    for number in numbers:
        assert getattr(errno, boot.values[f"demo.e{number}"]) == number
    assert len(set(boot.values.values())) == len(numbers)


@pytest.mark.parametrize(
    ("number", "name"),
    [(512, "ERESTARTSYS"), (524, "ENOTSUPP"), (529, "EIOCBQUEUED"), (9999, "errno-9999")],
)
def test_an_error_that_should_not_leave_the_kernel_is_named_too(
    number: int, name: str, guest: Guest
) -> None:
    boot = guest(f'errno = {number};\nobserve_errno("demo.e", -1);')
    assert boot.values == {"demo.e": name}


def test_a_call_that_works_is_0_whatever_it_returns_and_errno_says(guest: Guest) -> None:
    boot = guest('errno = EINVAL;\nobserve_errno("demo.e", 5);')
    assert boot.values == {"demo.e": "0"}


def test_an_attempt_is_announced_and_leaves_result_and_errno(guest: Guest) -> None:
    boot = guest(
        'long ret = attempt("demo.chdir", chdir("/none"));\n'
        'observe_bool("demo.kept", ret == -1 && errno == ENOENT);'
    )
    assert boot.kinds() == ["begin", "step", "observe", "observe", "end"]
    assert boot.values == {"demo.chdir": "ENOENT", "demo.kept": "yes"}


def test_what_must_work_and_does_not_is_a_fault_with_call_and_errno(guest: Guest) -> None:
    boot = guest('must(chdir("/none"));\nobserve_str("demo.after", "reached");')
    assert boot.faults() == ['chdir("/none"): ENOENT']
    assert boot.values == {}
    assert boot.status == 0
    boot.assert_whole()


def test_a_fault_stays_on_one_line(guest: Guest) -> None:
    boot = guest('fault("one\\ntwo %s", "100%");')
    assert boot.faults() == ["one%0Atwo 100%25"]


def test_a_childs_records_count_as_everybodys(guest: Guest) -> None:
    boot = guest(
        'in_child(body);\nobserve_str("demo.after", "x");',
        before='static void body(void)\n{\n\tobserve_str("demo.in_child", "x");\n}\n',
    )
    assert list(boot.values) == ["demo.in_child", "demo.after"]
    boot.assert_whole()


def test_a_childs_fault_ends_the_boot_and_is_said_once(guest: Guest) -> None:
    boot = guest(
        'in_child(body);\nobserve_str("demo.after", "x");',
        before='static void body(void)\n{\n\tfault("no luck");\n}\n',
    )
    assert boot.faults() == ["no luck"]
    assert boot.values == {}
    boot.assert_whole()


def test_a_child_that_crashes_is_a_fault(guest: Guest) -> None:
    boot = guest("in_child(body);", before="static void body(void)\n{\n\traise(SIGKILL);\n}\n")
    assert boot.faults() == ["a child did not return: signal:9"]
    boot.assert_whole()


@pytest.mark.parametrize(
    ("program", "said"),
    [("/bin/true", "exit:0"), ("/bin/false", "exit:1"), ("/none", "ENOENT"), ("/", "EACCES")],
)
def test_how_a_program_ended_is_told(program: str, said: str, guest: Guest) -> None:
    assert guest('observe_str("demo.ran", run_program(argv[1]));', program).values == {
        "demo.ran": said
    }


def test_a_copied_file_has_the_same_bytes_and_mode(guest: Guest, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(bytes(range(256)) * 200)
    old.chmod(0o700)
    guest("copy_file(argv[1], argv[2]);", str(old), str(new)).assert_whole()
    assert new.read_bytes() == old.read_bytes()
    assert new.stat().st_mode == old.stat().st_mode


def test_another_init_goes_on_with_the_numbers_and_the_flow(guest: Guest) -> None:
    boot = guest(
        'if (!state) {\nobserve_str("demo.first", "x");\n'
        'go_on_in("demo", (const char *const[]) { argv[0], "more", NULL });\n}\n'
        'observe_str("demo.state", state);\nobserve_str("demo.flow", flow);\n'
        'observe_str("demo.argument", argc > 1 ? argv[1] : "none");'
    )
    assert boot.values == {
        "demo.first": "x",
        "demo.state": "2 demo",
        "demo.flow": " demo",
        "demo.argument": "more",
    }
    assert boot.kinds().count("begin") == 1
    boot.assert_whole()


def test_an_init_that_cannot_be_run_leaves_the_first_one_going(guest: Guest) -> None:
    boot = guest(
        'observe_errno("demo.exec", go_on_in("demo", (const char *const[]) { "/none", NULL }));\n'
        'observe_str("demo.after", "x");'
    )
    assert boot.values == {"demo.exec": "ENOENT", "demo.after": "x"}
    boot.assert_whole()


def test_a_file_is_read_whole_from_an_open_folder(guest: Guest, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("two\nlines\n")
    boot = guest(
        'char text[32];\nint here = must(open(".", O_RDONLY));\n'
        'observe_u64("demo.size", read_text(here, "text", text, sizeof(text)));\n'
        'observe_str("demo.text", text);'
    )
    assert boot.values == {"demo.size": "10", "demo.text": "two\nlines\n"}


def test_a_file_longer_than_its_place_is_a_fault(guest: Guest, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("x" * 31)
    boot = guest('char text[32];\nread_text(AT_FDCWD, "text", text, sizeof(text));')
    assert boot.faults() == ["text is longer than 31 bytes"]


def test_records_that_cannot_be_written_are_no_success(guest: Guest) -> None:
    boot = guest("", kmsg=Path("/dev/full"))
    assert boot.status == 7
    assert "write kmsg" in boot.stderr


def test_mounts_are_as_mountinfo_has_them(guest: Guest) -> None:
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    proc = [fields for fields in lines if fields[4] == "/proc"][-1]
    dash = proc.index("-")
    boot = guest(
        "struct mountinfo m;\n"
        'observe_bool("demo.found", find_mount("/proc", &m));\n'
        'observe_u64("demo.id", m.id);\nobserve_u64("demo.parent", m.parent_id);\n'
        'observe_str("demo.type", m.type);\nobserve_str("demo.rest", m.rest);\n'
        'observe_bool("demo.shared", m.is_shared);\n'
        'observe_u64("demo.count", count_mounts());\n'
        'observe_bool("demo.none", find_mount("/no/such/mount", &m));\n'
        'observe_bool("demo.of_type", has_mount_of_type("proc"));\n'
        'observe_bool("demo.of_no_type", has_mount_of_type("nosuchfs"));\n'
        'observe_bool("demo.is_root", is_mount_root("/proc"));\n'
        'observe_bool("demo.is_no_root", is_mount_root("/proc/self"));'
    )
    shared = any(field.startswith("shared:") for field in proc[6:dash])
    assert boot.values == {
        "demo.found": "yes",
        "demo.id": proc[0],
        "demo.parent": proc[1],
        "demo.type": proc[dash + 1],
        "demo.rest": " ".join(proc[3:-1]),
        "demo.shared": "yes" if shared else "no",
        "demo.count": str(len(lines)),
        "demo.none": "no",
        "demo.of_type": "yes",
        "demo.of_no_type": "no",
        "demo.is_root": "yes",
        "demo.is_no_root": "no",
    }


@pytest.mark.parametrize(
    ("consoles", "is_threaded"),
    [
        # 7.2 and 7.3 on x86_64, 7.3 with a screen that a thread does not print on.
        ("ttyS0                -W- (EC  p a)    4:64\n", "0"),
        ("ttyS0                -W- (EC Np a)    4:64\n", "1"),
        ("tty0 -WU (E   p  ) 4:1\nttyS0 -W- (EC Np a) 4:64\n", "1"),
        ("ttyN0                -W- (EC  p a)    4:64\n", "0"),
        ("", "0"),
        (None, "0"),
    ],
)  # fmt: skip
def test_a_console_that_a_thread_prints_on_is_recognised(
    tmp_path: Path, consoles: str | None, is_threaded: str
) -> None:
    if consoles is not None:
        (tmp_path / "consoles").write_text(consoles)
    (tmp_path / "main.c").write_text(
        '#include "machine.c"\nint main(void)\n{\nlook_at_printing();\n'
        "return is_printing_threaded;\n}\n"
    )
    program = tmp_path / "program"
    argv = [
        "gcc",
        *STRICT,
        f"-I{COMMON}",
        '-DCONSOLES_PATH="consoles"',
        "-o",
        str(program),
        "main.c",
    ]
    subprocess.run(argv, check=True, cwd=tmp_path)
    done = subprocess.run([program], cwd=tmp_path, check=False)
    # On a machine with PREEMPT_RT a thread prints whatever the table says.
    assert str(done.returncode) == ("1" if "PREEMPT_RT" in os.uname().version else is_threaded)
