"""Takes axes, gives jobs: their product, less what is excluded. Pure."""

import difflib
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.job import Job
from harness.matrix_file import MatrixFile, Shape

SHAPE = "shape"

# Axis → the field of a job that its values fill.
AXES = {
    "series": "series",
    "base": "base",
    "kernel": "kernel",
    "arch": "arch",
    "toolchain": "toolchain",
    "profile": "profile",
    "flavor": "flavors",
    "scenario": "scenario",
    "flow": "flows",
    "cmdline": "cmdline",
    "compress": "compress",
}
ALL_AXES = (*AXES, SHAPE)
# Values that are several, with `+` between them.
_MANY = frozenset({"flavors", "flows"})
_NONE = "none"
# What no axis can be, and all jobs or those of a shape can have.
_LIMITS = {"memory": "memory_mib", "timeout": "timeout_s"}
# What a job with a kernel of the user's own has no say in.
_OF_A_BUILD = ("series", "base", "tree", "profile", "flavors", "kconfig", "toolchain")
# In `--axis` a comma ends a value, but for axes whose values have commas of their own.
_WHOLE = frozenset({"cmdline"})


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One job of a matrix and its (axis, value) pairs; `number` counts from 1, as axes go."""

    number: int
    values: tuple[tuple[str, str], ...]
    job: Job


# --- axes -----------------------------------------------------------------------------------


def read_axis(text: str) -> tuple[str, list[str]]:
    """Read `NAME=V1,V2` as a user types it; a command line is one value, commas and all.

    Raises:
        UsageError: it has another form, or there is no such axis.
    """
    name, equals, values = text.partition("=")
    if not equals:
        raise UsageError(f"--axis {text}: expected NAME=VALUE[,VALUE…]")
    check_axis(name, "--axis")
    return name, [values] if name in _WHOLE else values.split(",")


def read_exclude(text: str) -> dict[str, str | list[str]]:
    """Read `AXIS=VALUE[,AXIS=VALUE…]` as a user types it.

    Raises:
        UsageError: it has another form.
    """
    found: dict[str, str | list[str]] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"--exclude {text}: expected AXIS=VALUE[,AXIS=VALUE…]")
        found[name] = value
    return found


def check_axis(name: str, where: str) -> None:
    """Check that there is an axis of this name.

    Raises:
        UsageError: there is not; the message names the nearest, the hint all.
    """
    if name not in ALL_AXES:
        near = difflib.get_close_matches(name, ALL_AXES, n=1)
        raise UsageError(
            f"{where}: no axis named {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
            hint=f"there are: {', '.join(ALL_AXES)}",
        )


def axes_of(told: MatrixFile, where: str) -> dict[str, list[str]]:
    """Return the axes of a matrix; that of its shapes need not be spelt out.

    Raises:
        UsageError: an axis that does not exist, is empty, has a value twice, or cannot be one.
    """
    axes = dict(told.axes)
    if told.shapes and SHAPE not in axes:
        axes[SHAPE] = list(told.shapes)
    if not axes:
        raise UsageError(
            f"{where}: no axes, so there is nothing to cross",
            hint="for instance --axis cmdline= --axis cmdline=quiet --axis base=6.18.5,6.19.11",
        )
    for name, values in axes.items():
        check_axis(name, where)
        _check_values(name, values, where)
        if name != SHAPE and getattr(told, name) is not None:
            raise UsageError(
                f"{where}: {name} is an axis, and has one value for all jobs besides",
                hint="drop one of the two",
            )
    for value in axes.get(SHAPE, ()):
        if value not in told.shapes:
            raise UsageError(
                f"{where}: axis shape has {value!r}, which is no shape",
                hint=f"there are: {', '.join(told.shapes) or 'none'}; [shapes.NAME] makes one",
            )
    return axes


def _check_values(name: str, values: Sequence[str], where: str) -> None:
    if not values:
        raise UsageError(f"{where}: axis {name} has no values")
    for value in values:
        if values.count(value) > 1:
            raise UsageError(f"{where}: axis {name} has the value {value!r} twice")
        if not value and name != "cmdline":
            raise UsageError(f"{where}: axis {name} has an empty value")


# --- cells ----------------------------------------------------------------------------------


def expand(told: MatrixFile, defaults: Job, *, where: str) -> tuple[Cell, ...]:
    """Return the cells, the last axis changing fastest; `where` begins error messages.

    `defaults` is the job that a matrix says nothing of.

    Raises:
        UsageError: as `axes_of`; an exclude fits nothing that is left; a shape contradicts.
    """
    axes = axes_of(told, where)
    left = [tuple(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    for number, exclude in enumerate(told.exclude, 1):
        left = _without(left, exclude, axes, f"{where}: exclude number {number}")
    if not left:
        raise UsageError(f"{where}: the excludes leave no job")
    return tuple(
        Cell(number=number, values=values, job=_job(told, dict(values), defaults, where))
        for number, values in enumerate(left, 1)
    )


def can_fit(exclude: Mapping[str, str | list[str]], axes: Mapping[str, list[str]]) -> bool:
    """Whether an exclude names a value of each of its axes."""
    return all(
        set([value] if isinstance(value, str) else value) & set(axes.get(name, ()))
        for name, value in exclude.items()
    )


_Values = tuple[tuple[str, str], ...]


def _without(
    cells: Sequence[_Values],
    exclude: Mapping[str, str | list[str]],
    axes: Mapping[str, list[str]],
    where: str,
) -> list[_Values]:
    wanted = {name: [v] if isinstance(v, str) else v for name, v in exclude.items()}
    for name, values in wanted.items():
        check_axis(name, where)
        for value in values:
            if value not in axes.get(name, ()):
                known = ", ".join(axes.get(name, ())) or "no values: it is no axis here"
                raise UsageError(
                    f"{where} matches nothing: {name} has no value {value!r}",
                    hint=f"{name} has {known}",
                )
    kept = [cell for cell in cells if not all(value in wanted.get(n, [value]) for n, value in cell)]
    if not wanted or len(kept) == len(cells):
        raise UsageError(f"{where} matches nothing that is left", hint="drop it")
    return kept


def _job(told: MatrixFile, values: dict[str, str], defaults: Job, where: str) -> Job:
    shape = told.shapes[values[SHAPE]] if SHAPE in values else Shape()
    fields: dict[str, Any] = {}
    for name, field in AXES.items():
        text = values.get(name, getattr(told, name))
        if text is not None:
            fields[field] = _value(field, text)
    for name, field in _LIMITS.items():
        if getattr(told, name) is not None:
            fields[field] = getattr(told, name)
    if told.tree is not None:
        fields["tree"] = Path(told.tree).absolute()
    _add_shape(fields, shape, values, defaults, where=f"{where}: shape {values.get(SHAPE)}")
    kconfig = (*told.kconfig, *shape.kconfig)
    if kconfig:
        fields["kconfig"] = kconfig
    if "kernel" in fields:
        clash = next((name for name in _OF_A_BUILD if name in fields), None)
        if clash:
            raise UsageError(
                f"{where}: kernel is a kernel that is already built, so {clash} means nothing",
                hint="drop one of the two",
            )
        fields |= {"series": _NONE, "flavors": ()}
    return msgspec.structs.replace(defaults, **fields)


def _add_shape(
    fields: dict[str, Any], shape: Shape, values: Mapping[str, str], defaults: Job, *, where: str
) -> None:
    """Lay a shape over what holds for all jobs; what an axis says it may only add to."""
    words = [fields.get("cmdline", defaults.cmdline), shape.cmdline]
    if shape.cmdline is not None:
        fields["cmdline"] = " ".join(word for word in words if word)
    if shape.flavor is not None:
        flavors = (*fields.get("flavors", defaults.flavors), *_value("flavors", shape.flavor))
        fields["flavors"] = tuple(dict.fromkeys(flavors))
    for name in ("profile", "flow", "compress", *_LIMITS):
        value = getattr(shape, name)
        if value is not None and name in values:
            raise UsageError(
                f"{where} says {name} = {value!r}, and {name} is an axis",
                hint="drop one of the two",
            )
        if value is not None:
            field = AXES.get(name) or _LIMITS[name]
            fields[field] = _value(field, value) if name in AXES else value


def _value(field: str, text: str) -> str | tuple[str, ...]:
    if field in _MANY:
        return () if text == _NONE else tuple(text.split("+"))
    return text
