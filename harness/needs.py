"""What a kernel that was not configured here has built in, by its .config, and what follows.

A module is as good as nothing: the guests have none.
"""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness import paths
from harness.arch import Arch
from harness.job import BootPlan, Kernel

# A wish in a kconfig fragment, not a need.
_SOFT = "# soft"
_BUILT_IN = re.compile(r"^(CONFIG_\w+=y)$", re.MULTILINE)


class Lack(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol that a kernel has not built in, and what becomes of a boot without it."""

    symbol: str
    means: str
    is_fatal: bool


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """A way to give a guest a disk: QEMU's -device for the drive `disk`, and where it turns up."""

    name: str
    device: str
    node: str


def missing(config: Path, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return which of the lines `CONFIG_X=y` a .config does not have; `# soft` ones may lack."""
    have = set(_BUILT_IN.findall(config.read_text()))
    return tuple(line for line in wanted if line not in have and not line.endswith(_SOFT))


def lacking(config: Path, arch: Arch) -> tuple[Lack, ...]:
    """Return what of data/lacks.toml a .config has not built in."""
    rows = {
        symbol: row
        for symbol, row in _table("lacks").items()
        if arch.name in row.get("arches", [arch.name])
    }
    return tuple(
        Lack(symbol=symbol, means=rows[symbol]["means"], is_fatal=rows[symbol].get("fatal", False))
        for symbol in (
            line.removesuffix("=y") for line in missing(config, [f"{s}=y" for s in rows])
        )
    )


def disk_for(config: Path | None) -> Disk | None:
    """Return the first disk of data/disks.toml that the kernel has a driver for, None if none.

    Where its .config is not known, that is the first of all.
    """
    for name, row in _table("disks").items():
        if config is None or not missing(config, row["kconfig"]):
            return Disk(name=name, device=row["device"], node=row["node"])
    return None


def kconfig_for(plans: Sequence[BootPlan]) -> tuple[str, ...]:
    """Return what a kernel is configured with so that it can mount the disks of these boots."""
    systems = _table("filesystems")
    kinds = dict.fromkeys(plan.disk for plan in plans if plan.disk)
    if not kinds:
        return ()
    disk = next(iter(_table("disks").values()))
    own = (line for kind in kinds for line in (*systems[kind]["wanted"], *systems[kind]["kconfig"]))
    return (*disk["wanted"], *own)


def lacks_of(kernel: Kernel, plan: BootPlan) -> tuple[str, ...]:
    """Return what a boot needs and a kernel of the user's own has not, where that is known."""
    if kernel.built or kernel.config is None:
        return ()
    system = _table("filesystems")[plan.disk]["kconfig"] if plan.disk else []
    lacks = missing(kernel.config, [*plan.kconfig, *system])
    if plan.disk and disk_for(kernel.config) is None:
        return (*lacks, "a driver for a disk")
    return lacks


def _table(name: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads((paths.PACKAGE_DIR / "data" / f"{name}.toml").read_text())
