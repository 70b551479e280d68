"""Where a guest hangs: what a person is told, from records, a stack and a console."""

import signal
from pathlib import Path

import pytest
import tiny_guest as guest
from test_functions import KERNEL, kernel_in

from harness import arch as arches
from harness import boot, console, functions, hangpoint
from harness.job import CpuPoint, EndReason, Hang
from harness.postmortem import _chain, _cpus
from harness.store import Store

ARCH = arches.load("x86_64")
BANNER = "[    0.000000] Linux version 6.18.5 (a@b)\n"
INIT = "[    0.400000] Run /init as init process\n"
BEGIN = "[    0.500000] harness: N 1 begin proto=1 flow=a\n"


def at(*chain: str, initcall: str = "", address: int = KERNEL, is_user: bool = False) -> Hang:
    point = CpuPoint(
        cpu=0,
        address=address,
        function=chain[0] if chain else "",
        callers=chain[1:],
        initcall=initcall,
        is_user=is_user,
    )
    return Hang(limit="no-progress", is_idle=False, cpus=(point,))


def where(text: str, hang: Hang | None = None) -> str:
    return hangpoint.where(console.parse(text.encode(), "N"), hang)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            f"{BANNER}{BEGIN}[ 0.6] x\n[    0.600000] harness: N 2 step a.b\n",
            "in init at step a.b", id="step",
        ),
        pytest.param(
            f"{BANNER}{BEGIN}", "in init after record 1 (begin proto=1 flow=a)", id="begin"
        ),
        pytest.param(
            f"{BANNER}{BEGIN}[    0.600000] harness: N 2 end count=2\n",
            "after its end record", id="end",
        ),
        pytest.param(BANNER + INIT, "in /init, before its first record", id="init"),
        pytest.param(
            f"{BANNER}[    0.3] x\n[    0.300000] Waiting for root device /dev/vda...\n",
            "in mounting the root file system", id="root",
        ),
        pytest.param(
            f"{BANNER}[    0.300000] Trying to unpack rootfs image as initramfs...\n",
            "in unpacking the initramfs", id="initramfs",
        ),
        pytest.param(
            f"{BANNER}[    0.300000] calling  slow_init+0x0/0x20 @ 1\n",
            "in initcall slow_init", id="initcall",
        ),
        pytest.param(
            f"{BANNER}[    0.200000] calling  slow_init+0x0/0x20 @ 1\n"
            "[    0.300000] initcall slow_init+0x0/0x20 returned 0 after 3 usecs\n",
            "while the kernel starts", id="between initcalls",
        ),
        # Userspace can print what it likes.
        pytest.param(
            f"{BANNER}calling  slow_init+0x0/0x20 @ 1\n", "while the kernel starts", id="forged"
        ),
    ],
)  # fmt: skip
def test_the_console_tells(text: str, told: str) -> None:
    assert where(text) == told
    # What sleeps has nobody's stack on a CPU.
    assert where(text, at("pv_native_safe_halt", "default_idle", "do_idle", "start_kernel")) == told


@pytest.mark.parametrize(
    ("hang", "told"),
    [
        (at("msleep", "wait_for_root", "prepare_namespace"), "in mounting the root file system"),
        (at("memcpy", "unpack_to_rootfs", "do_populate_rootfs"), "in unpacking the initramfs"),
        (at("ndelay", "f", "do_one_initcall", "kernel_init", initcall="f"), "in initcall f"),
        (at("x", "setup_arch", "start_kernel"), "in the start of the kernel, before its initcalls"),
        # The innermost that tells.
        (
            at("x", "wait_for_initramfs", "f", "do_one_initcall", initcall="f"),
            "in unpacking the initramfs",
        ),
        (at("do_one_initcall", "kernel_init"), "while the kernel starts"),
        (at("some_function"), "while the kernel starts"),
    ],
)
def test_the_stack_tells_before_the_lines(hang: Hang, told: str) -> None:
    assert where(BANNER, hang) == told


def test_records_tell_before_the_stack() -> None:
    assert where(BANNER + BEGIN, at("f", "do_one_initcall", initcall="f")).startswith("in init")


