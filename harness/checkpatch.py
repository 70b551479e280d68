"""Takes a patch and the tree it is for, gives what that tree's own checkpatch.pl says of it.

The script is the tree's code, so it runs in the sandbox.
"""

import re
import tempfile
from pathlib import Path

from harness import blobs, proc, sandbox
from harness.job import CompilerWarning, Patch, Tree

_FILES = ("scripts/checkpatch.pl", "scripts/spelling.txt", "scripts/const_structs.checkpatch")
_PATCH = "patch.mbox"
_LINE = re.compile(
    r"(?P<file>[^:]*):(?P<line>\d+): (?P<level>ERROR|WARNING):(?P<type>\w+): (?P<text>.*)"
)


def why_not(tree: Tree) -> str:
    """Return why it cannot be asked; "" if it can."""
    if proc.find("perl") is None:
        return "perl is not installed"
    return "" if blobs.read(tree, _FILES[0]) else f"the tree has no {_FILES[0]}"


def run(patch: Patch, tree: Tree) -> list[CompilerWarning]:
    """Return what is said of the patch. `file` is empty where it is about the message.

    Raises:
        HostError: it does not run here.
    """
    with tempfile.TemporaryDirectory(prefix="harness-") as name:
        folder = Path(name)
        for file in _FILES:
            data = blobs.read(tree, file)
            if data is not None:
                (folder / Path(file).name).write_bytes(data)
        (folder / _PATCH).write_bytes(mail_of(patch))
        done = sandbox.run(
            [
                proc.which("perl"), "checkpatch.pl", "--no-tree", "--terse", "--show-types",
                "--showfile", "--no-summary", "--no-signoff", _PATCH,
            ],
            write=[folder],
        )  # fmt: skip
    found = []
    for line in done.text.splitlines():
        match = _LINE.fullmatch(line)
        if match:
            is_message = match["file"] == _PATCH
            found.append(
                CompilerWarning(
                    file="" if is_message else match["file"],
                    flag=match["type"],
                    message=match["text"],
                    function="",
                    line=0 if is_message else int(match["line"]),
                    text=(line,),
                )
            )
    return found


def mail_of(patch: Patch) -> bytes:
    """Return the patch as a mail."""
    head = f"From: {patch.author}\nDate: {patch.date}\nSubject: [PATCH] {patch.subject}\n\n"
    return f"{head}{patch.message.rstrip()}\n".encode() + b"---\n" + patch.diff
