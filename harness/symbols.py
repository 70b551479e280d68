"""Takes the reports on a console and their vmlinux, gives the source lines of their calls.

Says nothing where vmlinux has no DWARF, or where a call does not fit a symbol of it.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from harness import frames
from harness.job import Console, Place, SourceLine, Splat

if TYPE_CHECKING:
    from elftools.dwarf.compileunit import CompileUnit
    from elftools.dwarf.die import DIE
    from elftools.elf.elffile import ELFFile

# The calls nearest to the fault; the rest of a trace is how the kernel came there.
_MAX_CALLS = 12
_CALL = re.compile(
    r"(?P<text>(?P<func>[A-Za-z_.$][\w.$]*)\+0x(?P<offset>[0-9a-f]+)/0x(?P<size>[0-9a-f]+))"
    r"(?! \[)"
)
# To the next symbol the kernel counts what pads a function too.
_MAX_PADDING = 64
_ELF_MAGIC = b"\x7fELF"
# Where the source's root is, seen from a file that each kernel is built of.
_EVERY_KERNELS = b"init/main.c\0"


class _Call(NamedTuple):
    text: str
    func: str
    offset: int
    size: int
    is_return: bool


def locate(console: Console, vmlinux: Path) -> Console:
    """Return `console` with the places of its reports' calls, as far as `vmlinux` tells them."""
    if not console.splats or not _is_elf(vmlinux):
        return console
    # Only a report pays for this.
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415

    with vmlinux.open("rb") as stream:
        elf = ELFFile(stream)
        if not elf.get_section_by_name(".debug_info"):
            return console
        image = _Image(elf)
        return msgspec.structs.replace(
            console,
            splats=tuple(
                msgspec.structs.replace(splat, places=tuple(image.places(_calls(splat))))
                for splat in console.splats
            ),
        )


def _is_elf(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_ELF_MAGIC)) == _ELF_MAGIC


def _calls(splat: Splat) -> list[_Call]:
    """Return the calls of a report that lead to its fault: the program counter, then the trace."""
    found: dict[str, _Call] = {}
    for text in splat.lines:
        shown = frames.call(text)
        counter = frames.counter(text)
        match = _CALL.search(text)
        if match and (counter or (shown and not shown.is_guess)):
            call = _Call(
                text=match["text"],
                func=match["func"],
                offset=int(match["offset"], 16),
                size=int(match["size"], 16),
                is_return=not counter,
            )
            found.setdefault(call.text, call)
    return list(found.values())[:_MAX_CALLS]


class _Image:
    """An ELF file with DWARF."""

    def __init__(self, elf: "ELFFile") -> None:
        self._elf: Any = elf
        self._dwarf: Any = elf.get_dwarf_info()
        self._units: dict[int, _Unit] = {}

    def places(self, calls: Iterable[_Call]) -> Iterator[Place]:
        """Yield where each call is, of those that are found."""
        for call in calls:
            address = self._address(call)
            unit = self._unit(address) if address is not None else None
            if unit and address is not None:
                at = tuple(unit.lines_at(address))
                if at:
                    yield Place(call=call.text, at=at)

    def _address(self, call: _Call) -> int | None:
        """Return the instruction's address; None if not exactly one symbol fits."""
        fits = [
            value
            for value, size in self._symbols(call.func)
            if call.offset <= call.size and (not size or 0 <= call.size - size <= _MAX_PADDING)
        ]
        if len(fits) != 1:
            return None
        # A return address is that of the next instruction, which may be another line's.
        return fits[0] + call.offset - call.is_return

    def _symbols(self, name: str) -> Iterator[tuple[int, int]]:
        """Yield (address, size) of the symbols of a name."""
        texts, table, entry = self._symbol_table
        wanted = name.encode() + b"\0"
        offsets = set()
        at = texts.find(wanted)
        while at >= 0:
            offsets.add(at)
            at = texts.find(wanted, at + 1)
        for fields in entry.iter_unpack(table):
            if fields[0] in offsets:
                # 64-bit: name, info, other, section, value, size; 32-bit: name, value, size, …
                yield (fields[4], fields[5]) if self._elf.elfclass == 64 else fields[1:3]  # noqa: PLR2004

    @cached_property
    def _symbol_table(self) -> tuple[bytes, bytes, struct.Struct]:
        section = self._elf.get_section_by_name(".symtab")
        if section is None:
            return b"", b"", struct.Struct("<I")
        order = "<" if self._elf.little_endian else ">"
        form = "IBBHQQ" if self._elf.elfclass == 64 else "IIIBBH"  # noqa: PLR2004
        texts = self._elf.get_section(section["sh_link"])
        return texts.data(), section.data(), struct.Struct(order + form)

    def _unit(self, address: int) -> "_Unit | None":
        aranges = self._aranges
        offset = aranges.cu_offset_at_addr(address) if aranges else None
        if offset is None:
            return None
        if offset not in self._units:
            self._units[offset] = _Unit(self._dwarf, self._dwarf.get_CU_at(offset), self._root)
        return self._units[offset]

    @cached_property
    def _aranges(self) -> Any:
        return self._dwarf.get_aranges()

    @cached_property
    def _root(self) -> str:
        """Where the source was when it was built, with a slash; "" if the names do not tell."""
        for name in (".debug_line_str", ".debug_str"):
            section = self._elf.get_section_by_name(name)
            data = section.data() if section else b""
            at = data.find(b"/" + _EVERY_KERNELS)
            if at >= 0:
                start = data.rfind(b"\0", 0, at) + 1
                return data[start : at + 1].decode(errors="replace")
        return ""


