"""Takes a patch and the tree it is for, gives what that tree's own checkpatch.pl says of it.

The script is the tree's code, so it runs in the sandbox.
"""

import re
import tempfile
from pathlib import Path

import msgspec

from harness import blobs, proc, sandbox
from harness.job import CompilerWarning, Patch, Tree
from harness.store import Store, digest_of

_FILES = ("scripts/checkpatch.pl", "scripts/spelling.txt", "scripts/const_structs.checkpatch")
_SCRIPT = "checkpatch.pl"
_PATCH = "patch.mbox"
_RESULT = "said.json"
_SCHEMA = "1"
_LINE = re.compile(
    r"(?P<file>[^:]*):(?P<line>\d+): (?P<level>ERROR|WARNING):(?P<type>\w+): (?P<text>.*)"
)


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What it says of a patch, or why it could not be asked."""

    warnings: tuple[CompilerWarning, ...] = ()
    why_not: str = ""


def run(patch: Patch, tree: Tree, store: Store) -> Said:
    """Return what is said of the patch; it is asked once. `file` is empty for the message.

    Raises:
        HostError: it does not run here.
    """
    perl = proc.find("perl")
    if perl is None:
        return Said(why_not="perl is not installed")
    mail = mail_of(patch)

    def make(folder: Path) -> None:
        (folder / _RESULT).write_bytes(msgspec.json.encode(_run(perl, mail, tree)))

    inputs = {"schema": _SCHEMA, "patch": digest_of(mail), "tree": tree.tree_hash}
    entry = store.get_or_make("checkpatch", inputs, make)
    return msgspec.json.decode((entry.path / _RESULT).read_bytes(), type=Said)


def _run(perl: str, mail: bytes, tree: Tree) -> Said:
    with tempfile.TemporaryDirectory(prefix="harness-") as name:
        folder = Path(name)
        for file in _FILES:
            data = blobs.read(tree, file)
            if data is not None:
                (folder / Path(file).name).write_bytes(data)
        if not (folder / _SCRIPT).is_file():
            return Said(why_not=f"the tree has no {_FILES[0]}")
        (folder / _PATCH).write_bytes(mail)
        done = sandbox.run(
            [
                perl, _SCRIPT, "--no-tree", "--terse", "--show-types", "--showfile",
                "--no-summary", "--no-signoff", _PATCH,
            ],
            write=[folder],
        )  # fmt: skip
    found = [match for line in done.text.splitlines() if (match := _LINE.fullmatch(line))]
    return Said(warnings=tuple(map(_warning, found)))


def _warning(match: re.Match[str]) -> CompilerWarning:
    is_message = match["file"] == _PATCH
    return CompilerWarning(
        file="" if is_message else match["file"],
        flag=match["type"],
        message=match["text"],
        function="",
        line=0 if is_message else int(match["line"]),
        text=(match[0],),
    )


def mail_of(patch: Patch) -> bytes:
    """Return the patch as a mail."""
    head = f"From: {patch.author}\nDate: {patch.date}\nSubject: [PATCH] {patch.subject}\n\n"
    return f"{head}{patch.message.rstrip()}\n".encode() + b"---\n" + patch.diff
