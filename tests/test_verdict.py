"""Every way a boot can fail to be a pass, and the few ways it can be one."""

import ast
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import console_corpus
import msgspec
import pytest

from harness import console, evidence, logwatch, verdict
from harness.errors import Outcome
from harness.job import (
    Allowance,
    Booted,
    BootPlan,
    BootSpec,
    CpuPoint,
    EndReason,
    Expectation,
    Hang,
    Kernel,
    LogObservation,
    NotBooted,
    QmpEvent,
    Scenario,
    Transcript,
    VariantRule,
    Verdict,
)

NONCE = "7f3a9c21"
CMDLINE = f"console=ttyS0 panic=-1 harness.nonce={NONCE} harness.flow=pivot,keep nullfs_rootfs"
BANNER = "Linux version 6.18.5 (harness@harness) (gcc 12.2.0) #1 SMP"

KERNEL = Kernel(
    arch="x86_64",
    release="6.18.5",
    banner="Linux version 6.18.5 (harness@harness)",
    image=Path("/store/vmlinux"),
    digest="d",
    built=True,
)


def _expect(observe: str, claim: str, flow: str, **values: str) -> Expectation:
    return Expectation(observe=observe, claim=claim, flow=flow, values=tuple(values.items()))


SCENARIO = Scenario(
    name="nullfs",
    path=Path("/initramfs/nullfs"),
    title="t",
    sources=(),
    flows=("pivot", "keep", "legacy"),
    default_flows=("pivot",),
    variants=(VariantRule(name="nullfs", option="nullfs_rootfs"), VariantRule(name="rootfs")),
    expectations=(
        _expect("pivot.pivot_root", "cover letter", "pivot", nullfs="0", rootfs="EINVAL"),
        _expect("pivot.umount2", "cover letter", "pivot", nullfs="0"),
        _expect("root.mnt_id", "patch 1", "*", nullfs="2", rootfs="1"),
        _expect("keep.pivot_root", "cover letter", "keep", nullfs="0", rootfs="EINVAL"),
        _expect("legacy.move", "cover letter", "legacy", nullfs="0", rootfs="0"),
        _expect("*.on_nullfs", "patch 3", "*", nullfs="yes", rootfs="no"),
        _expect("*.failed", "patch 3", "*", nullfs="no", rootfs="no"),
    ),
    log_observations=(
        LogObservation(observe="*.on_nullfs", text="Finished mounting rootfs on nullfs", flow="*"),
        LogObservation(observe="*.failed", text="Failed to pivot", flow="*"),
    ),
)

KNOWN = Allowance(
    title="WARNING in known_.*",
    reason="there before the series",
    expires=date(2027, 3, 1),
    file=Path("/allow.toml"),
)
EXPIRED = msgspec.structs.replace(KNOWN, is_expired=True)

RECORDS = (
    "begin proto=1 flow=pivot,keep",
    "observe root.mnt_id=2",
    "observe root.name=a%20b",
    "step pivot.pivot_root",
    "observe pivot.pivot_root=0",
    "observe pivot.umount2=0",
    "step keep.pivot_root",
    "observe keep.pivot_root=0",
)


@dataclass(frozen=True)
class Boot:
    """A boot that passes, until something in it is changed."""

    banner: str | None = BANNER
    cmdline: str | None = CMDLINE
    early: tuple[str, ...] = ("VFS: Finished mounting rootfs on nullfs",)
    records: tuple[str, ...] = RECORDS
    end: str | None = "end count={count}"
    late: tuple[str, ...] = ()
    raw: str | None = None
    nonce: str = NONCE
    job_cmdline: str = "nullfs_rootfs"
    full_cmdline: str = CMDLINE
    kernel: Kernel = KERNEL
    scenario: Scenario = SCENARIO
    allowances: tuple[Allowance, ...] = (KNOWN,)
    variant: str = "nullfs"
    flows: tuple[str, ...] = ("pivot", "keep")
    observe: tuple[str, ...] = ()
    ended: EndReason = EndReason.GUEST_EXIT
    status: int | None = 33
    events: tuple[tuple[str, str], ...] = field(default=(("RESUME", "{}"),))
    stderr: str = ""
    note: str = ""
    hang: Hang | None = None
    pause_s: float = 0.0

    def with_(self, **changes: Any) -> "Boot":
        return replace(self, **changes)

    def text(self) -> str:
        if self.raw is not None:
            return self.raw
        lines = [] if self.banner is None else [f"[    0.000000] {self.banner}"]
        if self.cmdline is not None:
            lines.append(f"[    0.012345] Kernel command line: {self.cmdline}")
        lines += [f"[    0.300000] {text}" for text in self.early]
        end = () if self.end is None else (self.end.format(count=len(self.records) + 1),)
        number = 0
        for text in (*self.records, *end):
            # A line that begins with `!` is the kernel's, one with `>` userspace's.
            if text[0] in "!>":
                lines.append(f"[    0.500000] {text[1:]}" if text[0] == "!" else text[1:])
                continue
            number += 1
            lines.append(f"[    0.500000] harness: {self.nonce} {number} {text}")
        lines += [f"[    0.600000] {t[1:]}" if t[0] == "!" else t[1:] for t in self.late]
        return "".join(f"{line}\r\n" for line in lines)

    def judge(self) -> Verdict:
        data = self.text().encode()
        transcript = Transcript(
            console=data,
            ended=self.ended,
            status=self.status,
            events=tuple(QmpEvent(name=n, data=d, seconds=0.1) for n, d in self.events),
            seconds=2.5,
            accel="tcg",
            argv=("qemu-system-x86_64",),
            qemu_stderr=self.stderr,
            note=self.note,
            hang=self.hang,
            pause_s=self.pause_s,
        )
        plan = BootPlan(flows=self.flows, observe=self.observe)
        seen = logwatch.add(
            console.parse(data, NONCE, watch=logwatch.words(self.scenario)), self.scenario, plan
        )
        return verdict.judge(
            words=self.job_cmdline,
            full_cmdline=self.full_cmdline,
            nonce=NONCE,
            kernel=self.kernel,
            scenario=self.scenario,
            plan=plan,
            variant=self.variant,
            transcript=transcript,
            console=seen,
            allowances=self.allowances,
        )


