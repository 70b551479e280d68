"""Options that several verbs share, and the job that they make."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from harness import log, paths, printable, settings
from harness.errors import UsageError
from harness.job import Job
from harness.pipeline import Pipeline
from harness.store import Store

# What leaves others without a meaning: why, and which, by field and option.
_EXCLUDE = {
    "kernel": (
        "--kernel boots a kernel that is already built",
        {
            "series": "--series",
            "base": "--base",
            "tree": "--tree",
            "flavors": "--flavor",
            "kconfig": "--kconfig",
            "toolchain": "--toolchain",
            "kselftests": "--kselftest",
        },
    ),
    "kselftests": (
        "--kselftest makes the scenario",
        {"scenario": "--scenario", "expect": "--expect"},
    ),
}

F = TypeVar("F", bound=Callable[..., object])

FILE = click.Path(exists=True, dir_okay=False, path_type=Path, resolve_path=True)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True)


def _kernel_word(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Check what --kernel says; a file is made absolute, so that the job runs from anywhere."""
    if value is None or value.startswith("deb:"):
        return value
    from harness import foreign  # noqa: PLC0415 - `--help` need not pay for it

    file, member = foreign.split(value)
    path = FILE.convert(file, param, ctx)
    return f"{path}:{member}" if member else str(path)


_TREE = (
    click.option("--tree", type=FOLDER, metavar="DIR",
                 help="A kernel clone of yours to take --base from; it is only read."),
)  # fmt: skip
_SERIES = (
    click.option("--series", metavar="NAME|DIR|MBOX|RANGE|lore:MSGID|-|none", help=(
        "The patches: a name, a folder, an mbox, a git range (with --tree), a message-id, "
        "standard input, or none. NAME:N takes the first N, NAME:N-M,K those.  [default: nullfs]")),
    click.option("--base", metavar="REV", help=(
        "What the series is applied to: a kernel version, or a revision of --tree.  "
        "[default: the series' first]")),
    *_TREE,
)  # fmt: skip
_FLAVORS = (
    click.option("--flavor", "flavors", multiple=True, metavar="NAME",
                 help="What to lay over the profile; may be repeated."),
    click.option("--kconfig", multiple=True, metavar="FILE|CONFIG_X=y",
                 help="Symbols of your own, laid over all else; may be repeated."),
)  # fmt: skip
_KCONFIG = (
    click.option("--profile", metavar="NAME", help="A kconfig template.  [default: tiny]"),
    *_FLAVORS,
    click.option("--arch", metavar="NAME", help="The kernel's architecture.  [default: x86_64]"),
    click.option("--toolchain", metavar="gcc|llvm|llvm-N",
                 help="What compiles the kernel; llvm-19 is that version.  [default: gcc]"),
)  # fmt: skip
_SCENARIO = (
    click.option("--scenario", metavar="NAME|DIR",
                 help="The guest code and its expectations.  [default: the series' own]"),
    click.option("--flow", "flows", multiple=True, metavar="NAME",
                 help="A flow of the scenario, or `all`; may be repeated."),
)  # fmt: skip
_COMPRESS = (
    click.option("--compress", metavar="METHOD", help=(
        "Compress the initramfs: gzip, bzip2, lzma, xz, lzo, lz4, zstd or none. The kernel is "
        "built with what undoes it.  [default: none]")),
)  # fmt: skip
_LIMITS = (
    click.option("--timeout", "timeout_s", type=click.FloatRange(min=0.1), metavar="S",
                 help="How long a guest may go without progress, in seconds of its own time."),
    click.option("--memory", "memory_mib", type=click.IntRange(min=16), metavar="MIB",
                 help="The guest's memory, in MiB.  [default: 256]"),
)  # fmt: skip
_BOOT = (
    click.option("--cmdline", metavar="WORDS", help="Parameters for the kernel under test."),
    *_LIMITS,
)
_KERNEL = (
    click.option("--kernel", callback=_kernel_word, metavar="FILE[:MEMBER]|deb:PACKAGE[=VERSION]",
                 help=(
        "Boot this kernel: nothing is applied or built. A bzImage or vmlinux, as it is, "
        "compressed, or in a .deb or .rpm; `deb:` fetches the package from Debian's mirror.")),
)  # fmt: skip
_ALLOW = (
    click.option("--allow", multiple=True, type=FILE, metavar="FILE", help=(
        "An allow.toml: kernel reports that are known, besides those of the scenario and of your "
        "project; may be repeated.")),
)  # fmt: skip
_EXPECT = (
    click.option("--expect", metavar="VARIANT|auto",
                 callback=lambda _, __, value: None if value == "auto" else value, help=(
        "Judge by this column of expectations.  [default: auto, by the facts of the job]")),
)  # fmt: skip
_KSELFTEST = (
    click.option("--kselftest", "kselftests", multiple=True, metavar="DIR[/PROGRAM]", help=(
        "Run these kernel selftests, from the tree under test, in place of a scenario: a folder "
        "below tools/testing/selftests, or one program of it; may be repeated.")),
)  # fmt: skip
_TALK = (
    click.option("-q", "--quiet", is_flag=True, help="No progress."),
    click.option("-v", "--verbose", is_flag=True, help="Every detail, and the guest's console."),
)


