"""The defaults: built in, or from the nearest `harness.toml` upwards from where the user stands."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from harness import paths
from harness.errors import UsageError
from harness.limits import DEFAULT, Limits

FILE_NAME = "harness.toml"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a job takes where the command line says nothing.

    `patches`, `kconfigs` and `initramfs` are the folders searched, the user's own first.
    """

    series: str = "nullfs"
    base: str | None = None
    profile: str = "tiny"
    flavors: tuple[str, ...] = ()
    toolchain: str = "gcc"
    scenario: str = "nullfs"
    cmdline: str = ""
    memory_mib: int = 256
    compress: str = "none"
    timeout_s: float | None = None
    patches: tuple[Path, ...] = ()
    kconfigs: tuple[Path, ...] = ()
    initramfs: tuple[Path, ...] = ()
    allow: tuple[Path, ...] = ()
    """The user's own file of known splats, if any."""
    limits: Limits = DEFAULT
    checks: Mapping[str, str] = {}
    """What a new warning of a check of the sources means: error, warning, or off."""
    file: Path | None = None
    """The harness.toml that was read, if any."""


def find(start: Path) -> Path | None:
    """Return the nearest harness.toml in `start` or above it."""
    for folder in (start, *start.parents):
        path = folder / FILE_NAME
        if path.is_file():
            return path
    return None


def load(start: Path) -> Settings:
    """Return the settings that hold in the folder `start`.

    Raises:
        UsageError: the harness.toml is not valid, or names a folder that is not there.
    """
    own = {kind: (paths.shipped(kind),) for kind in ("patches", "kconfigs", "initramfs")}
    path = find(start)
    if path is None:
        return Settings(
            patches=own["patches"], kconfigs=own["kconfigs"], initramfs=own["initramfs"]
        )
    from harness import settings_file  # noqa: PLC0415 - msgspec's TOML side, only where needed

    file = settings_file.read(path)
    folders = {
        kind: (*_folder(path, kind, getattr(file, kind)), *shipped) for kind, shipped in own.items()
    }
    defaults = Settings()
    return Settings(
        series=file.series or defaults.series,
        base=file.base,
        profile=file.profile or defaults.profile,
        flavors=tuple(file.flavors),
        toolchain=file.toolchain or defaults.toolchain,
        scenario=file.scenario or defaults.scenario,
        cmdline=file.cmdline,
        memory_mib=file.memory or defaults.memory_mib,
        compress=file.compress or defaults.compress,
        timeout_s=file.timeout,
        patches=folders["patches"],
        kconfigs=folders["kconfigs"],
        initramfs=folders["initramfs"],
        allow=_allow(path, file.allow),
        limits=file.limits,
        checks=msgspec.to_builtins(file.checks),
        file=path,
    )


def _folder(file: Path, kind: str, name: str | None) -> tuple[Path, ...]:
    """Return the user's own folder of a kind: the one named, else one of that name beside it."""
    folder = file.parent / (name or kind)
    if folder.is_dir():
        return (folder,)
    if name:
        raise UsageError(f"{file}: {kind} = {name!r}: no such folder")
    return ()


def _allow(file: Path, name: str | None) -> tuple[Path, ...]:
    """Return the user's own allow.toml: the one named, else the one beside harness.toml."""
    path = file.parent / (name or "allow.toml")
    if path.is_file():
        return (path,)
    if name:
        raise UsageError(f"{file}: allow = {name!r}: no such file")
    return ()
