"""Takes two kernels, gives how what was built differs: sizes, symbols, exports, layouts."""

import re
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import msgspec

from harness import proc, sandbox
from harness.check_result import Changes, SizeChange, StructChange
from harness.job import Kernel
from harness.store import Store
from harness.toolchain import toolchain_id

_EXPORT = "__ksymtab_"
# Which of nm's letters are code, and the names that are made anew by each build.
_CODE = frozenset("tT")
_MADE_UP = re.compile(
    r"__(?:crc|kstrtab|kstrtabns|pfx|bpf_trace|ksymtab)_|\.L|__UNIQUE_ID|__compound_|__initcall__"
)
_SECTIONS = (".text", ".rodata", ".data", ".bss", ".init.text", ".init.data")
_BLOCK = re.compile(r"^(?:struct|union) (\w+) \{$.*?^\};", re.MULTILINE | re.DOTALL)
_PAHOLE = "pahole"
_RESULT = "changes.json"
_SCHEMA = "2"

_Sizes = dict[str, int]


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
    code = [{n: size for n, (kind, size) in s.items() if kind in _CODE and n in kept}
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
    """Return each symbol's kind, as nm has it, and its size: the way to the next one."""
    path = kernel.image.with_name("System.map")
    if not path.is_file():
        return {}
    rows = [line.split() for line in path.read_text(errors="replace").splitlines()]
    # Where several share an address, only the last of them has a size.
    return {
        row[2]: (row[1], int(following[0], 16) - int(row[0], 16))
        for row, following in pairwise([r for r in rows if len(r) == 3])  # noqa: PLR2004
    }


def _sections(kernel: Kernel) -> _Sizes:
    from elftools.common.exceptions import ELFError  # noqa: PLC0415 - slow to load
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415

    try:
        with kernel.image.open("rb") as stream:
            sections = list(ELFFile(stream).iter_sections())
            return {s.name: s["sh_size"] for s in sections if s.name in _SECTIONS}
    except ELFError:
        return {}


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
    from elftools.common.exceptions import ELFError  # noqa: PLC0415
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415

    try:
        with image.open("rb") as stream:
            elf = ELFFile(stream)
            return any(elf.get_section_by_name(name) for name in (".BTF", ".debug_info"))
    except ELFError:
        return False


def _layouts(pahole: str, image: Path) -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="harness-") as name:
        done = sandbox.run([pahole, str(image)], read=[image], write=[Path(name)])
    return {match[1]: match[0] for match in _BLOCK.finditer(done.text)}
