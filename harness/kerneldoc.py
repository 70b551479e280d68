"""Takes files of a tree, gives what that tree's own kernel-doc says of their comments.

The script is the tree's code, so it runs in the sandbox. It needs no .config: what is not
compiled is read as well.
"""

import re
import sys
import tempfile
from pathlib import Path

from harness import blobs, filecheck, proc, sandbox
from harness.filecheck import Request, Said
from harness.job import CompilerWarning

# Where it has been, the newest first, and what of the tree it is made of. The Makefiles have
# called the one in Python since "kernel-doc: switch to the Python version" (in v6.17).
_SCRIPTS = (
    "tools/docs/kernel-doc",
    "scripts/kernel-doc.py",
    "scripts/kernel-doc",
    "scripts/kernel-doc.pl",
)
_PARTS = ("scripts/lib/kdoc", "tools/lib/python")
# `Warning: FILE:LINE words` in Python, `FILE:LINE: warning: words` in Perl.
_LINE = re.compile(
    r"(?:(?:Warning|Error): (?P<file>[^:]+):(?P<line>\d+):? "
    r"|(?P<file_>[^:]+):(?P<line_>\d+): (?:warning|error): )(?P<text>.+)"
)


def wants(file: str) -> bool:
    """Whether a file can have such comments."""
    return file.endswith((".c", ".h")) and not file.startswith("tools/")


def run(request: Request) -> Said:
    """Return what is said of the comments in some files."""
    parts = blobs.names(request.tree, [*_SCRIPTS, *_PARTS])
    script = next((name for name in _SCRIPTS if name in parts), None)
    if script is None:
        return Said(why_not=f"the tree has no {_SCRIPTS[-2]}")
    program = _program(request, script)
    if program is None:
        return Said(why_not="perl is not installed")
    files = blobs.names(request.tree, request.files)
    if not files:
        return Said(version=script)
    inputs = {
        "script": filecheck.digest(parts),
        "files": filecheck.digest(files),
        "program": " ".join([*program, sys.version]),
    }
    argv = [*program, script, "-none", *files]
    return filecheck.once(
        "kernel-doc", inputs, request.store, lambda: _run(request, argv, parts | files, script)
    )


def _program(request: Request, script: str) -> list[str] | None:
    """Return what runs the script, or None if that is not here."""
    first = (blobs.read(request.tree, script) or b"").partition(b"\n")[0]
    if b"perl" not in first:
        return [*filecheck.PYTHON]
    perl = proc.find("perl")
    return [perl] if perl else None


def _run(request: Request, argv: list[str], files: dict[str, str], script: str) -> Said:
    with tempfile.TemporaryDirectory(prefix="harness-") as name:
        folder = Path(name)
        blobs.export(request.tree, files, folder)
        done = sandbox.run(argv, read=filecheck.PYTHON_PARTS, write=[folder], limits=request.limits)
    text = f"{done.text}\n{done.error_text}"
    # That of 6.19 says some things twice.
    lines = dict.fromkeys(text.splitlines())
    found = [match for line in lines if (match := _LINE.fullmatch(line))]
    if done.returncode != 0 and not found:
        return Said(why_not=f"{script} fails: {text.strip().rpartition(chr(10))[2]}")
    return Said(warnings=tuple(map(_warning, found)), version=script)


def _warning(match: re.Match[str]) -> CompilerWarning:
    return CompilerWarning(
        file=match["file"] or match["file_"],
        flag="kernel-doc",
        message=match["text"],
        function="",
        line=int(match["line"] or match["line_"]),
        text=(match[0],),
    )