GOOD = Boot()
WARN = f"WARNING: CPU: 0 PID: 1 at fs/namespace.c:1 {{}}+0x1/0x2\n---[ end trace {'0' * 16} ]---"
KTAP_SCENARIO = msgspec.structs.replace(
    SCENARIO, expectations=(), log_observations=(), needs_ktap=True
)
BARE_SCENARIO = msgspec.structs.replace(SCENARIO, expectations=(), log_observations=())
UNKNOWN = 'Unknown kernel command line parameters "{}", will be passed to user space.'
SHUTDOWN = ("SHUTDOWN", '{"guest": true, "reason": "guest-shutdown"}')
RESET = ("SHUTDOWN", '{"guest": true, "reason": "guest-reset"}')


def _kernel(text: str) -> tuple[str, ...]:
    return tuple(f"!{line}" for line in text.split("\n"))


def _without(name: str) -> tuple[str, ...]:
    return tuple(record for record in RECORDS if name not in record)


def _swap(old: str, new: str) -> tuple[str, ...]:
    assert any(old in record for record in RECORDS)
    return tuple(record.replace(old, new) for record in RECORDS)


# --- a pass ---------------------------------------------------------------------------------------

PASSES = {
    "as it should be": GOOD,
    "the control": GOOD.with_(
        variant="rootfs",
        job_cmdline="",
        cmdline=CMDLINE.removesuffix(" nullfs_rootfs"),
        full_cmdline=CMDLINE.removesuffix(" nullfs_rootfs"),
        early=(),
        records=(
            "begin proto=1 flow=pivot",
            "observe root.mnt_id=1",
            "observe pivot.pivot_root=EINVAL",
        ),
        flows=("pivot",),
    ),
    "shutdown where there is no exit device": GOOD.with_(
        ended=EndReason.GUEST_SHUTDOWN, status=0, events=(SHUTDOWN,)
    ),
    "announced reboot without a right to the port": GOOD.with_(
        ended=EndReason.GUEST_RESET, status=0, events=(RESET,), late=("!reboot: Restarting system",)
    ),
    "forbidden words of userspace, on a line with the kernel's": GOOD.with_(
        late=(">says Failed to pivot[    0.700000] clocksource: tsc",)
    ),
    "kernel lines after the end": GOOD.with_(late=("!ACPI: PM: Preparing to enter system sleep",)),
    "allowed splat": GOOD.with_(early=(*GOOD.early, *WARN.format("known_one").split("\n"))),
    "allowed by one, by another no more": GOOD.with_(
        early=(*GOOD.early, *WARN.format("known_one").split("\n")), allowances=(EXPIRED, KNOWN)
    ),
    "unknown parameter that the job did not give": GOOD.with_(
        early=(
            *GOOD.early,
            UNKNOWN.format("x=nullfs_rootfs"),
        ),
    ),
    "image whose banner is not known": GOOD.with_(
        kernel=msgspec.structs.replace(KERNEL, banner=""), banner="Linux version 7.1.0 (x)"
    ),
    "command line spaced otherwise": GOOD.with_(full_cmdline=CMDLINE.replace(" ", "  ")),
    "command line longer than printk prints": GOOD.with_(
        cmdline=CMDLINE + " a" * 500, full_cmdline=CMDLINE + " a" * 600
    ),
    "no expectations, whole records": GOOD.with_(scenario=BARE_SCENARIO),
    "KTAP and nothing else": GOOD.with_(
        scenario=KTAP_SCENARIO,
        records=(">TAP version 13", ">1..1", ">ok 1 a"),
        end=None,
        ended=EndReason.GUEST_SHUTDOWN,
        status=0,
    ),
    "KTAP and an announced reboot": GOOD.with_(
        scenario=KTAP_SCENARIO,
        records=(">TAP version 13", ">1..1", ">ok 1 a", "!reboot: Restarting system"),
        end=None,
        ended=EndReason.GUEST_RESET,
        status=0,
        events=(RESET,),
    ),
    "KTAP and records": GOOD.with_(
        scenario=KTAP_SCENARIO,
        records=(*RECORDS, ">TAP version 13", ">1..1", ">ok 1 a"),
        end="end count=9",
    ),
}


@pytest.mark.parametrize("boot", PASSES.values(), ids=PASSES.keys())
def test_pass(boot: Boot) -> None:
    found = boot.judge()
    assert found.outcome is Outcome.PASS, found
    assert all(check.ok for check in found.checks)


def test_pass_says_what_it_rests_on() -> None:
    found = GOOD.judge()
    assert found.reason == "all 6 expectations hold for variant nullfs"
    assert found.evidence == (f"line 12: [    0.500000] harness: {NONCE} 9 end count=9",)
    assert found.unexpected == ("root.name",)
    assert [check.name for check in found.checks] == [
        "pivot.pivot_root",
        "pivot.umount2",
        "root.mnt_id",
        "keep.pivot_root",
        "pivot.on_nullfs",
        "pivot.failed",
    ]


def test_checks_are_those_of_the_variant_and_the_flows() -> None:
    names = [check.name for check in PASSES["the control"].judge().checks]
    assert names == ["pivot.pivot_root", "root.mnt_id", "pivot.on_nullfs", "pivot.failed"]


def test_pass_by_ktap_says_so() -> None:
    assert PASSES["KTAP and nothing else"].judge().reason == "1 KTAP test passed"


# --- no pass: (boot, outcome, what the reason says, what the evidence says) -----------------------

Case = tuple[Boot, Outcome, str, str]