class _Unit:
    """A compile unit: its line table and what was inlined where."""

    def __init__(self, dwarf: Any, unit: "CompileUnit", root: str) -> None:
        self._dwarf = dwarf
        self._unit: Any = unit
        self._root = root

    def lines_at(self, address: int) -> Iterator[SourceLine]:
        """Yield the lines of an address: the innermost, then where each was inlined."""
        program = self._program
        if program is None:
            return
        file, line = self._row(program, address)
        for die in reversed(self._functions(address)):
            yield SourceLine(function=_name(die), file=self._file(file), line=line)
            attributes = die.attributes
            if "DW_AT_call_line" in attributes:
                line = attributes["DW_AT_call_line"].value
                file = attributes["DW_AT_call_file"].value

    @cached_property
    def _program(self) -> Any:
        return self._dwarf.line_program_for_CU(self._unit)

    def _row(self, program: Any, address: int) -> tuple[int, int]:
        """Return (file number, line) of an address, (0, 0) if the table does not cover it."""
        before = None
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if before and before.address <= address < state.address:
                return before.file, before.line
            before = None if state.end_sequence else state
        return 0, 0

    def _file(self, number: int) -> str:
        """Return the path of a file of the line table, from the source's root on."""
        header = self._program.header
        is_new = header["version"] >= 5  # noqa: PLR2004
        index = number if is_new else number - 1
        entries = header["file_entry"]
        if not 0 <= index < len(entries):
            return "?"
        entry = entries[index]
        folders = header["include_directory"]
        at = entry["dir_index"] - (not is_new)
        folder = folders[at].decode(errors="replace") if 0 <= at < len(folders) else ""
        path = str(PurePosixPath(folder) / entry["name"].decode(errors="replace"))
        return path.removeprefix(self._root)

    def _functions(self, address: int) -> list["DIE"]:
        """Return the function at `address`, then what was inlined there, from outside inwards."""
        found: list[Any] = []
        children = self._unit.get_top_DIE().iter_children()
        while (die := next((d for d in children if self._covers(d, address)), None)) is not None:
            if die.tag in ("DW_TAG_subprogram", "DW_TAG_inlined_subroutine"):
                found.append(die)
            children = die.iter_children()
        return found

    def _covers(self, die: Any, address: int) -> bool:
        attributes = die.attributes
        if "DW_AT_ranges" in attributes:
            ranges = self._dwarf.range_lists().get_range_list_at_offset(
                attributes["DW_AT_ranges"].value, cu=self._unit
            )
            return any(begin <= address < end for begin, end in self._absolute(ranges))
        if "DW_AT_low_pc" in attributes and "DW_AT_high_pc" in attributes:
            low, high = attributes["DW_AT_low_pc"].value, attributes["DW_AT_high_pc"]
            end = high.value if high.form == "DW_FORM_addr" else low + high.value
            return bool(low <= address < end)
        return False

    def _absolute(self, ranges: Iterable[Any]) -> Iterator[tuple[int, int]]:
        """Yield (begin, end) of a range list, whose entries may count from a base."""
        top = self._unit.get_top_DIE().attributes
        base = top["DW_AT_low_pc"].value if "DW_AT_low_pc" in top else 0
        for entry in ranges:
            if hasattr(entry, "base_address"):
                base = entry.base_address
            elif getattr(entry, "is_absolute", False):
                yield entry.begin_offset, entry.end_offset
            else:
                yield base + entry.begin_offset, base + entry.end_offset


def _name(die: Any) -> str:
    """Return a function's name, which an inlined or split one has from its origin."""
    for _ in range(4):
        if "DW_AT_name" in die.attributes:
            return str(die.attributes["DW_AT_name"].value.decode(errors="replace"))
        origin = next(
            (o for o in ("DW_AT_abstract_origin", "DW_AT_specification") if o in die.attributes),
            None,
        )
        if origin is None:
            break
        die = die.get_DIE_from_attribute(origin)
    return "?"
