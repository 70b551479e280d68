"""Takes a program of a scenario's that makes an initramfs of its own, gives what it made.

It is how a distribution's initramfs gets booted: `initrds/NAME` in the scenario's folder is run
on this machine with the path to write to.
"""

import os
from pathlib import Path

from harness import log, proc
from harness.errors import HostError, UsageError
from harness.job import Initramfs, Scenario
from harness.store import Entry, Store, digest_of_file

# Bump when the same inputs should give other bytes.
SCHEMA = 1

FOLDER = "initrds"
_NAME = "initramfs.cpio"
_TIMEOUT_S = 900.0


def build(scenario: Scenario, name: str, *, store: Store) -> tuple[Initramfs, Entry]:
    """Return the initramfs that the program `name` makes, from the store or made now.

    The program is run as `NAME OUTPUT` in an empty folder that is removed afterwards. All files
    beside it count as its source. Whatever it takes from the machine is not known here: the
    name of the newest thing it depends on belongs in it.

    Raises:
        UsageError: it cannot be run, or writes nothing.
        HostError: it fails; the message has its last words.
    """
    folder = scenario.path / FOLDER
    program = folder / name
    if not os.access(program, os.X_OK):
        raise UsageError(f"{program} cannot be run", hint=f"chmod +x {program}")
    sources = {path.name: digest_of_file(path) for path in sorted(folder.iterdir())}
    inputs = {"schema": str(SCHEMA), "program": name, **sources}

    def make(scratch: Path) -> None:
        with store.scratch("initrd") as work:
            log.note(f"$ {program}")
            done = proc.run([str(program), str(scratch / _NAME)], cwd=work, timeout_s=_TIMEOUT_S)
        words = done.error_text or done.text
        if done.returncode != 0:
            last = words.splitlines()[-1] if words else f"exit status {done.returncode}"
            raise HostError(f"{program} failed: {last}", hint=f"run it: {program} /tmp/initrd")
        if not (scratch / _NAME).is_file():
            raise UsageError(f"{program} has not written the file it was given")

    entry = store.get_or_make("initrd", inputs, make)
    path = entry.path / _NAME
    return Initramfs(path=path, digest=digest_of_file(path)), entry
