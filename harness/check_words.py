"""Words that several reports of a gate have in common. Pure."""

from typing import NamedTuple

from harness import check_logs
from harness.check_result import BootResult, CheckResult, Uncompiled, WarningResult, Word

_CONFIG_MAX = 3


class First(NamedTuple):
    """A file of a gate, and why it should be read first."""

    file: str
    why: str


def count(number: int, one: str) -> str:
    """Return so many of what is `one` of them: "1 patch", "2 patches"."""
    many = one if number == 1 else f"{one}es" if one.endswith("ch") else f"{one}s"
    return f"{number} {many}"


def base(result: CheckResult) -> str:
    """Return what the base is, how it was found and how it does."""
    found = result.base
    known = f"; {count(found.warnings, 'warning')} known before" if found.warnings else ""
    words = ", ".join(
        f"{name} {word.value}"
        for name, word in (("config", found.config), ("build", found.build), ("boot", found.boot))
    )
    return f"{found.name} ({found.how}): {words}{known}"


def config(result: CheckResult) -> str:
    """Return with what each kernel was built and run."""
    shape = " + ".join([result.profile, *result.flavors, *result.kconfig])
    return f"{shape}, {result.arch}, {result.toolchain}; scenario {result.scenario}"


def place(warning: WarningResult) -> str:
    """Return where a warning is: a line, a file, or the patch's message."""
    if not warning.file:
        return "the message"
    return f"{warning.file}:{warning.line}" if warning.line else warning.file


def uncompiled(found: Uncompiled) -> str:
    """Return a file that is not compiled, with the symbols that would."""
    more = ", …" if len(found.symbols) > _CONFIG_MAX else ""
    symbols = ", ".join(found.symbols[:_CONFIG_MAX])
    return f"{found.file} ({symbols}{more})" if symbols else found.file


def boot_name(cmdline: str) -> str:
    """Return what a boot is called, by its command line."""
    return f"with {cmdline}" if cmdline else "with no option"


def came_to(boot: BootResult) -> str:
    """Return what came of a boot, in a sentence."""
    if boot.reason.startswith(boot.outcome):
        return boot.reason
    return f"{boot.outcome}: {boot.reason}" if boot.reason else boot.outcome


def first_files(result: CheckResult) -> list[First]:
    """Return the logs of what failed, in the order of the patches."""
    found: list[First] = []
    for patch in result.patches:
        if patch.build is Word.FAILED and patch.build_log:
            found.append(First(patch.build_log, f"patch {patch.number} does not build"))
        for boot in patch.boots:
            console = check_logs.console_of(boot)
            if boot.word is Word.FAILED and console:
                why = f"patch {patch.number} {boot_name(boot.cmdline)}: {boot.outcome}"
                found.append(First(console, why))
    return found
