"""Takes a patch and the tree it is for, gives what that tree's own checkpatch.pl says of it.

The script is the tree's code, so it runs in the sandbox.
"""

import re
import tempfile
from pathlib import Path

from harness import blobs, filecheck, proc, sandbox
from harness.filecheck import Said
from harness.job import CompilerWarning, Patch, Tree
from harness.store import Store, digest_of

# Of how what it says is read: another one is asked anew.
_READING = "1"
_SCRIPT = "scripts/checkpatch.pl"
_FILES = (_SCRIPT, "scripts/spelling.txt", "scripts/const_structs.checkpatch")
_PATCH = "patch.mbox"
# It is about the whole file, and says the line where the hunk before it ended.
_OF_A_FILE = frozenset({"FILE_PATH_CHANGES"})
_LINE = re.compile(
    r"(?P<file>[^:]*):(?P<line>\d+): (?P<level>ERROR|WARNING):(?P<type>\w+): (?P<text>.*)"
)


def run(patch: Patch, tree: Tree, store: Store) -> Said:
    """Return what is said of the patch; it is asked once. `file` is empty for the message.

    Raises:
        HostError: it does not run here.
    """
    perl = proc.find("perl")
    files = blobs.names(tree, _FILES)
    if perl is None or _SCRIPT not in files:
        return Said(
            why_not="perl is not installed" if perl is None else f"no {_SCRIPT} in the tree"
        )
    mail = mail_of(patch)
    inputs = {"patch": digest_of(mail), "script": filecheck.digest(files), "reading": _READING}
    return filecheck.once("checkpatch", inputs, store, lambda: _run(perl, mail, tree, files))


def _run(perl: str, mail: bytes, tree: Tree, files: dict[str, str]) -> Said:
    with tempfile.TemporaryDirectory(prefix="harness-") as name:
        folder = Path(name)
        blobs.export(tree, files, folder)
        (folder / _PATCH).write_bytes(mail)
        done = sandbox.run(
            [
                perl, _SCRIPT, "--no-tree", "--terse", "--show-types", "--showfile",
                "--no-summary", "--no-signoff", _PATCH,
            ],
            write=[folder],
        )  # fmt: skip
    found = [match for line in done.text.splitlines() if (match := _LINE.fullmatch(line))]
    if done.returncode != 0 and not found:
        words = done.error_text.splitlines() or [f"exit status {done.returncode}"]
        return Said(why_not=f"{_SCRIPT} fails: {words[-1]}")
    return Said(warnings=tuple(map(_warning, found)))


def _warning(match: re.Match[str]) -> CompilerWarning:
    is_message = match["file"] == _PATCH
    return CompilerWarning(
        file="" if is_message else match["file"],
        flag=match["type"],
        message=match["text"],
        function="",
        line=0 if is_message or match["type"] in _OF_A_FILE else int(match["line"]),
        text=(match[0],),
    )


def mail_of(patch: Patch) -> bytes:
    """Return the patch as a mail."""
    head = f"From: {patch.author}\nDate: {patch.date}\nSubject: [PATCH] {patch.subject}\n\n"
    return f"{head}{patch.message.rstrip()}\n".encode() + b"---\n" + patch.diff
