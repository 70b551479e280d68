"""What a `harness.toml` may say; all of it optional."""

from pathlib import Path
from typing import Literal

import msgspec

from harness import strict_toml
from harness.limits import DEFAULT, Limits

Severity = Literal["error", "warning", "off"]


class ChecksFile(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What a new warning of each check means; where nothing is said, as in `checks_table`."""

    compiler: Severity | None = None
    objtool: Severity | None = None
    modpost: Severity | None = None
    w1: Severity | None = msgspec.field(default=None, name="W=1")
    sparse: Severity | None = None
    clang: Severity | None = None
    kernel_doc: Severity | None = msgspec.field(default=None, name="kernel-doc")
    rst: Severity | None = None
    uapi: Severity | None = None
    checkpatch: Severity | None = None
    tags: Severity | None = None


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
    checks: ChecksFile = ChecksFile()


def read(path: Path) -> SettingsFile:
    """Read a harness.toml.

    Raises:
        UsageError: it is not valid.
    """
    return strict_toml.load(path, SettingsFile)
