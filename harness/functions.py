"""Takes a kernel, gives the names of its functions by address.

From the System.map of a build of ours, else from the symbols of an ELF image. A line of source is
more than this knows.
"""

import bisect
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness import params
from harness.job import Kernel

_ELF64_LE = b"\x7fELF\x02\x01"
_SHT_SYMTAB = 2
_STT_FUNC = 2
# What the linker, the compiler and kallsyms add between functions.
_NO_NAME = re.compile(r"(?:__pfx_|__cfi_|\.L|\$)")
# A suffix the compiler gives to a part or a variant of a function.
_SUFFIX = re.compile(r"\.(?:isra|constprop|part|cold|llvm)\b.*")


class Functions:
    """Names of functions; `text` and `init` are where they are: [start, end) each."""

    def __init__(self, symbols: Iterable[tuple[int, str]], others: dict[str, int]) -> None:
        pairs = sorted(symbols)
        self._addresses = [address for address, _ in pairs]
        self._names = [name for _, name in pairs]
        ends = (self._addresses[0], self._addresses[-1] + 1) if pairs else (0, 0)
        self._text = (others.get("_stext", ends[0]), others.get("_etext", ends[1]))
        self._init = (others.get("_sinittext", 0), others.get("_einittext", 0))

    def at(self, address: int) -> str:
        """Return the function that an address is in, without the compiler's suffix, or ""."""
        if not (_is_in(address, self._text) or self.is_init(address)):
            return ""
        index = bisect.bisect_right(self._addresses, address) - 1
        return _SUFFIX.sub("", self._names[index]) if index >= 0 else ""

    def is_start(self, address: int) -> bool:
        """Whether a function begins there."""
        index = bisect.bisect_left(self._addresses, address)
        return self._addresses[index : index + 1] == [address]

    def is_init(self, address: int) -> bool:
        """Whether the code there is `__init`: used while the kernel starts, then freed."""
        return _is_in(address, self._init)


def load(kernel: Kernel, cmdline: str = "") -> Functions | None:
    """Return the functions of a kernel booted with `cmdline`, or None where nothing tells them.

    Nothing does if the kernel has moved itself to a random address (KASLR).
    """
    if _is_moved(kernel, cmdline):
        return None
    system_map = kernel.image.parent / "System.map"
    try:
        if kernel.built and system_map.is_file():
            rows = list(_of_system_map(system_map.read_text(errors="replace")))
        else:
            rows = list(_of_elf(kernel.image))
    except (OSError, ValueError, struct.error, IndexError):
        # A broken table is one that tells nothing.
        return None
    functions = [(address, name) for address, name, is_code in rows if is_code]
    others = {name: address for address, name, _ in rows if name.startswith("_")}
    return Functions(functions, others) if functions else None


def _is_moved(kernel: Kernel, cmdline: str) -> bool:
    # x86's decompressor does it, and an ELF image has none; arm64's kernel does it itself.
    if kernel.config is None or "nokaslr" in params.parameters(cmdline) or _is_elf(kernel.image):
        return False
    return "CONFIG_RANDOMIZE_BASE=y" in kernel.config.read_text(errors="replace").splitlines()


def _is_elf(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_ELF64_LE)) == _ELF64_LE


def _of_system_map(text: str) -> Iterator[tuple[int, str, bool]]:
    for line in text.splitlines():
        address, kind, name = line.split(" ", 2)
        yield int(address, 16), name, kind in "tTwW" and not _NO_NAME.match(name)


def _of_elf(path: Path) -> Iterator[tuple[int, str, bool]]:
    data = path.read_bytes()
    if not data.startswith(_ELF64_LE):
        return
    (start,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    # Of each: name, type, flags, address, offset, size, link.
    sections = [struct.unpack_from("<IIQQQQI", data, start + n * size) for n in range(count)]
    for _, kind, _, _, offset, length, link in sections:
        if kind != _SHT_SYMTAB:
            continue
        names = data[sections[link][4] : sections[link][4] + sections[link][5]]
        for name_at, info, _, section, value, _ in struct.iter_unpack(
            "<IBBHQQ", data[offset : offset + length]
        ):
            name = names[name_at : names.index(b"\0", name_at)].decode(errors="replace")
            if name and section:
                yield value, name, info & 15 == _STT_FUNC and not _NO_NAME.match(name)


def _is_in(address: int, span: tuple[int, int]) -> bool:
    return span[0] <= address < span[1]
