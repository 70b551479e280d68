"""What a `harness.toml` may say; all of it optional."""

from pathlib import Path

import msgspec

from harness import strict_toml
from harness.limits import DEFAULT, Limits


class SettingsFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of harness.toml. Folders and files are relative to it; memory is in MiB."""

    series: str | None = None
    base: str | None = None
    profile: str | None = None
    flavors: list[str] = []
    toolchain: str | None = None
    scenario: str | None = None
    cmdline: str = ""
    memory: int | None = None
    compress: str | None = None
    timeout: float | None = None
    patches: str | None = None
    kconfigs: str | None = None
    initramfs: str | None = None
    allow: str | None = None
    limits: Limits = DEFAULT


def read(path: Path) -> SettingsFile:
    """Read a harness.toml.

    Raises:
        UsageError: it is not valid.
    """
    return strict_toml.load(path, SettingsFile)
