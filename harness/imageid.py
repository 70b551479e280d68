"""Takes a kernel image, gives a digest of what of it is loaded: equal ones do the same.

Of an ELF file those are the sections that take memory, their addresses and the entry; neither
symbols nor debugging information. The build id is left out, since it is a digest of those as well.
Any other image is taken whole.
"""

import hashlib
from pathlib import Path

_ELF = b"\x7fELF"
_ALLOC = 2


def of(path: Path) -> str:
    """Return the digest of the image at `path`, in hex."""
    with path.open("rb") as stream:
        if stream.read(len(_ELF)) != _ELF:
            stream.seek(0)
            return hashlib.file_digest(stream, "sha256").hexdigest()
        from elftools.elf.elffile import ELFFile  # noqa: PLC0415 - slow to load
        from elftools.elf.sections import NoteSection  # noqa: PLC0415

        elf = ELFFile(stream)
        digest = hashlib.sha256(str(elf["e_entry"]).encode())
        for section in elf.iter_sections():
            if not section["sh_flags"] & _ALLOC:
                continue
            facts = (section.name, section["sh_addr"], section["sh_size"], section["sh_flags"])
            digest.update(repr(facts).encode())
            if isinstance(section, NoteSection):
                notes = (n for n in section.iter_notes() if n["n_type"] != "NT_GNU_BUILD_ID")
                digest.update(
                    repr([(n["n_name"], n["n_type"], n["n_descdata"]) for n in notes]).encode()
                )
            elif section["sh_type"] != "SHT_NOBITS":
                digest.update(section.data())
        return digest.hexdigest()
