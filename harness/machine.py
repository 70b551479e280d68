"""Takes what is to boot and an accelerator, gives QEMU's command line: a machine and no more.

The only module that imports virtme-ng, which knows QEMU's options by architecture.
"""

import os
from pathlib import Path

import msgspec
import virtme.architectures

from harness import accel as accels
from harness.arch import Arch
from harness.job import BootSpec


def compose(spec: BootSpec, arch: Arch, accel: str) -> list[str]:
    """Return QEMU's command line: a guest that sees nothing of this machine.

    The console is QEMU's own stdin and stdout.
    """
    known = virtme.architectures.get(arch.virtme)
    return [
        arch.qemu,
        # Nothing but what is named here: no network, no disk, none of the user's settings.
        "-nodefaults",
        "-no-user-config",

        # Its threads tell by their names which of them are the guest's CPUs.
        "-name", "debug-threads=on",
        *_machine(arch, accel),
        "-accel", accel,
        # One, unless the boot asks: a second slows a tiny kernel down under TCG, and reorders
        # its console.
        "-smp", str(spec.cpus),
        "-m", f"{spec.memory_mib}M",
        *(["-bios", arch.bios] if arch.bios else []),

        *known.qemu_nodisplay_args(),
        "-chardev", "stdio,id=console",
        *known.qemu_serial_console_args(),
        *(["-device", arch.exit_device] if arch.exit_device else []),

        # A reset, be it asked for or a triple fault, ends QEMU, and QMP says it was one.
        "-no-reboot",
        "-kernel", os.fspath(spec.kernel.image),
        *(["-initrd", os.fspath(spec.initramfs.path)] if spec.initramfs else []),
        *(_disk(spec.disk, spec.disk_device) if spec.disk else []),
        "-append", spec.cmdline,
    ]  # fmt: skip


def _disk(image: Path, device: str) -> list[str]:
    # What the guest writes is gone with it: the image is the cache's. QEMU wants commas twice.
    file = os.fspath(image).replace(",", ",,")
    drive = f"if=none,id=disk,format=raw,snapshot=on,file={file}"
    return ["-drive", drive, "-device", device]


def _machine(arch: Arch, accel: str) -> list[str]:
    """Return virtme-ng's machine and CPU with the row's choice in place of its own."""
    is_kvm = accel == accels.KVM
    own = {
        "-machine": arch.machine_kvm if is_kvm else arch.machine_tcg,
        "-cpu": arch.cpu_kvm if is_kvm else arch.cpu_tcg,
    }
    known = virtme.architectures.get(arch.virtme)
    words = known.qemuargs(arch.is_native, is_kvm, use_gpu=False)
    # Its watchdog is left out: one more PCI device to scan, and a guest that hangs is found by
    # the deadline.
    kept = [
        (option, value)
        for option, value in zip(words[::2], words[1::2], strict=True)
        if option not in {*own, "-M"} and not value.startswith("i6300esb")
    ]
    return [word for pair in (*own.items(), *kept) for word in pair]


def with_firmware_of(arch: Arch, qemu: str) -> Arch:
    """Return `arch` with its firmware if this QEMU brings it, else with the machine's own."""
    # QEMU finds it by name; whether it is there is seen only relative to the binary.
    folder = Path(qemu).resolve().parent.parent / "share" / "qemu"
    return arch if (folder / arch.bios).is_file() else msgspec.structs.replace(arch, bios="")