@pytest.mark.parametrize(
    ("hang", "told"),
    [
        (at(address=0x1234567), "in the decompressor, or before it"),
        (at(), "before the console"),
        (None, "before the console"),
        (at("f", "start_kernel"), "before the console, in the start of the kernel"),
        (at("f"), "before the console, while the kernel starts"),
    ],
)
def test_a_silent_console_leaves_the_address(hang: Hang | None, told: str) -> None:
    assert where("", hang).startswith(told)
    assert where("SeaBIOS (version 1.16)\n", hang).startswith(told)


def test_what_the_cpus_do_is_short() -> None:
    assert hangpoint.doing(at("a", "b", "c", "d", "e")) == "CPU 0 busy in a < b < c < d"
    assert hangpoint.doing(at(address=16)) == "CPU 0 busy at 0x10"
    assert hangpoint.doing(at(address=16, is_user=True)) == "CPU 0 busy in user space at 0x10"
    assert hangpoint.doing(Hang(limit="total", is_idle=True, cpus=())) == "idle"


# --- a stack ------------------------------------------------------------------------------


def test_the_initcall_is_what_the_stack_has_below_its_caller(tmp_path: Path) -> None:
    names = functions.load(kernel_in(tmp_path))
    assert names
    spin, call, init = KERNEL + 0x150, KERNEL + 0x210, KERNEL + 0x520
    chain = (["spin", "hang_init", "do_one_initcall"], "hang_init")
    assert _chain(names, [spin, 0, init, 7, call]) == chain
    # A pointer to a function is no way back into it.
    assert _chain(names, [spin, KERNEL + 0x200, init, call]) == chain
    # One that is not __init, and one that was called last.
    assert _chain(names, [spin, call])[1] == "spin"
    assert _chain(names, [call])[1] == ""
    assert _chain(names, [spin, init])[1] == ""


# --- real guests ----------------------------------------------------------------------------

SPIN = """
	jmp	spin_here
	.type	spin_here, @function
spin_here:
	jmp	spin_here
	.type	other, @function
other:	hlt
"""


def test_a_guest_is_found_in_its_function(tmp_path: Path, store: Store) -> None:
    image = guest.build(SPIN, tmp_path, store)
    transcript = boot.boot(
        guest.spec_of(image, ARCH, deadline_s=0.5), ARCH, store=store, accel="tcg"
    )
    assert transcript.ended is EndReason.DEADLINE
    assert transcript.hang is not None
    assert [(p.cpu, p.function) for p in transcript.hang.cpus] == [(0, "spin_here")]
    # QEMU was stopped and let go on to look, which is none of the guest's doing.
    assert [event.name for event in transcript.events] == ["RESUME"]
    assert len(_cpus(transcript.hang.registers)) == 3


# Answers a break on the serial line with what is typed then; says nothing otherwise.
LISTEN = """
	mov $0x3fd, %dx
wait:	inb %dx, %al
	test $1, %al
	jz wait
	mov $0x3f8, %dx
	inb %dx, %al
	test %al, %al
	jz next
	outb %al, %dx
next:	mov $0x3fd, %dx
	jmp wait
"""


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        pytest.param(LISTEN, b"lptw", id="answers"),
        pytest.param(LISTEN.replace("next:", guest.exit_with(16) + "; next:"), b"l", id="leaves"),
        pytest.param(LISTEN.replace("next:", guest.RESET_PORT + "; next:"), b"l", id="resets"),
    ],
)
def test_what_a_hung_guest_does_when_asked_is_not_judged(
    tmp_path: Path, store: Store, body: str, answer: bytes
) -> None:
    image = guest.build(guest.say(b"so far\n") + body, tmp_path, store)
    transcript = boot.boot(
        guest.spec_of(image, ARCH, deadline_s=0.5), ARCH, store=store, accel="tcg"
    )
    assert (transcript.ended, transcript.status) == (EndReason.DEADLINE, -signal.SIGKILL)
    assert transcript.console == b"so far\n"
    assert transcript.hang is not None
    assert transcript.hang.answer == answer
