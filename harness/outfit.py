"""Takes a boot's plan and what the job has made, gives what QEMU is given for that boot.

Its initramfs, with what only this boot has in it; its disk; its command line and limits.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness import boots, calibrate, compress, disk, initramfs, initrd, needs, programs
from harness.arch import Arch
from harness.boots import Subject
from harness.errors import UsageError
from harness.job import BootPlan, BootSpec, Initramfs, Kernel, NotBooted
from harness.stages import StageLog
from harness.store import Store

DISK = "{disk}"
"""In a plan's command line: the node of the boot's disk."""


def choose(
    plans: Sequence[BootPlan], kernel: Kernel, arch: Arch
) -> tuple[tuple[BootPlan, ...], tuple[NotBooted, ...]]:
    """Return the boots that the kernel can make here, and those it cannot, with the reason.

    Raises:
        UsageError: it can make none.
    """
    can: list[BootPlan] = []
    cannot: list[NotBooted] = []
    for plan in plans:
        reason = _why_not(plan, kernel, arch)
        if reason:
            cannot.append(NotBooted(flows=plan.flows, reason=reason))
        else:
            can.append(_with_node(plan, kernel))
    if not can:
        raise UsageError(
            f"flow {cannot[0].name}: {cannot[0].reason}",
            hint="choose another flow or kernel, or put the kernel's .config beside its image",
        )
    return tuple(can), tuple(cannot)


def _why_not(plan: BootPlan, kernel: Kernel, arch: Arch) -> str:
    lacks = needs.lacks_of(kernel, plan)
    if lacks:
        # A module is no use to the guest, which has none.
        return f"{kernel.release} has not built in: {', '.join(lacks)}"
    if plan.disk and not kernel.built and kernel.config is None:
        # On a guess it would wait for a disk until the deadline, and look like a hang.
        return f"which disks {kernel.release} can see is not known: no .config of it is there"
    if plan.programs and not arch.is_native:
        return f"it takes programs of this machine, which {arch.name} cannot run"
    return ""


def _with_node(plan: BootPlan, kernel: Kernel) -> BootPlan:
    found = needs.disk_for(None if kernel.built else kernel.config) if plan.disk else None
    if found is None:
        return plan
    return msgspec.structs.replace(plan, cmdline=plan.cmdline.replace(DISK, found.node))


def spec(
    subject: Subject, plan: BootPlan, *, nonce: str, plain: Initramfs, stages: StageLog
) -> BootSpec:
    """Return what QEMU is given; `plain` is the scenario's initramfs.

    Raises:
        UsageError, HostError: what only this boot has cannot be made.
    """
    job, kernel, store = subject.job, subject.kernel, subject.store
    image = _disk(plan, plain, store)
    found = needs.disk_for(None if kernel.built else kernel.config) if plan.disk else None
    return BootSpec(
        arch=subject.arch.name,
        kernel=kernel,
        initramfs=_initramfs(subject, plan, plain, stages) if plan.has_initramfs else None,
        cmdline=boots.cmdline_of(subject, plan, nonce),
        nonce=nonce,
        deadline_s=job.timeout_s
        or calibrate.deadline_s(subject.arch, subject.accel, store, asked_s=plan.timeout_s),
        memory_mib=max(job.memory_mib, plan.memory_mib or 0),
        disk=image,
        disk_device=found.device if found else "",
        cpus=plan.cpus,
    )


def _disk(plan: BootPlan, plain: Initramfs, store: Store) -> Path | None:
    if plan.disk is None:
        return None
    if plan.disk_image:
        return disk.check(plan.disk_image, plan.disk)
    return disk.build(plain, plan.disk, store=store)


def _initramfs(subject: Subject, plan: BootPlan, plain: Initramfs, stages: StageLog) -> Initramfs:
    if plan.initrd:
        return stages.run(
            "initrd",
            lambda: initrd.build(subject.scenario, plan.initrd or "", store=subject.store),
            detail=lambda _made: plan.initrd or "",
        )
    made = plain
    if plan.programs:
        made = programs.add(made, plan.programs, arch=subject.arch, store=subject.store)
    if plan.ballast_mib:
        made = initramfs.with_ballast(made, plan.ballast_mib, store=subject.store)
    return pack(made, subject.job.compress, subject.store, stages)


def pack(plain: Initramfs, method: str, store: Store, stages: StageLog) -> Initramfs:
    """Return an archive of ours compressed as the job says."""
    if method == compress.NONE:
        return plain
    return stages.run("compress", lambda: compress.compress(plain, method, store))
