"""`harness diff`: how two kernels, series or runs differ in what they do."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from harness import diff, sides, tables
from harness.cli import options
from harness.cli.observe import ALL_FLOWS
from harness.errors import UsageError
from harness.pipeline import Pipeline

F = TypeVar("F", bound=Callable[..., object])

_TWO = 2
_SIDES_HINT = "for instance `harness diff --series none --series nullfs`"
# Options whose parameter is called otherwise.
_WORDS = {"flavors": "flavor", "flows": "flow", "timeout_s": "timeout", "memory_mib": "memory"}

# What may be given twice, a value a side. `--flavor` and `--kconfig` add up, as everywhere.
_SIDES = {
    "series": ("SERIES", "The patches, as for `harness boot`."),
    "base": ("REV", "What the series is applied to."),
    "kernel": ("FILE[:MEMBER]|deb:PACKAGE", "A kernel of yours, as for `harness boot`."),
    "profile": ("NAME", "A kconfig template."),
    "arch": ("NAME", "The kernel's architecture."),
    "toolchain": ("gcc|llvm|llvm-N", "The compilers."),
    "cmdline": ("WORDS", "Parameters for the kernel under test."),
    "compress": ("METHOD", "How the initramfs is compressed."),
}
_CHECKS = {"kernel": options.kernel_words}


def _side_options(function: F) -> F:
    for name, (metavar, text) in reversed(_SIDES.items()):
        add = click.option(
            f"--{name}", multiple=True, metavar=metavar, callback=_CHECKS.get(name), help=text
        )
        function = add(function)
    return function


@click.command("diff")
@click.argument("runs", nargs=-1, metavar="[A B]")
@_side_options
@click.option("--each-patch", is_flag=True,
              help="Observe before and after each patch of the series.")  # fmt: skip
@options.tree_option
@options.flavor_options
@options.scenario_options
@options.limit_options
@click.option("--json", "is_json", is_flag=True, help="Print harness.diff/1 in place of the table.")
@options.talk_options
def command(
    *, runs: tuple[str, ...], each_patch: bool, is_json: bool, quiet: bool, verbose: bool,
    **given: Any,
) -> int:  # fmt: skip
    """Print exactly the observations that differ, by flow; exit 0 if none does, 1 if one does.

    A and B are runs (a folder, a name or the end of one, `latest`), or files that `harness
    observe --json` or a run wrote. Without them one option that is given twice names the two
    sides, and the rest holds for both; or --each-patch goes through a series. Ids and times are
    normalised.

    \b
    Examples:
      harness diff latest 20260101-000000-0badcafe
      harness diff --series none --series nullfs --base 6.18.5
      harness diff --kernel old/vmlinux --kernel new/vmlinux --scenario nullfs
      harness diff --each-patch --series nullfs --cmdline nullfs_rootfs
    """
    options.set_talk(quiet=quiet, verbose=verbose)
    jobs = {name: value for name, value in given.items() if value not in (None, ())}
    if runs:
        clash = "--each-patch" if each_patch else next((f"--{_WORDS.get(n, n)}" for n in jobs), "")
        if clash:
            raise UsageError(f"{clash} means nothing beside runs that are over", hint="drop it")
        comparisons = [sides.of_runs(runs)]
    else:
        jobs |= {"quiet": quiet, "verbose": verbose}
        comparisons = _each_patch(jobs) if each_patch else [_two_jobs(jobs)]
    result = diff.DiffResult(comparisons=comparisons)
    if is_json:
        sys.stdout.buffer.write(diff.encode(result))
    else:
        click.echo(tables.diff(result, style=options.style), nl=False)
    return 0 if all(each.is_empty for each in comparisons) else 1


def _two_jobs(given: dict[str, Any]) -> diff.Comparison:
    """Observe the two values of the one option that is given twice."""
    twice = [name for name in _SIDES if len(given.get(name, ())) > 1]
    if len(twice) != 1 or len(given[twice[0]]) != _TWO:
        raise UsageError(_no_sides(given, twice), hint=_SIDES_HINT)
    axis, values = twice[0], given[twice[0]]
    pipelines = [_pipeline({**given, axis: (value,)}) for value in values]
    names = [f"{axis} {value}" if str(value) else f"no {axis}" for value in values]
    sides.align(pipelines)
    return sides.of_pipelines(pipelines, names)[0]


def _no_sides(given: dict[str, Any], twice: list[str]) -> str:
    if not twice:
        return "nothing to compare: two runs, or one option given twice, or --each-patch"
    if len(twice) > 1:
        return f"--{twice[0]} and --{twice[1]} are both given twice: one names the sides"
    return f"--{twice[0]} is given {len(given[twice[0]])} times, expected twice"


def _each_patch(given: dict[str, Any]) -> list[diff.Comparison]:
    """Observe a series before its first patch and after each."""
    whole = _pipeline(given)
    name = whole.job.series
    if name.partition(":")[0] == "-":
        raise UsageError("--each-patch reads a series more than once, and stdin can be read once")
    patches = whole.series.patches
    if not patches:
        raise UsageError(
            f"--each-patch: the series {name} has no patches", hint="name one with --series"
        )
    # NAME:2 is two patches, and so are its first, NAME:1, and the whole.
    spec = name.rpartition(":")[0] if whole.series.path and name != str(whole.series.path) else ""
    steps = ["none", *(f"{spec or name}:{patch.number}" for patch in patches[:-1]), name]
    pipelines = [_pipeline({**given, "series": (step,)}) for step in steps]
    sides.align(pipelines)
    return sides.of_pipelines(
        pipelines,
        ["no patch", *(f"patch {patch.number}" for patch in patches)],
        titles=[f"patch {patch.number}: {patch.subject}" for patch in patches],
    )


def _pipeline(given: dict[str, Any]) -> Pipeline:
    """Return the pipeline of one side: of each option the one value it has there."""
    for name in _SIDES:
        if len(given.get(name, ())) > 1:
            raise UsageError(f"--{name} is given twice, where one is expected", hint=_SIDES_HINT)
    single = {name: given[name][0] for name in _SIDES if given.get(name)}
    rest = {name: value for name, value in given.items() if name not in _SIDES}
    on_output = options.streamer() if given["verbose"] else None
    return options.make_pipeline(on_output=on_output, **{"flows": ALL_FLOWS, **rest}, **single)
