"""Takes a pipeline, gives its kernel a prompt on this terminal; judges nothing.

Where the kernel has what that needs, virtme-ng boots it on the host's root, read-only; else the
scenario `shell` puts busybox into an initramfs.
"""

import re
import sys
from pathlib import Path

from harness import log, machine, proc, selection
from harness.errors import UsageError
from harness.job import Kernel
from harness.pipeline import Pipeline

SCENARIO = "shell"

# What mounting the host's root over 9p takes, all of it built in: the guest has no modules.
HOST_ROOT_SYMBOLS = (
    "PCI",
    "VIRTIO_PCI",
    "NET_9P_VIRTIO",
    "9P_FS",
    "TMPFS",
    "BINFMT_SCRIPT",
    "UNIX",
)


def can_mount_host_root(kernel: Kernel) -> bool:
    """Whether the kernel has what virtme-ng needs; a kernel of unknown .config is held not to."""
    if kernel.config is None:
        return False
    text = kernel.config.read_text()
    return all(re.search(rf"^CONFIG_{name}=y$", text, re.MULTILINE) for name in HOST_ROOT_SYMBOLS)


def argv_of(pipeline: Pipeline, *, on_host_root: bool) -> list[str]:
    """Return the command that gives the prompt, on this process's own terminal."""
    if on_host_root:
        return _virtme(pipeline)
    plan = selection.boots(pipeline.scenario, pipeline.flows)[0]
    argv = machine.compose(pipeline.spec_of(plan, pipeline.nonce), pipeline.arch, pipeline.accel)
    # A person's Ctrl-C is for the guest; Ctrl-A X ends QEMU all the same.
    argv[argv.index("stdio,id=console")] = "stdio,id=console,mux=on,signal=off"
    return [*argv, "-mon", "chardev=console,mode=readline"]


def _virtme(pipeline: Pipeline) -> list[str]:
    program = Path(sys.executable).with_name("virtme-run")
    return [
        str(program) if program.exists() else proc.which("virtme-run"),
        "--kimg", str(pipeline.kernel.image),
        # It would run depmod in a module tree, and try virtiofsd for three seconds.
        "--mods", "none",
        "--force-9p",
        # It takes any /dev/kvm that opens for one that works.
        *(["--disable-kvm"] if pipeline.accel == "tcg" else []),
        "--memory", f"{pipeline.job.memory_mib}M",
        "--cpus", "1",
        *[word for extra in pipeline.job.cmdline.split() for word in ("-a", extra)],
    ]  # fmt: skip


def run(pipeline: Pipeline, *, on_host_root: bool | None) -> None:
    """Become the guest's terminal; does not return.

    `on_host_root` is the user's choice, None to find out.

    Raises:
        UsageError: the host's root was chosen, and its programs are for another architecture.
        HostError: QEMU or virtme-run cannot be started.
    """
    arch = pipeline.arch
    if on_host_root and not arch.is_native:
        raise UsageError(
            f"--host-root: the programs of this machine do not run on {arch.name}",
            hint="--busybox has a root of its own",
        )
    if on_host_root is None:
        on_host_root = arch.is_native and can_mount_host_root(pipeline.kernel)
    argv = argv_of(pipeline, on_host_root=on_host_root)
    log.note(f"$ {proc.quote(argv)}")
    proc.become(argv)