# fmt: off
HOST: dict[str, Case] = {
    "QEMU does not start": (
        GOOD.with_(raw="", ended=EndReason.QEMU_FAILED, status=None, stderr="no such file\n"),
        Outcome.HOST_ERROR, "QEMU did not start: no such file", "no such file",
    ),
    "QEMU is killed": (
        GOOD.with_(end=None, ended=EndReason.QEMU_FAILED, status=-9),
        Outcome.HOST_ERROR, "QEMU was killed by signal 9", "",
    ),
    "QEMU fails after an oops of the guest": (
        GOOD.with_(
            late=_kernel("BUG: kernel NULL pointer dereference, address: 0"),
            ended=EndReason.QEMU_FAILED,
            status=1,
            stderr="qemu: warning: x\nKVM internal error\n\n",
        ),
        Outcome.HOST_ERROR, "QEMU failed with exit status 1: KVM internal error", "KVM internal",
    ),
    "the tool stops what QEMU stopped": (
        GOOD.with_(ended=EndReason.QEMU_FAILED, status=-15, note="QEMU stopped the guest"),
        Outcome.HOST_ERROR, "signal 15: QEMU stopped the guest", "",
    ),
}

NOTHING = GOOD.with_(raw="")
SEABIOS = GOOD.with_(raw="SeaBIOS (version 1.16.2)\r\n\r\nBooting from ROM...\r\n")
SILENCE: dict[str, Case] = {
    "nothing until the deadline": (
        NOTHING.with_(ended=EndReason.DEADLINE, status=-9),
        Outcome.NO_OUTPUT, "the console shows nothing", "",
    ),
    "nothing, and a good exit": (NOTHING, Outcome.NO_OUTPUT, "the console shows nothing", ""),
    "firmware alone": (
        SEABIOS.with_(ended=EndReason.DEADLINE, status=-9),
        Outcome.NO_OUTPUT, "3 line(s), none of them the kernel's", "line 3: Booting from ROM",
    ),
    "reset before the first word": (
        SEABIOS.with_(ended=EndReason.GUEST_RESET, status=0, events=(RESET,)),
        Outcome.RESET, "before the kernel said a word", "Booting",
    ),
    "panic before the console": (
        NOTHING.with_(ended=EndReason.GUEST_PANIC, status=0, events=(("GUEST_PANICKED", "{}"),)),
        Outcome.PANIC, "reported a panic to QEMU and printed none: the console is empty", "",
    ),
}

FOUND = Hang(
    limit="no-progress",
    is_idle=True,
    cpus=(CpuPoint(cpu=0, address=1, function="f", callers=("g",)),),
)
HANG = GOOD.with_(end=None, ended=EndReason.DEADLINE, status=-9)
ENDING: dict[str, Case] = {
    "hang in a step": (
        HANG.with_(records=RECORDS[:4]),
        Outcome.HANG, "had not ended after 2.5 s: it was about to: pivot.pivot_root", "step pivot",
    ),
    "hang between steps": (
        HANG.with_(records=RECORDS[:3]),
        Outcome.HANG, "its last record: observe root.name=a b", "line 6",
    ),
    "hang before init": (
        HANG.with_(records=()),
        Outcome.HANG, 'the last line: "[    0.300000] VFS: Finished mounting rootfs', "line 3",
    ),
    "hang after empty lines": (
        HANG.with_(records=(), late=(">", "> ")),
        Outcome.HANG, 'the last line: "[    0.300000] VFS: Finished mounting rootfs', "line 3",
    ),
    "hang of a kernel that marks no lines": (
        HANG.with_(raw=f"{BANNER}\r\n"), Outcome.HANG, "had not ended after 2.5 s", "line 1",
    ),
    "ended by the tool without a word": (
        HANG.with_(ended=EndReason.HOST_QUIT), Outcome.HANG, "it would not end by itself", "",
    ),
    "panic that QEMU saw, without an event": (
        HANG.with_(ended=EndReason.GUEST_PANIC), Outcome.PANIC, "reported a panic to QEMU", "",
    ),
    "hang at shutdown": (
        HANG.with_(end=GOOD.end),
        Outcome.HANG, "the guest had done all and did not end, after 2.5 s: the last line", "end c",
    ),
    "hang of which it is known where": (
        HANG.with_(records=RECORDS[:4], note="no progress for 2 s", hang=FOUND),
        Outcome.HANG,
        "after 2.5 s (no progress for 2 s): in init at step pivot.pivot_root; CPU 0 idle in f < g",
        "step pivot",
    ),
    "hang before the first word": (
        HANG.with_(raw="", hang=FOUND), Outcome.NO_OUTPUT,
        "the console shows nothing: it hung before the console, while the kernel starts; CPU 0", "",
    ),
    "a machine that did not run the guest": (
        HANG.with_(ended=EndReason.STARVED, note="in 600 s this machine gave the guest 0.1 s"),
        Outcome.HOST_ERROR, "not a hang: in 600 s this machine gave the guest 0.1 s", "",
    ),
    "ended by the tool": (
        HANG.with_(ended=EndReason.HOST_QUIT, note="its console had passed 64 MiB"),
        Outcome.HANG, "was ended after 2.5 s, its console had passed 64 MiB", "line 11",
    ),
    "silent reset": (
        GOOD.with_(end=None, records=RECORDS[:4], ended=EndReason.GUEST_RESET, status=0),
        Outcome.RESET, "(a triple fault?): it was about to: pivot.pivot_root", "step",
    ),
    "reset after the end that nobody announced": (
        GOOD.with_(ended=EndReason.GUEST_RESET, status=0, events=(RESET,), late=("!tsc: x",)),
        Outcome.RESET, "without a word of why", "end count=9",
    ),
    "reset that only userspace announced": (
        GOOD.with_(ended=EndReason.GUEST_RESET, status=0, late=(">reboot: Restarting system",)),
        Outcome.RESET, "without a word of why", "end count=9",
    ),
    "reset that QEMU carried out": (
        GOOD.with_(events=(("RESET", '{"guest": true, "reason": "guest-reset"}'),)),
        Outcome.RESET, "without a word of why", "",
    ),
    "reset announced, but before the end": (
        GOOD.with_(
            ended=EndReason.GUEST_RESET,
            status=0,
            records=("!reboot: Restarting system", *RECORDS),
            end="end count=9",
        ),
        Outcome.RESET, "without a word of why", "",
    ),
    "announced reboot before all is done": (
        GOOD.with_(
            end=None, ended=EndReason.GUEST_RESET, status=0, late=("!reboot: Restarting system",)
        ),
        Outcome.RESET, "without a word of why", "Restarting",
    ),
    "QMP saw a reset where the exit status is good": (
        GOOD.with_(events=(RESET,)),
        Outcome.RESET, "without a word of why", "",
    ),
    "QMP saw a panic where the exit status is good": (
        GOOD.with_(events=(("GUEST_PANICKED", '{"action": "pause"}'),)),
        Outcome.PANIC, "reported a panic to QEMU", "",
    ),
    "shutdown because of a panic": (
        GOOD.with_(events=(("SHUTDOWN", '{"reason": "guest-panic"}'),)),
        Outcome.PANIC, "reported a panic to QEMU", "",
    ),
    "another exit status": (
        GOOD.with_(status=35),
        Outcome.FAIL, "QEMU exited with 35, expected 33", "end count",
    ),
    "exit status of a shutdown where the device was used": (
        GOOD.with_(status=0),
        Outcome.FAIL, "QEMU exited with 0, expected 33", "",
    ),
    "shutdown with a status": (
        GOOD.with_(ended=EndReason.GUEST_SHUTDOWN, status=1),
        Outcome.FAIL, "QEMU exited with 1 after the guest shut down, expected 0", "",
    ),
}

