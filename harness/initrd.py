"""Takes a program of a scenario's that makes an initramfs of its own, gives what it made.

It is how a distribution's initramfs gets booted: `initrds/NAME` in the scenario's folder is run
on this machine, in an empty folder that is removed afterwards, and twice: `NAME --inputs` prints
what it would take from this machine, and where that is new, `NAME OUTPUT` writes the archive.
"""

import os
from pathlib import Path

from harness import log, proc
from harness.errors import HostError, UsageError
from harness.job import Initramfs, Scenario
from harness.store import Entry, Store, digest_of, digest_of_file

# Bump when the same inputs should give other bytes.
SCHEMA = 2

FOLDER = "initrds"
_NAME = "initramfs.cpio"
_INPUTS = "--inputs"
_INPUTS_TIMEOUT_S = 120.0
_TIMEOUT_S = 900.0


def build(scenario: Scenario, name: str, *, store: Store) -> tuple[Initramfs, Entry]:
    """Return the initramfs that the program `name` makes, from the store or made now.

    All files beside it count as its source, and so does what it prints when asked for its
    inputs, such as the packages that go in and their digests.

    Raises:
        UsageError: it cannot be run, or writes nothing.
        HostError: it fails; the message has its last words.
    """
    folder = scenario.path / FOLDER
    program = folder / name
    if not os.access(program, os.X_OK):
        raise UsageError(f"{program} cannot be run", hint=f"chmod +x {program}")
    with store.scratch("initrd") as work:
        told = _run(program, _INPUTS, work, timeout_s=_INPUTS_TIMEOUT_S)
    sources = {path.name: digest_of_file(path) for path in sorted(folder.iterdir())}
    inputs = {"schema": str(SCHEMA), "program": name, "inputs": digest_of(told), **sources}

    def make(scratch: Path) -> None:
        with store.scratch("initrd") as work:
            _run(program, os.fspath(scratch / _NAME), work, timeout_s=_TIMEOUT_S)
        if not (scratch / _NAME).is_file():
            raise UsageError(f"{program} has not written the file it was given")
        (scratch / "inputs").write_bytes(told)

    entry = store.get_or_make("initrd", inputs, make)
    path = entry.path / _NAME
    return Initramfs(path=path, digest=digest_of_file(path)), entry


def _run(program: Path, argument: str, work: Path, *, timeout_s: float) -> bytes:
    """Run it in the folder `work`; return what it prints."""
    log.note(f"$ {program} {argument}")
    done = proc.run([os.fspath(program), argument], cwd=work, timeout_s=timeout_s)
    if done.returncode != 0:
        words = (done.error_text or done.text).splitlines()
        last = words[-1] if words else f"exit status {done.returncode}"
        what = argument if argument == _INPUTS else _NAME
        raise HostError(
            f"{program} failed: {last}", hint=f"run it in an empty folder: {program} {what}"
        )
    return done.stdout
