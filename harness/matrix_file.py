"""What a `matrix.toml` may say: jobs as a product of axes, less what is excluded."""

from pathlib import Path

import msgspec

from harness import strict_toml

FILE_NAME = "matrix.toml"


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bundle of job keys under one name: a value of the axis `shape`.

    `cmdline`, `flavor` and `kconfig` are added to what the rest of the matrix says; the others
    are in place of what it says of all jobs, and none of them can be an axis besides.
    """

    profile: str | None = None
    flavor: str | None = None
    flow: str | None = None
    kconfig: list[str] = []
    cmdline: str | None = None
    compress: str | None = None
    memory: int | None = None
    timeout: float | None = None


class MatrixFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of matrix.toml. Those before `axes` hold for every job; memory is in MiB."""

    title: str = ""
    cmdline: str | None = None
    flavor: str | None = None
    """Flavors, with `+` between them; `none` for none."""
    profile: str | None = None
    series: str | None = None
    base: str | None = None
    kernel: str | None = None
    arch: str | None = None
    toolchain: str | None = None
    scenario: str | None = None
    flow: str | None = None
    """Flows, with `+` between them, or `all`."""
    compress: str | None = None
    tree: str | None = None
    kconfig: list[str] = []
    memory: int | None = None
    timeout: float | None = None
    axes: dict[str, list[str]] = {}
    shapes: dict[str, Shape] = {}
    exclude: list[dict[str, str | list[str]]] = []
    """Tables of axis = value, or a list of values: a job that fits all of one is left out."""


def read(path: Path) -> MatrixFile:
    """Read a matrix.toml.

    Raises:
        UsageError: it is not valid, or cannot be read.
    """
    return strict_toml.load(path, MatrixFile)