IDENTITY: dict[str, Case] = {
    "second boot": (
        GOOD.with_(late=(f"!{BANNER}",)),
        Outcome.RESET, "a second boot banner", "line 13",
    ),
    "second boot that passes": (
        GOOD.with_(raw=GOOD.with_(end=None, records=RECORDS[:2]).text() + GOOD.text()),
        Outcome.RESET, "a second boot banner", "line 6",
    ),
    "another kernel": (
        GOOD.with_(banner="Linux version 6.18.50 (harness@harness)"),
        Outcome.FAIL, "another kernel ran than the one under test, 6.18.5", "6.18.50",
    ),
    "no banner": (GOOD.with_(banner=None), Outcome.FAIL, "no `Linux version` banner", "end count"),
    "no command line": (GOOD.with_(cmdline=None), Outcome.FAIL, "no `Kernel command line:`", ""),
    "another command line": (
        GOOD.with_(cmdline=CMDLINE + " quiet"),
        Outcome.FAIL, "another command line than the job's", f"expected: {CMDLINE}",
    ),
    "command line cut where printk does not cut": (
        GOOD.with_(cmdline=CMDLINE.removesuffix("_rootfs")),
        Outcome.FAIL, "another command line", "",
    ),
    "another command line, longer than printk prints": (
        GOOD.with_(cmdline=CMDLINE + " b" * 500, full_cmdline=CMDLINE + " a" * 600),
        Outcome.FAIL, "another command line", "",
    ),
    "unknown parameter of the job": (
        GOOD.with_(early=(UNKNOWN.format("a nullfs_rootfs"), *GOOD.early)),
        Outcome.FAIL,
        'not know "nullfs_rootfs": it was passed to user space, so the option was not tested',
        "line 3: [    0.300000] Unknown kernel",
    ),
    "unknown parameters outrank what they cause": (
        GOOD.with_(
            job_cmdline='nullfs_rootfs=1 text="a b" -- x',
            early=(UNKNOWN.format("nullfs_rootfs=1 text=a b x"),),
            records=_swap("root=0", "root=EINVAL"),
        ),
        Outcome.FAIL, 'does not know "nullfs_rootfs=1", "text=a": they were passed', "EINVAL",
    ),
}

OOPS = "BUG: kernel NULL pointer dereference, address: 0\nRIP: 0010:nullfs_x+0x1/0x2"
PANIC = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009"
SPLATS: dict[str, Case] = {
    "warning": (
        GOOD.with_(early=(*GOOD.early, *WARN.format("bad_one").split("\n"))),
        Outcome.WARN, "WARNING in bad_one", "line 4: WARNING: CPU: 0 PID: 1",
    ),
    "warning that is allowed no more": (
        GOOD.with_(
            early=(*GOOD.early, *WARN.format("known_one").split("\n")), allowances=(EXPIRED,)
        ),
        Outcome.WARN, "WARNING in known_one", "line 4: WARNING: CPU: 0 PID: 1",
    ),
    "warning of another kind than is allowed": (
        GOOD.with_(
            early=(*GOOD.early, *WARN.format("known_one").split("\n")),
            allowances=(msgspec.structs.replace(KNOWN, kind="kasan"),),
        ),
        Outcome.WARN, "WARNING in known_one", "line 4: WARNING: CPU: 0 PID: 1",
    ),
    "allowed panic, since nothing proves a pass": (
        GOOD.with_(
            end=None,
            late=_kernel(PANIC),
            ended=EndReason.GUEST_PANIC,
            status=0,
            allowances=(msgspec.structs.replace(KNOWN, title="panic: Attempted to kill init!.*"),),
        ),
        Outcome.PANIC, "", "",
    ),
    "warning whose title is allowed in part": (
        GOOD.with_(early=(*GOOD.early, *WARN.format("unknown_one").split("\n"))),
        Outcome.WARN, "WARNING in unknown_one", "",
    ),
    "splat after the end": (
        GOOD.with_(late=_kernel(WARN.format("bad_one"))),
        Outcome.WARN, "WARNING in bad_one", "line 13",
    ),
    "oops that panics": (
        GOOD.with_(
            end=None,
            records=(*RECORDS[:4], *_kernel(OOPS), *_kernel(PANIC)),
            ended=EndReason.GUEST_PANIC,
            status=0,
        ),
        Outcome.OOPS,
        "oops: NULL pointer dereference in nullfs_x",
        "then: line 10: panic: Attempted",
    ),
    "panic alone": (
        GOOD.with_(
            end=None, records=(*RECORDS[:4], *_kernel(PANIC)), ended=EndReason.GUEST_RESET, status=0
        ),
        Outcome.PANIC, "panic: Attempted to kill init! exitcode=0x00000009", "line 8",
    ),
    "lockup on a machine that did not run the guest": (
        HANG.with_(
            records=(*RECORDS[:4], "!watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [init:1]"),
            pause_s=20.4,
        ),
        Outcome.HOST_ERROR, "but this machine hardly ran the guest for 20 s", "line 8",
    ),
    "lockup, then the deadline": (
        HANG.with_(
            records=(*RECORDS[:4], "!watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [init:1]")
        ),
        Outcome.HANG, "soft lockup", "line 8",
    ),
    "panic with all said and a good status": (
        GOOD.with_(late=_kernel(PANIC)),
        Outcome.PANIC, "panic: Attempted", "line 13",
    ),
    "oops before a wrong result": (
        GOOD.with_(
            records=(*_kernel(OOPS), *_swap("umount2=0", "umount2=EBUSY")), end="end count=9"
        ),
        Outcome.OOPS, "NULL pointer", "then: line 11: pivot.umount2 is EBUSY",
    ),
}

