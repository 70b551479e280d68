"""What the tool knows of an architecture: a row of data/arches.toml as an `Arch`.

Takes a name, gives the row. Which accelerator runs it is `accel`'s to say.
"""

import platform
from pathlib import Path
from typing import Any

import msgspec

from harness import paths
from harness.errors import UsageError


class Arch(msgspec.Struct, frozen=True, kw_only=True):
    """An architecture of the kernel under test; arches.toml explains each field."""

    name: str
    uname: str
    virtme: str
    qemu: str
    linux: str
    srcarch: str
    debian: str
    triplet: str
    image: str
    packed_image: str
    elf_entry: str
    machine_tcg: str
    machine_kvm: str
    cpu_tcg: str
    cpu_kvm: str
    bios: str
    console: str
    exit_device: str
    exit_status: int
    kernel_args: str
    cmdline_max: int

    @property
    def is_native(self) -> bool:
        """Whether this machine could run its code directly."""
        return self.uname == platform.machine()

    @property
    def cross_compile(self) -> str:
        """The prefix of the compiler's name: empty where the host's own compiler will do."""
        return "" if self.is_native else f"{self.triplet}-"

    @property
    def make_variables(self) -> tuple[str, ...]:
        """What the kernel's make must be told."""
        cross = (f"CROSS_COMPILE={self.cross_compile}",) if self.cross_compile else ()
        return (f"ARCH={self.linux}", *cross)

    @property
    def probe_path(self) -> Path:
        """Where the source of the guest that proves KVM is, if this architecture has one."""
        return paths.PACKAGE_DIR / "data" / "probe" / f"{self.name}.S"

    @property
    def target(self) -> str:
        """What make is asked for, for a kernel to boot."""
        return Path(self.image).name

    @property
    def targets(self) -> tuple[str, ...]:
        """All that make can be asked for."""
        return tuple(self._images)

    def image_for(self, target: str) -> str:
        """Return where a build leaves `target` (vmlinux, bzImage), below its O= folder.

        Raises:
            UsageError: it is none of `targets`.
        """
        if target not in self._images:
            raise UsageError(
                f"there is no {target} for {self.name}",
                hint=f"there are {', '.join(self._images)}",
            )
        return self._images[target]

    @property
    def _images(self) -> dict[str, str]:
        return {Path(path).name: path for path in ("vmlinux", self.image, self.packed_image)}


def load(name: str) -> Arch:
    """Return the architecture called `name`.

    Raises:
        UsageError: arches.toml has no such row; the hint lists those there are.
    """
    rows = _rows()
    if name not in rows:
        raise UsageError(f"unknown architecture {name!r}", hint=f"known are {', '.join(rows)}")
    return Arch(name=name, **rows[name])


def of_this_machine() -> Arch:
    """Return this machine's own architecture, or the table's first where it has none."""
    rows = [load(name) for name in names()]
    return next((row for row in rows if row.is_native), rows[0])


def names() -> tuple[str, ...]:
    """Return the architectures there are, in the table's order."""
    return tuple(_rows())


def _rows() -> dict[str, dict[str, Any]]:
    import tomllib  # noqa: PLC0415 - `harness --help` need not pay for it

    return tomllib.loads((paths.PACKAGE_DIR / "data" / "arches.toml").read_text())
