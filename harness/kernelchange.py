"""Takes two kernels, gives how what was built differs: sizes, symbols, exports, layouts."""

import re
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness import proc, sandbox
from harness.check_result import Changes, SizeChange, StructChange
from harness.job import Kernel
from harness.store import Store
from harness.toolchain import toolchain_id

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

_EXPORT = "__ksymtab_"
# Which of nm's letters are code, and the names that are made anew by each build.
_CODE = "t"
_MADE_UP = re.compile(
    r"__(?:crc|kstrtab|kstrtabns|pfx|bpf_trace|ksymtab)_|\.L|__UNIQUE_ID|__compound_|__initcall__"
)
_NUMBER = re.compile(r"(?:\.\d+)+$")
# An entry of a symbol table, by the bits of a word, and where in it name, type, section and size
# are; and the types that count: no section, no file.
_ENTRY = {32: "IIIBBH", 64: "IBBHQQ"}
_PLACES = {32: (0, 3, 5, 2), 64: (0, 1, 3, 5)}
_KINDS = {0: "n", 1: "d", 2: _CODE}
_SECTIONS = (".text", ".rodata", ".data", ".bss", ".init.text", ".init.data")
_BLOCK = re.compile(r"^(?:struct|union) (\w+) \{$.*?^\};", re.MULTILINE | re.DOTALL)
_PAHOLE = "pahole"
_RESULT = "changes.json"
_SCHEMA = "2"

_Sizes = dict[str, int]
_Symbol = tuple[str, str, int]


def of(before: Kernel, after: Kernel, store: Store) -> Changes:
    """Return how two kernels of one architecture differ; two are compared once."""

    def make(folder: Path) -> None:
        (folder / _RESULT).write_bytes(msgspec.json.encode(_of(before, after)))

    pahole = proc.find(_PAHOLE)
    inputs = {
        "schema": _SCHEMA,
        "before": before.digest,
        "after": after.digest,
        "pahole": toolchain_id(pahole, store) if pahole else "none",
    }
    entry = store.get_or_make("kernelchange", inputs, make)
    return msgspec.json.decode((entry.path / _RESULT).read_bytes(), type=Changes)


def _of(before: Kernel, after: Kernel) -> Changes:
    old, new = _symbols(before), _symbols(after)
    exports = [
        {n.removeprefix(_EXPORT) for n in side if n.startswith(_EXPORT)} for side in (old, new)
    ]
    names = [{name for name in side if not _MADE_UP.match(name)} for side in (old, new)]
    code = [{n: size for n, (kind, size) in s.items() if kind == _CODE and n in kept}
            for s, kept in zip((old, new), names, strict=True)]  # fmt: skip
    return Changes(
        sections=_sizes(_sections(before), _sections(after)),
        functions=_sizes(code[0], code[1]),
        symbols_added=sorted(names[1] - names[0]),
        symbols_removed=sorted(names[0] - names[1]),
        exports_added=sorted(exports[1] - exports[0]),
        exports_removed=sorted(exports[0] - exports[1]),
        structs=_structs(before, after),
    )


def _sizes(old: Mapping[str, int], new: Mapping[str, int]) -> list[SizeChange]:
    return [
        SizeChange(name=name, before=old.get(name), after=new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def _symbols(kernel: Kernel) -> dict[str, tuple[str, int]]:
    """Return each symbol's kind, as nm has it, and its size; those of one name are one."""
    found: dict[str, tuple[str, int]] = {}
    for name, kind, size in _of_elf(kernel.image) or _of_system_map(kernel):
        # The compiler numbers what it makes of a function, and static variables in it.
        plain = _NUMBER.sub("", name)
        found[plain] = (kind, size + found.get(plain, (kind, 0))[1])
    return found


def _of_elf(image: Path) -> list[_Symbol]:
    """Return (name, kind, size) of an ELF image's symbols; pyelftools takes a second for them."""
    with _elf(image) as elf:
        table = elf.get_section_by_name(".symtab") if elf else None
        if elf is None or table is None:
            return []
        names = elf.get_section(table["sh_link"]).data()
        order = "<" if elf.little_endian else ">"
        rows = struct.iter_unpack(f"{order}{_ENTRY[elf.elfclass]}", table.data())
    found = []
    for row in rows:
        # elf(5): the two classes have the same in another order.
        at, info, section, size = (row[i] for i in _PLACES[elf.elfclass])
        if section and info & 15 in _KINDS:
            name = names[at : names.index(b"\0", at)].decode(errors="replace")
            found.append((name, _KINDS[info & 15], size))
    return found


def _of_system_map(kernel: Kernel) -> list[_Symbol]:
    """Return the same, of any image: a symbol's size is the way to the next one."""
    path = kernel.image.with_name("System.map")
    if not path.is_file():
        return []
    rows = [line.split() for line in path.read_text(errors="replace").splitlines()]
    # Where several share an address, only the last of them has a size.
    return [
        (row[2], row[1].lower(), int(following[0], 16) - int(row[0], 16))
        for row, following in pairwise([r for r in rows if len(r) == 3])  # noqa: PLR2004
    ]


def _sections(kernel: Kernel) -> _Sizes:
    with _elf(kernel.image) as elf:
        sections = list(elf.iter_sections()) if elf else []
        return {s.name: s["sh_size"] for s in sections if s.name in _SECTIONS}


@contextmanager
def _elf(image: Path) -> "Iterator[ELFFile | None]":
    """Yield what reads an ELF image; None for any other."""
    from elftools.common.exceptions import ELFError  # noqa: PLC0415 - slow to load
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415

    with image.open("rb") as stream:
        try:
            elf = ELFFile(stream)
        except ELFError:
            elf = None
        yield elf


# --- layouts --------------------------------------------------------------------------------


def _structs(before: Kernel, after: Kernel) -> list[StructChange]:
    """Return the structs that differ, where both kernels tell of their types and pahole is here."""
    pahole = proc.find(_PAHOLE)
    if pahole is None or not (_tells_types(before.image) and _tells_types(after.image)):
        return []
    old, new = (_layouts(pahole, kernel.image) for kernel in (before, after))
    return [
        StructChange(name=name, before=old.get(name), after=new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def _tells_types(image: Path) -> bool:
    with _elf(image) as elf:
        return elf is not None and any(
            elf.get_section_by_name(name) for name in (".BTF", ".debug_info")
        )


def _layouts(pahole: str, image: Path) -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="harness-") as name:
        done = sandbox.run([pahole, str(image)], read=[image], write=[Path(name)])
    return {match[1]: match[0] for match in _BLOCK.finditer(done.text)}