GUEST: dict[str, Case] = {
    "wrong result": (
        GOOD.with_(records=_swap("pivot.pivot_root=0", "pivot.pivot_root=EINVAL")),
        Outcome.FAIL, "pivot.pivot_root is EINVAL, expected 0 (cover letter)", "line 8",
    ),
    "wrong results, told by the first on the console": (
        GOOD.with_(records=_swap("=0", "=EPERM")),
        Outcome.FAIL, "pivot.pivot_root is EPERM, expected 0 (cover letter), and 2 more", "line 11",
    ),
    "result that is a prefix of the right one": (
        GOOD.with_(records=_swap("umount2=0", "umount2=00")),
        Outcome.FAIL, "umount2 is 00", "",
    ),
    "right and wrong": (
        GOOD.with_(records=(*RECORDS, "observe pivot.umount2=EBUSY")),
        Outcome.FAIL, "pivot.umount2 is EBUSY, expected 0", "line 12",
    ),
    "not observed": (
        GOOD.with_(records=_without("umount2")),
        Outcome.FAIL, "pivot.umount2 was not observed, expected 0 (cover letter)", "",
    ),
    "more than one not observed": (
        GOOD.with_(records=(RECORDS[0],)),
        Outcome.FAIL,
        "pivot.pivot_root was not observed, expected 0 (cover letter), and 3 more",
        "",
    ),
    "what any flow should see, in neither": (
        GOOD.with_(records=_without("mnt_id")),
        Outcome.FAIL, "root.mnt_id was not observed", "",
    ),
    "guest could not ask": (
        GOOD.with_(records=(*RECORDS[:3], "fault mount /x:%20ENOENT")),
        Outcome.FAIL, "the guest could not ask: mount /x: ENOENT", "line 7",
    ),
    "guest could not begin": (
        GOOD.with_(records=(">harness: mount /proc: No such device",), end=None),
        Outcome.FAIL, "the guest did not begin: mount /proc: No such device", "line 4",
    ),
    "no record at all": (
        GOOD.with_(records=(), end=None),
        Outcome.FAIL, f"no record with this boot's nonce {NONCE}", "line 3",
    ),
    "records of another boot": (
        GOOD.with_(nonce="0badc0de"),
        Outcome.FAIL, "the guest did not begin: 0badc0de 1 begin", "",
    ),
    "end without an end record": (
        GOOD.with_(end=None),
        Outcome.FAIL, "the guest did not come to its end: its last record", "",
    ),
    "end after words of init": (
        GOOD.with_(end=None, late=(">harness: write /dev/kmsg: Invalid argument",)),
        Outcome.FAIL, "did not come to its end: write /dev/kmsg: Invalid argument", "",
    ),
    "stray record": (
        GOOD.with_(records=(*RECORDS, "!harness: 0badc0de 3 observe x=1"), end="end count=9"),
        Outcome.FAIL, "not of this boot, or cannot be read: harness: 0badc0de", "line 12",
    ),
    "count of more": (
        GOOD.with_(end="end count=12"),
        Outcome.FAIL, "wrote 12 records, 9 arrived", "line 12",
    ),
    "record lost": (
        GOOD.with_(raw="\n".join(t for t in GOOD.text().split("\r\n") if "umount2" not in t)),
        Outcome.FAIL, "record 6 is missing: record 7 is in its place", "line 9",
    ),
    "first record lost": (
        GOOD.with_(raw="\n".join(t for t in GOOD.text().split("\r\n") if " begin " not in t)),
        Outcome.FAIL, "record 1 is missing: record 2 is in its place", "",
    ),
    "begins with something else": (
        GOOD.with_(records=RECORDS[1:]),
        Outcome.FAIL, "record 1 is a observe record", "",
    ),
    "begins twice": (
        GOOD.with_(records=(*RECORDS, RECORDS[0])),
        Outcome.FAIL, "record 9 is a begin record", "",
    ),
    "goes on after the end": (
        GOOD.with_(records=(*RECORDS, "end count=9", "observe a.b=1"), end=None),
        Outcome.FAIL, "went on after its end record: observe a.b=1", "line 13",
    ),
    "ends twice": (
        GOOD.with_(records=(*RECORDS, "end count=9"), end="end count=10"),
        Outcome.FAIL, "went on after its end record: end", "line 13",
    ),
    "other flows than asked": (
        GOOD.with_(flows=("pivot",)),
        Outcome.FAIL, "began with flow=pivot,keep, asked was flow=pivot", "line 4",
    ),
    "another protocol": (
        GOOD.with_(records=_swap("proto=1", "proto=2")),
        Outcome.FAIL, "began with proto=2, asked was proto=1", "line 4",
    ),
}

