"""Guests of a few instructions for QEMU's arm64 machine; see tiny_guest for x86_64's."""

import shutil
from pathlib import Path

import pytest

from harness import accel
from harness import arch as arches
from harness.store import Store

ARCH = arches.load("arm64")
needed = pytest.mark.skipif(
    not all(map(shutil.which, (ARCH.qemu, f"{ARCH.cross_compile}gcc"))),
    reason="there is no QEMU or no compiler for arm64; `harness doctor` names the packages",
)

_HEAD = "\t.text\n\t.globl start\nstart:\n"
_TAIL = '\n\t.section .note.GNU-stack, "", @progbits\n'


# The ways out: QEMU is the firmware that PSCI asks.
POWER_OFF = "ldr w0, =0x84000008; hvc #0; off: b off"
RESET = "ldr w0, =0x84000009; hvc #0; off: b off"
SPIN = "spin: b spin"


def say(data: bytes) -> str:
    """Write bytes on the PL011."""
    values = ", ".join(map(str, data))
    return f"""
	adr x0, text
	ldr x1, =0x09000000
	mov x2, #{len(data)}
more:	ldrb w3, [x0], #1
	str w3, [x1]
	subs x2, x2, #1
	b.ne more
	b said
text:	.byte {values}
	.balign 4
said:
"""


def build(body: str, folder: Path, store: Store) -> Path:
    """Assemble a guest that starts with `body`, at EL1."""
    source = folder / "guest-arm64.S"
    source.write_text(_HEAD + body + _TAIL)
    return accel.build_guest(source, ARCH, store)
