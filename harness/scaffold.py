"""Takes a name, writes the files that a series and its scenario begin with, each line explained."""

import re
from pathlib import Path

from harness import paths
from harness.errors import HostError, UsageError
from harness.settings import FILE_NAME

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_TEMPLATES = paths.PACKAGE_DIR / "data/new"
# Names in the templates; a flow is a function in C.
_MARKS = ("@NAME@", "@FLOW@")


def make(name: str, folder: Path) -> list[Path]:
    """Write the files into `folder` and return them; a harness.toml that is there is kept.

    Raises:
        UsageError: the name cannot be one, or a file is there already.
        HostError: a file cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a series",
            hint="small letters, digits, - and _, beginning with a letter",
        )
    files = {file: _fill(template, name) for file, template in _files(name).items()}
    if (folder / FILE_NAME).exists():
        del files[FILE_NAME]
    there = [file for file in files if (folder / file).exists()]
    if there:
        raise UsageError(f"{folder / there[0]} is there already", hint="nothing was written")
    try:
        for file, text in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
    except OSError as error:
        raise HostError(f"cannot write to {folder}: {error.strerror}") from error
    return [folder / file for file in files]


def _files(name: str) -> dict[str, str]:
    """Return the template of each file."""
    return {
        FILE_NAME: "harness.toml",
        f"patches/{name}/series.toml": "series.toml",
        f"initramfs/{name}/scenario.toml": "scenario.toml",
        f"initramfs/{name}/expect.toml": "expect.toml",
        f"initramfs/{name}/{_flow(name)}.c": "flow.c",
    }


def _flow(name: str) -> str:
    return name.replace("-", "_")


def _fill(template: str, name: str) -> str:
    text = (_TEMPLATES / template).read_text()
    for mark, value in zip(_MARKS, (name, _flow(name)), strict=True):
        text = text.replace(mark, value)
    return text