KTAP = GOOD.with_(scenario=KTAP_SCENARIO, end=None)
LOGS: dict[str, Case] = {
    "required line is not there": (
        GOOD.with_(early=()),
        Outcome.FAIL, "pivot.on_nullfs is no, expected yes (patch 3)", "",
    ),
    "required line on the command line": (
        GOOD.with_(
            early=(),
            cmdline=CMDLINE + ' x="Finished mounting rootfs on nullfs"',
            full_cmdline=CMDLINE + ' x="Finished mounting rootfs on nullfs"',
        ),
        Outcome.FAIL, "pivot.on_nullfs is no, expected yes (patch 3)", "",
    ),
    "required line of userspace": (
        GOOD.with_(early=(), late=(">VFS: Finished mounting rootfs on nullfs",)),
        Outcome.FAIL, "pivot.on_nullfs is no, expected yes (patch 3)", "",
    ),
    "forbidden line": (
        GOOD.with_(early=(*GOOD.early, "VFS: Failed to pivot into new rootfs")),
        Outcome.FAIL, "pivot.failed is yes, expected no (patch 3)", "line 4",
    ),
    "line forbidden in the control": (
        PASSES["the control"].with_(early=GOOD.early),
        Outcome.FAIL, "pivot.on_nullfs is yes, expected no (patch 3)", "line 3",
    ),
    "KTAP test fails": (
        KTAP.with_(records=(">TAP version 13", ">1..3", ">ok 1 a", ">not ok 2 b", ">not ok 3 c")),
        Outcome.FAIL, "the test b failed, and 1 more", "line 7: not ok 2 b",
    ),
    "KTAP is not whole": (
        KTAP.with_(records=(">TAP version 13", ">1..3", ">ok 1 a")),
        Outcome.FAIL, "no record with this boot's nonce", "",
    ),
    "KTAP is not whole, records are": (
        KTAP.with_(records=(*RECORDS, ">TAP version 13", ">1..3", ">ok 1 a"), end="end count=9"),
        Outcome.FAIL, "#2 was planned and did not run, and 1 more", "line 12",
    ),
    "KTAP is skipped": (
        KTAP.with_(
            records=(*RECORDS, ">TAP version 13", ">1..1", ">ok 1 a # SKIP"), end="end count=9"
        ),
        Outcome.FAIL, "every KTAP test was skipped", "",
    ),
    "no KTAP where it is the proof": (
        KTAP.with_(end=GOOD.end),
        Outcome.FAIL, "the guest printed no KTAP", "",
    ),
    "KTAP fails where it is no proof": (
        GOOD.with_(late=(">TAP version 13", ">1..1", ">not ok 1 a")),
        Outcome.FAIL, "the test a failed", "line 15",
    ),
    "KTAP and a begin without an end": (
        KTAP.with_(records=(*RECORDS, ">TAP version 13", ">1..1", ">ok 1 a")),
        Outcome.FAIL, "the guest did not come to its end", "",
    ),
    "KTAP does not prove a table": (
        GOOD.with_(records=(">TAP version 13", ">1..1", ">ok 1 a"), end=None),
        Outcome.FAIL, "no record with this boot's nonce", "",
    ),
}
# fmt: on

CASES = {**HOST, **SILENCE, **ENDING, **IDENTITY, **SPLATS, **GUEST, **LOGS}


@pytest.mark.parametrize(
    ("boot", "outcome", "reason", "evidence"), CASES.values(), ids=CASES.keys()
)
def test_no_pass(boot: Boot, outcome: Outcome, reason: str, evidence: str) -> None:
    found = boot.judge()
    assert found.outcome == outcome, found
    assert reason in found.reason
    assert evidence in "\n".join(found.evidence)
    assert "\n" not in found.reason


def test_every_outcome_of_a_boot_is_in_the_table() -> None:
    stages = {Outcome.APPLY_FAILED, Outcome.CONFIG_LOST, Outcome.BUILD_FAILED}
    assert {case[1] for case in CASES.values()} | {Outcome.PASS} == set(Outcome) - stages


def test_checks_are_there_whatever_the_outcome() -> None:
    found = HANG.with_(records=RECORDS[:6]).judge()
    assert [(check.name, check.ok, check.observed) for check in found.checks] == [
        ("pivot.pivot_root", True, "0"),
        ("pivot.umount2", True, "0"),
        ("root.mnt_id", True, "2"),
        ("keep.pivot_root", False, None),
        ("pivot.on_nullfs", True, "yes"),
        ("pivot.failed", True, "no"),
    ]


@pytest.mark.parametrize("number", range(len(GOOD.text().split("\r\n")) - 1))
def test_no_line_can_be_missing_from_a_pass(number: int) -> None:
    lines = GOOD.text().split("\r\n")
    del lines[number]
    assert GOOD.with_(raw="\r\n".join(lines)).judge().outcome is not Outcome.PASS


def test_no_byte_can_be_cut_from_the_end_of_a_pass() -> None:
    text = GOOD.text().rstrip()
    assert GOOD.with_(raw=text).judge().outcome is Outcome.PASS
    for size in range(0, len(text), 7):
        assert GOOD.with_(raw=text[:size]).judge().outcome is not Outcome.PASS


