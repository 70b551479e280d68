"""The command line: one module a verb, imported only when that verb is typed."""

import errno
import importlib
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import click

from harness import __version__, printable
from harness.errors import (
    EXIT_CODE_HELP,
    EXIT_HOST,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    HarnessError,
    HostError,
)

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
    "matrix": "many jobs: what is under test crossed with how",
    "shell": "the kernel under test with a prompt",
    "show": "the report of a run",
    "claims": "what runs have observed beside what is claimed, as a page",
    "doctor": "what is here, what is missing, how to get it",
    "gc": "bound the cache by age and size",
}

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
        command: click.Command = importlib.import_module(f"harness.cli.{name}").command
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
    """Run the command line; every way it can end has its exit code here."""
    # A CI stops a job with SIGTERM: end as on ^C, so that no half-made folder is left.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = _interrupted()
    except KeyboardInterrupt:
        code = _interrupted()
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
    except HarnessError as error:
        _complain(error)
        code = error.exit_code
    except BrokenPipeError:
        # The reader of our output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        _complain(_host_fault(error))
        code = EXIT_HOST
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _interrupted() -> int:
    click.echo("interrupted", err=True)
    return EXIT_INTERRUPTED


def _complain(error: HarnessError) -> None:
    click.echo(f"error: {printable.text(error.message)}", err=True)
    if error.hint:
        click.echo(f"hint: {printable.text(error.hint)}", err=True)


def _host_fault(error: OSError) -> HostError:
    where = f": {error.filename}" if error.filename else ""
    hint = {
        errno.ENOSPC: "free some space: `harness gc`, or set XDG_CACHE_HOME to a larger disk",
        errno.EROFS: "set XDG_CACHE_HOME and XDG_STATE_HOME to folders that can be written",
        errno.EACCES: "set XDG_CACHE_HOME and XDG_STATE_HOME to folders that can be written",
    }.get(error.errno or 0)
    return HostError(f"{error.strerror or error}{where}", hint=hint)