def series_options(function: F) -> F:
    """Add the options that name a tree."""
    return _add(function, _SERIES)


def tree_option(function: F) -> F:
    """Add --tree alone."""
    return _add(function, _TREE)


def kernel_option(function: F) -> F:
    """Add --kernel."""
    return _add(function, _KERNEL)


def kconfig_options(function: F) -> F:
    """Add the options that shape a .config."""
    return _add(function, _KCONFIG)


def flavor_options(function: F) -> F:
    """Add what shapes a .config and may be repeated."""
    return _add(function, _FLAVORS)


def scenario_options(function: F) -> F:
    """Add the options that name a scenario."""
    return _add(function, _SCENARIO)


def compress_option(function: F) -> F:
    """Add --compress."""
    return _add(function, _COMPRESS)


def limit_options(function: F) -> F:
    """Add the bounds of a boot."""
    return _add(function, _LIMITS)


def boot_options(function: F) -> F:
    """Add the options that shape a boot."""
    return _add(function, _BOOT)


def kselftest_option(function: F) -> F:
    """Add --kselftest."""
    return _add(function, _KSELFTEST)


def allow_option(function: F) -> F:
    """Add --allow."""
    return _add(function, _ALLOW)


def expect_option(function: F) -> F:
    """Add --expect."""
    return _add(function, _EXPECT)


def talk_options(function: F) -> F:
    """Add --quiet and --verbose."""
    return _add(function, _TALK)


def make_pipeline(
    *,
    on_output: Callable[[bytes], None] | None = None,
    quiet: bool = False,
    verbose: bool = False,
    **given: Any,
) -> Pipeline:
    """Return the pipeline of the job that the options describe.

    What was not given comes from the nearest harness.toml, then from the built-ins.

    Raises:
        UsageError: options that exclude one another, or a harness.toml that is not valid.
    """
    set_talk(quiet=quiet, verbose=verbose)
    defaults = settings.load(Path.cwd())
    job = make_job(defaults, **given)
    return Pipeline(
        job,
        settings=defaults,
        store=Store(paths.cache_dir()),
        stdin=sys.stdin.buffer if job.series.partition(":")[0] == "-" else None,
        on_output=on_output,
    )


def make_job(defaults: settings.Settings, **given: Any) -> Job:
    """Return the job that the options describe; what they say nothing of is as in `defaults`.

    Raises:
        UsageError: options that exclude one another.
    """
    values: dict[str, Any] = {
        name: value for name, value in given.items() if value not in (None, ())
    }
    for name, (why, others) in _EXCLUDE.items():
        clash = next((option for field, option in others.items() if field in values), None)
        if name in values and clash:
            raise UsageError(f"{why}, so {clash} means nothing", hint="drop one of the two")
    if "kernel" in values:
        values["series"] = "none"
    values.setdefault("series", defaults.series)
    values.setdefault("profile", defaults.profile)
    values.setdefault("flavors", defaults.flavors)
    values.setdefault("toolchain", defaults.toolchain)
    values.setdefault("cmdline", defaults.cmdline)
    values.setdefault("memory_mib", defaults.memory_mib)
    values.setdefault("compress", defaults.compress)
    values.setdefault("timeout_s", defaults.timeout_s)
    return Job(**values)


def set_talk(*, quiet: bool, verbose: bool) -> None:
    """Apply --quiet and --verbose."""
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other", hint="drop one of the two")
    log.set_level(log.Level.QUIET if quiet else log.Level.VERBOSE if verbose else log.Level.NORMAL)


def streamer() -> Callable[[bytes], None]:
    """Return what shows the guest's bytes as they come; what a terminal would obey is spelt out."""
    import codecs  # noqa: PLC0415 - for --verbose alone

    # A character may come in two parts.
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def stream(data: bytes) -> None:
        sys.stderr.write(printable.text(decoder.decode(data).replace("\r", "")))
        sys.stderr.flush()

    return stream


def kernel_words(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[str | None, ...]:
    """Check what several --kernel say."""
    return tuple(_kernel_word(ctx, param, value) for value in values)


def style(text: str, name: str) -> str:
    """Colour a text of a report for stdout, if that is a terminal that wants it."""
    if not log.has_colour(1):
        return text
    looks: dict[str, dict[str, Any]] = {
        "good": {"fg": "green", "bold": True},
        "bad": {"fg": "red", "bold": True},
        "dim": {"dim": True},
        "bold": {"bold": True},
    }
    return click.style(text, **looks[name])


def _add(function: F, options: tuple[Callable[[F], F], ...]) -> F:
    for option in reversed(options):
        function = option(function)
    return function
