"""Where things are on this machine: the cache, the runs, the shipped folders."""

import os
from pathlib import Path

PACKAGE_DIR = Path(__file__).resolve().parent


def cache_dir() -> Path:
    """$XDG_CACHE_HOME/harness: all of it may be deleted at any time."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def state_dir() -> Path:
    """$XDG_STATE_HOME/harness: the runs."""
    return _xdg("XDG_STATE_HOME", ".local/state")


def shipped(kind: str) -> Path:
    """Return the folder `kconfigs`, `initramfs` or `patches` that came with the tool.

    In a checkout it stands beside the package; in an installed wheel, inside it.
    """
    inside = PACKAGE_DIR / kind
    return inside if inside.is_dir() else PACKAGE_DIR.parent / kind


def _xdg(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    # The XDG base directory specification says to ignore a relative path.
    base = Path(value) if value.startswith("/") else Path.home() / fallback
    return base / "harness"
