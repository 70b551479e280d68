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
    virtme: str
    qemu: str
    linux: str
    srcarch: str
    triplet: str
    image: str
    packed_image: str
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
    memory_mib: int

    @property
    def is_native(self) -> bool:
        """Whether this machine could run its code directly."""
        return self.name == platform.machine()

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

    def image_for(self, target: str) -> str:
        """Return where a build leaves `target` (vmlinux, bzImage), below its O= folder."""
        return target if target == "vmlinux" else str(Path(self.packed_image).with_name(target))


def load(name: str) -> Arch:
    """Return the architecture called `name`.

    Raises:
        UsageError: arches.toml has no such row; the hint lists those there are.
    """
    rows = _rows()
    if name not in rows:
        raise UsageError(f"unknown architecture {name!r}", hint=f"known are {', '.join(rows)}")
    return Arch(name=name, **rows[name])


def names() -> tuple[str, ...]:
    """Return the architectures there are, in the table's order."""
    return tuple(_rows())


def _rows() -> dict[str, dict[str, Any]]:
    import tomllib  # noqa: PLC0415 - `harness --help` need not pay for it

    return tomllib.loads((paths.PACKAGE_DIR / "data" / "arches.toml").read_text())