def test_evidence_of_a_report_is_its_lines_its_trace_and_whether_it_is_whole() -> None:
    trace = f"{OOPS}\n\nCall Trace:\n <TASK>\n nullfs_y+0x1/0x2\n nullfs_z+0x1/0x2\n </TASK>"
    found = GOOD.with_(late=_kernel(trace)).judge()
    assert found.evidence == (
        "line 13: BUG: kernel NULL pointer dereference, address: 0",
        "  RIP: 0010:nullfs_x+0x1/0x2",
        "  Call Trace:",
        "  <TASK>",
        "  nullfs_y+0x1/0x2",
        "  nullfs_z+0x1/0x2",
        "  </TASK>",
        "  call trace: nullfs_y < nullfs_z",
        "  (the report is cut short)",
    )
    whole = GOOD.with_(late=_kernel(WARN.format("bad_one"))).judge()
    assert whole.evidence[1:] == (f"  ---[ end trace {'0' * 16} ]---",)


def test_evidence_of_a_second_boot_is_the_last_line_of_the_first() -> None:
    found = GOOD.with_(early=("x: Linux version 5.0",), late=(">", f"!{BANNER}")).judge()
    assert found.evidence == (
        f"line 12: [    0.500000] harness: {NONCE} 9 end count=9",
        f"line 14: [    0.600000] {BANNER}",
    )


def test_evidence_goes_on_with_what_came_later_on_the_console() -> None:
    found = CASES["oops that panics"][0].judge()
    assert [line for line in found.evidence if line.startswith("then: ")] == [
        "then: line 10: panic: Attempted to kill init! exitcode=0x00000009"
    ]


def test_long_lines_are_cut_in_evidence() -> None:
    found = GOOD.with_(records=_swap("umount2=0", "umount2=" + "x" * 700)).judge()
    assert all(len(line) < 250 for line in found.evidence)


@pytest.mark.parametrize("text", [BANNER, f"harness: {NONCE} 1 begin proto=1 flow=a", OOPS])
def test_what_tells_a_kernel_that_marks_no_lines_from_firmware(text: str) -> None:
    assert evidence.has_kernel_output(console.parse(text.encode(), NONCE))
    assert not evidence.has_kernel_output(console.parse(b"SeaBIOS", NONCE))


# --- a stored log --------------------------------------------------------------------------------


@pytest.mark.parametrize("stem", ["whole-and-clean", "ktap-passes", "nul-ansi-crlf", "caller-ids"])
def test_stored_log_that_passes(stem: str) -> None:
    log = console_corpus.read(console_corpus.FOLDER / f"{stem}.log")
    assert verdict.judge_log(console.parse(log.data)).outcome is Outcome.PASS


def test_stored_log_lists_what_nobody_judged() -> None:
    found = verdict.judge_log(console.parse(GOOD.text().encode()))
    assert "pivot.umount2" in found.unexpected
    assert found.checks == ()


def test_stored_log_cut_anywhere_does_not_pass() -> None:
    data = GOOD.text().rstrip().encode()
    for size in range(0, len(data), 7):
        found = verdict.judge_log(console.parse(data[:size]))
        assert found.outcome in {Outcome.NO_OUTPUT, Outcome.HANG, Outcome.FAIL}


# --- pure ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["lines", "params", "ktap", "splats", "console", "evidence", "causes", "aftermath", "verdict"],
)
def test_module_does_no_io_and_reads_no_clock(name: str) -> None:
    path = Path(verdict.__file__).with_name(f"{name}.py")
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    harmless = {
        "re",
        "msgspec",
        "dataclasses",
        "functools",
        "collections",
        "collections.abc",
        "typing",
    }
    rules = {"tomllib", "importlib"} if name == "splats" else set()
    assert {module for module in imported if not module.startswith("harness")} <= harmless | rules


# --- what the host observes, and the table judges -------------------------------------------------

NO_ROOT_FS = "panic: VFS: Unable to mount root fs"
PANIC = 'Kernel panic - not syncing: VFS: Unable to mount root fs on "/dev/vdz"'
NO_ROOT = GOOD.with_(
    scenario=msgspec.structs.replace(
        SCENARIO,
        expectations=(_expect("pivot.panic", "do_mounts.c", "pivot", nullfs=NO_ROOT_FS),),
        log_observations=(),
    ),
    flows=("pivot",),
    observe=("panic",),
    records=(),
    end=None,
    late=_kernel(f"{PANIC}\n---[ end {PANIC} ]---"),
    ended=EndReason.GUEST_RESET,
    status=0,
    events=(RESET,),
)


def test_a_panic_under_test_passes_if_it_is_the_expected_one() -> None:
    assert NO_ROOT.judge().outcome is Outcome.PASS
    other = NO_ROOT.with_(late=_kernel("Kernel panic - not syncing: No working init found."))
    assert other.judge().outcome is Outcome.FAIL
    assert "pivot.panic is panic: no working init" in other.judge().reason
    assert NO_ROOT.with_(observe=()).judge().outcome is Outcome.PANIC


def test_no_panic_where_one_is_under_test_is_judged_as_any_end() -> None:
    silent = NO_ROOT.with_(late=())
    assert silent.judge().outcome is Outcome.RESET
    assert silent.with_(ended=EndReason.DEADLINE, events=()).judge().outcome is Outcome.HANG
    whole = NO_ROOT.with_(
        late=(), records=("begin proto=1 flow=pivot",), end="end count={count}",
        ended=EndReason.GUEST_EXIT, status=33, events=(),
    )  # fmt: skip
    assert "pivot.panic is none, expected panic: VFS" in whole.judge().reason


def test_an_oops_before_a_panic_under_test_is_an_oops() -> None:
    oops = _kernel("BUG: kernel NULL pointer dereference, address: 0\nOops: 0000 [#1]")
    assert NO_ROOT.with_(late=(*oops, *NO_ROOT.late)).judge().outcome is Outcome.OOPS


@pytest.mark.parametrize(
    ("said", "expected", "outcome"),
    [
        ("nullfs_rootfs=1 a", "nullfs_rootfs=1 a", Outcome.PASS),
        ("nullfs_rootfs=1", "none", Outcome.FAIL),
        (None, "none", Outcome.PASS),
    ],
)
def test_unknown_parameters_under_test(said: str | None, expected: str, outcome: Outcome) -> None:
    row = _expect("pivot.unknown_parameters", "params.c", "pivot", nullfs=expected)
    given = msgspec.structs.replace(SCENARIO, expectations=(row,), log_observations=())
    boot = GOOD.with_(
        scenario=given, observe=("unknown-parameters",), job_cmdline="nullfs_rootfs=1 a",
        early=(UNKNOWN.format(said),) if said else (),
    )  # fmt: skip
    assert boot.judge().outcome is outcome


