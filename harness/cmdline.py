"""The two command lines of a boot as text: the kernel's, and the script that repeats the boot."""

import re
from collections.abc import Mapping, Sequence

from harness import params, proc
from harness.arch import Arch
from harness.errors import UsageError


def kernel_cmdline(
    arch: Arch,
    words: str,
    *,
    nonce: str,
    flows: Sequence[str],
    flavors: Sequence[str] = (),
    has_disk: bool = False,
) -> str:
    """Return the whole kernel command line; the user's `words` stay as they are and come last.

    `has_disk`: the root is to be on a disk, sooner or later.

    Raises:
        UsageError: the words hold what a command line cannot, or the kernel would cut it short.
    """
    bad = re.search(r"[\x00-\x1f\x7f]", words)
    if bad:
        raise UsageError(f"--cmdline holds the control character {bad[0]!r}: {words!r}")
    names = {params.name_of(word) for word in params.parameters(words)}
    # With root= the word is for the disk's file system: tmpfs there mounts an empty one.
    is_rootfs_chosen = has_disk or "rootfstype" in names
    # Said here too: a scenario may ask for the TMPFS that the flavor takes away.
    rootfs = "ramfs" if "ramfs" in flavors else "tmpfs"
    parts = [
        f"console={arch.console}",
        # With QEMU's -no-reboot a panic ends the guest at once.
        "panic=-1",
        # The guest's records go through /dev/kmsg, which is rate-limited otherwise.
        "printk.devkmsg=on",
        arch.kernel_args,
        # Said even where it is the default: a root= among the words would make it a ramfs.
        "" if is_rootfs_chosen else f"rootfstype={rootfs}",
        f"harness.nonce={nonce}",
        f"harness.flow={','.join(flows)}" if flows else "",
        words.strip(),
    ]
    whole = " ".join(part for part in parts if part)
    if len(whole.encode()) > arch.cmdline_max:
        raise UsageError(
            f"the kernel command line has {len(whole.encode())} bytes, "
            f"{arch.name} keeps {arch.cmdline_max}",
            hint="shorten --cmdline, or name fewer flows",
        )
    return whole


def repro_script(argv: Sequence[str], *, names: Mapping[str, str]) -> str:
    """Return a POSIX sh script that repeats a boot with QEMU alone.

    `argv` is a transcript's. `names` gives what its files are called in the script, relative to
    the script's own folder, or absolute.
    """
    command = argv[0].rpartition("/")[2]
    for word in argv[1:]:
        for path, name in names.items():
            word = word.replace(path, name)  # noqa: PLW2901 - one after the other
        # One option a line, its value beside it.
        command += " \\\n    " if word.startswith("-") else " "
        command += proc.quote([word])
    return f"""\
#!/bin/sh
# Repeats one boot with QEMU alone: the console on this terminal, no verdict.
cd "$(dirname "$0")" || exit 128
{command}
status=$?
case $status in
0) echo "the guest was reset or powered off" ;;
1) echo "QEMU failed, or the guest exited with 0" ;;
33) echo "guest exit ok" ;;
*) echo "QEMU's exit status is $status: the guest exited with $((status >> 1))" ;;
esac
exit "$status"
"""
