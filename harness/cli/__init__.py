"""The command line: one module a verb, imported only when that verb is typed."""

import contextlib
import importlib
import os
import signal
import sys
import traceback
from types import FrameType
from typing import NoReturn

import click

from harness import __version__, printable
from harness.errors import EXIT_CODE_HELP, EXIT_HOST, EXIT_INTERRUPTED, EXIT_USAGE, HarnessError

# Verb → the line that `harness --help` shows for it. The module of the same name holds `command`.
VERBS: dict[str, str] = {
    "boot": "apply, build, boot and judge: the main job",
    "apply": "base + series as a commit; prints the commit",
    "config": "the resolved .config; prints its path",
    "build": "the kernel; prints its path",
    "initramfs": "the guest's root file system; prints its path",
    "parse": "the verdict of a stored console log",
    "observe": "what a kernel does, with nothing judged",
    "diff": "how two kernels, series or runs differ in what they do",
    "check": "the gate: every patch of a series built, booted and held against its base",
    "bisect": "the commit that brought a finding, or repaired it",
    "bisect-step": "one commit, as `git bisect run` asks",
    "matrix": "many jobs: what is under test crossed with how",
    "shell": "the kernel under test with a prompt",
    "show": "the report of a run",
    "claims": "what runs have observed beside what is claimed, as a page",
    "new": "the files that a series and its scenario begin with",
    "doctor": "what is here, what is missing, how to get it",
    "gc": "bound the cache by age and size",
}

# Set in the environment, it shows where in the tool a fault of its own is.
_TRACEBACK = "HARNESS_TRACEBACK"

_EPILOG = """\b
Examples:
  harness boot --cmdline nullfs_rootfs    the series, its option given
  harness boot                            the control: no option
  harness boot --series none              the other control: no patches
  harness show                            the last run, in full

\b
Exit codes:
""" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODE_HELP)


class _Verbs(click.Group):
    """A group that imports a verb's module when the verb is asked for."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = importlib.import_module(
            f"harness.cli.{name.replace('-', '_')}"
        ).command
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest verb where the one typed does not exist."""
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            import difflib  # noqa: PLC0415 - only for this message

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(VERBS)}"
            context.fail(f"no verb named {args[0]!r}{hint}")
        return super().resolve_command(context, args)


@click.group(
    cls=_Verbs,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="harness")
def cli() -> None:
    """Build and boot a kernel patch series in QEMU, and judge what it did."""


def main() -> NoReturn:
    """Run the command line; every way it can end has its exit code here.

    A fault of the tool's own is none of the kernel's: it never ends in 1, as Python's would.
    """
    # A CI stops a job with SIGTERM: end as on ^C, so that no half-made folder is left.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = cli.main(standalone_mode=False)
        # What is still in a buffer may not fit on the disk either.
        sys.stdout.flush()
    except (click.exceptions.Abort, KeyboardInterrupt):
        code = _complain("interrupted", code=EXIT_INTERRUPTED)
    except click.ClickException as error:
        with contextlib.suppress(OSError):
            error.show()
        code = EXIT_USAGE
    except HarnessError as error:
        code = _complain_of(error)
    except (BrokenPipeError, SystemExit):
        # The reader of our output has seen enough, perhaps not the verdict. click would exit 1.
        code = EXIT_HOST
    except (OSError, MemoryError) as error:
        from harness import faults  # noqa: PLC0415 - only for this message

        code = _complain_of(faults.explain(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the tool's own
        code = _internal(error)
    _end(code if isinstance(code, int) else 0)


def _end(code: int) -> NoReturn:
    """Leave with this code, and no other because of what cannot be written any more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Python would try it once more, and exit by that.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _complain(*lines: str, code: int) -> int:
    # There may be nothing to say it on: that changes no exit code.
    with contextlib.suppress(OSError):
        for line in lines:
            click.echo(line, err=True)
    return code


def _complain_of(error: HarnessError) -> int:
    hint = [f"hint: {printable.text(error.hint)}"] if error.hint else []
    return _complain(f"error: {printable.text(error.message)}", *hint, code=error.exit_code)


def _internal(error: Exception) -> int:
    if os.environ.get(_TRACEBACK):
        with contextlib.suppress(OSError):
            traceback.print_exception(error)
    at = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(at.filename)}:{at.lineno}"  # noqa: PTH119 - no path to look at
    return _complain(
        f"error: the tool itself failed at {where}: {type(error).__name__}: {error}",
        f"hint: please report it, with what it prints when {_TRACEBACK}=1 is set",
        code=EXIT_HOST,
    )
