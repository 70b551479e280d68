"""Guests of a few instructions, as real as any to QEMU, that need no kernel and no time."""

from pathlib import Path

from harness import accel
from harness import arch as arches
from harness.arch import Arch
from harness.job import BootSpec, Initramfs, Kernel
from harness.store import Store

ARCH = arches.load("x86_64")

_HEAD = """\
	.section .note.pvh, "a", @note
	.long	4, 4, 18
	.asciz	"Xen"
	.long	start32
	.text
	.code32
	.globl	start32
start32:
"""

_TAIL = """
	.section .note.GNU-stack, "", @progbits
"""

# The ways out.
TRIPLE_FAULT = "lidt nowhere; int3; nowhere: .quad 0"
RESET_PORT = "mov $0xcf9, %dx; mov $6, %al; outb %al, %dx; hang: hlt; jmp hang"
KEYBOARD_RESET = "mov $0xfe, %al; outb %al, $0x64; hang: hlt; jmp hang"
SPIN = "spin: jmp spin"
HALT = "cli; hlt; halted: jmp halted"
# Enables the power management block of q35 at 0x600, and asks it for S5.
POWER_OFF = """
	mov $0xcf8, %dx; mov $0x8000f840, %eax; outl %eax, %dx
	mov $0xcfc, %dx; mov $0x601, %eax; outl %eax, %dx
	mov $0xcf8, %dx; mov $0x8000f844, %eax; outl %eax, %dx
	mov $0xcfc, %dx; mov $0x80, %al; outb %al, %dx
	mov $0x604, %dx; mov $0x2000, %ax; outw %ax, %dx
	hang: hlt; jmp hang
"""


def exit_with(value: int) -> str:
    """Leave by the exit device: QEMU's exit status is (value << 1) | 1."""
    return f"mov ${value}, %eax; outl %eax, $0xf4; gone: hlt; jmp gone"


def say(data: bytes, times: int = 1) -> str:
    """Write bytes on the serial port, as often as said; none while it has one to send."""
    values = ", ".join(map(str, data))
    return f"""
	mov ${times}, %ebx
1:	mov $3f, %esi
	mov ${len(data)}, %ecx
2:	mov $0x3fd, %dx
5:	inb %dx, %al
	test $0x20, %al
	jz 5b
	mov $0x3f8, %dx
	lodsb
	outb %al, %dx
	loop 2b
	dec %ebx
	jnz 1b
	jmp 4f
3:	.byte {values}
4:
"""


def build(body: str, folder: Path, store: Store) -> Path:
    """Assemble a guest that starts with `body`, in 32-bit protected mode."""
    source = folder / "guest.S"
    source.write_text(_HEAD + body + _TAIL)
    return accel.build_guest(source, ARCH, store)


def spec_of(
    kernel: Path,
    arch: Arch,
    *,
    deadline_s: float = 20,
    memory_mib: int = 64,
    cmdline: str = "",
    banner: str = "",
) -> BootSpec:
    """Boot `kernel` with itself as initramfs, which it does not read."""
    return BootSpec(
        arch=arch.name,
        kernel=Kernel(
            arch=arch.name, release="", banner=banner, image=kernel, digest="", built=False
        ),
        initramfs=Initramfs(path=kernel, digest=""),
        cmdline=cmdline,
        nonce="0",
        deadline_s=deadline_s,
        memory_mib=memory_mib,
    )
