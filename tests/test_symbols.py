"""Calls of a report, decoded from a program that gcc made with inlined functions."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from harness import console, symbols, verdict
from harness.job import Place

SOURCE = """\
volatile int sink;
static inline __attribute__((always_inline)) int inner(int *p)
{
	return *p + 1;
}
static inline __attribute__((always_inline)) int middle(int *p)
{
	sink++;
	return inner(p) * 2;
}
__attribute__((noinline)) int outer(int *p)
{
	sink = 3;
	return middle(p) + 7;
}
__attribute__((noinline)) int caller(int *p)
{
	int got = outer(p);
	sink = got;
	return got + 1;
}
int main(int argc, char **argv) { return caller(&argc); }
"""
LOADS_P = "inner init/main.c:4 < middle init/main.c:9 < outer init/main.c:14"
CALLS_OUTER = "caller init/main.c:18"

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Return what compiles the program with given flags, as a kernel is: from its absolute path."""
    folder = tmp_path_factory.mktemp("elf")
    source = folder / "init" / "main.c"
    source.parent.mkdir()
    source.write_text(SOURCE)

    def compile_with(*flags: str) -> Path:
        made = folder / f"prog{''.join(flags)}"
        subprocess.run(["gcc", "-O2", *flags, "-o", made, source], check=True)
        return made

    return compile_with


def _symbol(program: Path, name: str) -> tuple[int, int, bytes]:
    """Return (address, size, code) of a function."""
    with program.open("rb") as stream:
        elf: Any = ELFFile(stream)
        found = elf.get_section_by_name(".symtab").get_symbol_by_name(name)[0]
        address, size = found["st_value"], found["st_size"]
        text = elf.get_section_by_name(".text")
        start = address - text["sh_addr"]
        return address, size, text.data()[start : start + size]


def _log(program: Path) -> str:
    """Return a report whose counter is where `p` is read and whose trace returns to caller."""
    _, outer_size, code = _symbol(program, "outer")
    loads = code.rindex(b"\x8b\x07")  # mov (%rdi),%eax
    _, caller_size, _ = _symbol(program, "caller")
    # The call is the first instruction: five bytes, and where it returns to is another line.
    return f"""\
Oops: general protection fault, probably for non-canonical address 0x1: 0000 [#1] SMP
RIP: 0010:outer+{loads:#x}/{outer_size:#x}
Call Trace:
 <TASK>
 ? main+0x1/0x10
 caller+0x5/{caller_size:#x}
 </TASK>
---[ end trace 0000000000000000 ]---
"""


def _text(places: tuple[Place, ...]) -> list[str]:
    return [" < ".join(f"{at.function} {at.file}:{at.line}" for at in p.at) for p in places]


def _located(program: Path, log: str) -> list[str]:
    (splat,) = symbols.locate(console.parse(log.encode()), program).splats
    return _text(splat.places)


@pytest.mark.parametrize("flags", [["-g", "-gdwarf-5"], ["-g", "-gdwarf-4"], ["-g", "-no-pie"]])
def test_calls_are_given_their_lines_with_what_was_inlined(make: Make, flags: list[str]) -> None:
    program = make(*flags)
    assert _located(program, _log(program)) == [LOADS_P, CALLS_OUTER]


def test_a_function_of_sections_apart_is_found(make: Make) -> None:
    program = make("-g", "-ffunction-sections")
    assert _located(program, _log(program)) == [LOADS_P, CALLS_OUTER]


def test_a_call_is_named_as_the_report_has_it(make: Make) -> None:
    program = make("-g")
    (splat,) = symbols.locate(console.parse(_log(program).encode()), program).splats
    assert splat.places[1].call.startswith("caller+0x5/0x")


def test_the_evidence_of_a_verdict_shows_them(make: Make) -> None:
    program = make("-g")
    read = symbols.locate(console.parse(_log(program).encode()), program)
    evidence = "\n".join(verdict.judge_log(read).evidence)
    assert ": inner init/main.c:4 in middle init/main.c:9 in outer init/main.c:14" in evidence


def test_without_dwarf_nothing_is_claimed(make: Make) -> None:
    program = make("-g0")
    assert _located(program, _log(program)) == []


def test_what_is_no_elf_file_tells_nothing(make: Make, tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(b"MZ no ELF")
    assert _located(image, _log(make("-g"))) == []


@pytest.mark.parametrize(
    "call",
    [
        "gone+0x5/0xf",
        "caller+0x5/0x300",
        "caller+0x5/0x8",
        "caller+0x5/0xf [a_module]",
    ],
    ids=["no such symbol", "of another size", "of a smaller one", "in a module"],
)
def test_a_call_that_is_not_of_this_kernel_is_left_out(make: Make, call: str) -> None:
    program = make("-g")
    _, size, _ = _symbol(program, "caller")
    log = _log(program).replace(f"caller+0x5/{size:#x}", call)
    assert _located(program, log) == [LOADS_P]


def test_a_console_without_a_report_is_not_touched(tmp_path: Path) -> None:
    clean = console.parse(b"all is well\n")
    assert symbols.locate(clean, tmp_path / "no such file") is clean