@pytest.mark.parametrize(
    ("seen", "ok", "is_finding"),
    [("EINVAL", True, True), ("0", True, False), ("EPERM", False, False)],
)
def test_a_broken_promise_is_a_finding_and_no_failure(
    seen: str, *, ok: bool, is_finding: bool
) -> None:
    row = msgspec.structs.replace(
        _expect("pivot.pivot_root", "cover letter", "pivot", nullfs="EINVAL"),
        promises=(("nullfs", "0"),),
    )
    given = msgspec.structs.replace(SCENARIO, expectations=(row,))
    records = tuple(
        text.replace("pivot.pivot_root=0", f"pivot.pivot_root={seen}") for text in RECORDS
    )
    found = GOOD.with_(scenario=given, records=records).judge()
    assert (found.outcome is Outcome.PASS) is ok
    assert [(check.ok, check.is_finding) for check in found.checks] == [(ok, is_finding)]
    assert ("1 of them not what was promised" in found.reason) is is_finding


def test_any_value_has_to_be_observed_all_the_same() -> None:
    for name, outcome in (("pivot.umount2", Outcome.PASS), ("pivot.other", Outcome.FAIL)):
        row = _expect(name, "c", "pivot", nullfs="*")
        given = msgspec.structs.replace(SCENARIO, expectations=(row,))
        assert GOOD.with_(scenario=given).judge().outcome is outcome


# --- several boots --------------------------------------------------------------------------------


def _booted(name: str, found: Verdict) -> Booted:
    return Booted(
        plan=BootPlan(flows=(name,)),
        variant="nullfs",
        spec=BootSpec(
            arch="x86_64", kernel=KERNEL, initramfs=None, cmdline="", nonce=NONCE,
            deadline_s=1.0, memory_mib=64,
        ),
        transcript=Transcript(
            console=b"", ended=EndReason.GUEST_EXIT, status=33, events=(), seconds=1.0,
            accel="tcg", argv=(),
        ),
        console=console.parse(b"", NONCE),
        verdict=found,
    )  # fmt: skip


def test_one_boot_has_the_last_word_on_itself() -> None:
    found = GOOD.judge()
    assert verdict.combine([_booted("pivot", found)]) is found


def test_several_boots_pass_together() -> None:
    found = verdict.combine([_booted("pivot", GOOD.judge()), _booted("keep", GOOD.judge())])
    assert found.outcome is Outcome.PASS
    assert found.reason == "all 12 expectations hold in 2 boots, judged as nullfs"
    assert len(found.checks) == 12


def test_the_first_boot_that_is_no_pass_decides() -> None:
    bad = GOOD.with_(status=7).judge()
    boots = [_booted("pivot", GOOD.judge()), _booted("keep", bad), _booted("ids", HANG.judge())]
    found = verdict.combine(boots, [NotBooted(flows=("root",), reason="so")])
    assert found.outcome is Outcome.FAIL
    assert found.reason.startswith("boot keep: QEMU exited with 7")
    assert found.evidence[-2].startswith("then: boot ids: ")
    assert found.evidence[-1] == "not booted: root: so"


def test_what_the_kernel_cannot_boot_is_named_in_a_pass() -> None:
    found = verdict.combine(
        [_booted("pivot", GOOD.judge())], [NotBooted(flows=("a",), reason="so")]
    )
    assert found.outcome is Outcome.PASS
    assert found.reason.endswith("judged as nullfs; 1 not booted")
    assert found.evidence == ("not booted: a: so",)


def test_boots_that_were_left_out_keep_a_pass_from_being_one_of_all() -> None:
    found = verdict.combine(
        [_booted("pivot", HANG.judge())], [NotBooted(flows=("root",), reason="so")]
    )
    assert found.outcome is Outcome.HANG
    assert "not booted: root: so" in found.evidence


# --- known splats that are no more ----------------------------------------------------------------


def test_an_allowance_that_has_expired_fails_a_job_that_passes() -> None:
    passed = Verdict(outcome=Outcome.PASS, reason="all 6 expectations hold")
    assert verdict.with_expired(passed, [KNOWN]) == passed
    found = verdict.with_expired(passed, [KNOWN, EXPIRED])
    assert found.outcome is Outcome.FAIL
    assert found.reason == (
        "/allow.toml: the allowance for 'WARNING in known_.*' expired on 2027-03-01: "
        "renew or remove it"
    )
    assert found.evidence == ("otherwise: pass: all 6 expectations hold",)
    two = verdict.with_expired(passed, [EXPIRED, EXPIRED])
    assert two.reason == f"{found.reason}, and 1 more"
    assert two.evidence == (found.reason, *found.evidence)


@pytest.mark.parametrize("outcome", [Outcome.HOST_ERROR, Outcome.HANG])
def test_an_allowance_that_has_expired_is_not_the_reason_where_there_is_another(
    outcome: Outcome,
) -> None:
    bad = Verdict(outcome=outcome, reason="it did", evidence=("line 1",))
    found = verdict.with_expired(bad, [EXPIRED])
    assert (found.outcome, found.reason) == (outcome, "it did")
    assert found.evidence[0] == "line 1"
    assert found.evidence[1].startswith("then: /allow.toml: the allowance for ")


def test_a_splat_that_is_known_no_more_says_so() -> None:
    late = GOOD.with_(
        early=(*GOOD.early, *WARN.format("known_one").split("\n")), allowances=(EXPIRED,)
    )
    assert "  (known until 2027-03-01: there before the series)" in late.judge().evidence
