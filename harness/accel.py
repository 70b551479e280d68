"""Takes an architecture and a QEMU, says what runs its guests here: "kvm" if proved, else "tcg".

That /dev/kvm opens proves nothing, nor does a guest that merely starts: there are machines where
virtual machines are created and hang. data/probe/NAME.S is the guest that is believed.
"""

import os
import shutil
from pathlib import Path

from harness import log, proc
from harness.arch import Arch
from harness.errors import HarnessError, HostError, UsageError
from harness.store import Store, digest_of

# The user's choice, believed without proof.
OVERRIDE = "HARNESS_ACCEL"
KVM = "kvm"
TCG = "tcg"

# The probe takes 0.1 s where its code really runs, and for ever where KVM is broken.
PROBE_LIMIT_S = 3.0
_PROBE_TOKEN = "accelerator proved"  # noqa: S105 - no password
_ANSWER = "answer"


def choose(arch: Arch, store: Store) -> str:
    """Return "kvm" or "tcg" for guests of `arch`.

    The proof is kept until the host boots anew, or has another QEMU or CPU.

    Raises:
        UsageError: HARNESS_ACCEL is neither.
        HostError: there is no QEMU to ask.
    """
    chosen = os.environ.get(OVERRIDE, "")
    if chosen:
        if chosen not in {KVM, TCG}:
            raise UsageError(f"{OVERRIDE} is {chosen!r}: expected {KVM} or {TCG}")
        return chosen
    obstacle = _obstacle(arch)
    if obstacle:
        log.note(f"no KVM: {obstacle}")
        return TCG
    qemu = proc.which(arch.qemu)
    try:
        entry = store.get_or_make(
            "accel",
            machine_facts(arch, qemu),
            lambda folder: _write_answer(folder, prove(arch, qemu, probe_guest(arch, store))),
        )
    except _UnprovedError as error:
        # Not kept: the next run may find a compiler.
        log.note(f"no KVM: {error.message}")
        return TCG
    problem = (entry.path / _ANSWER).read_text()
    if problem:
        log.note(f"no KVM: {problem}")
    return TCG if problem else KVM


def distrust(arch: Arch, store: Store) -> None:
    """Forget the proof that KVM works, and say so: it has failed a guest since."""
    if os.environ.get(OVERRIDE):
        return
    store.forget("accel", machine_facts(arch, proc.which(arch.qemu)))
    log.warn("KVM was proved to work and has failed a guest: the next run asks it anew")


def machine_facts(arch: Arch, qemu: str) -> dict[str, str]:
    """Return what an answer of the probe guest holds for: this start of this machine, this QEMU."""
    return {
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "qemu": _identity_of(qemu),
        "cpu": _cpu_model(),
        "probe": _probe_digest(arch),
    }


class _UnprovedError(HarnessError):
    """There is no probe to ask with."""


def _obstacle(arch: Arch) -> str:
    if not arch.is_native:
        return f"this machine is no {arch.name}"
    if not arch.probe_path.is_file():
        return f"nothing proves it on {arch.name}"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm cannot be opened"
    return ""


def prove(arch: Arch, qemu: str, guest: Path, *, accelerator: str = KVM) -> str:
    """Run the probe guest; return what is wrong, empty if the accelerator is proved."""
    cpu = arch.cpu_kvm if accelerator == KVM else arch.cpu_tcg
    argv = [
        qemu,
        "-nodefaults",
        "-no-user-config",
        "-machine", arch.machine_kvm if accelerator == KVM else arch.machine_tcg,
        "-cpu", cpu,
        "-accel", accelerator,
        "-m", "64M",
        "-display", "none",
        "-serial", "stdio",
        *(["-device", arch.exit_device] if arch.exit_device else []),
        "-no-reboot",
        "-kernel", os.fspath(guest),
    ]  # fmt: skip
    try:
        done = proc.run(argv, timeout_s=PROBE_LIMIT_S)
    except HostError:
        return f"the probe guest hung, or was not done in {PROBE_LIMIT_S:g} s"
    if done.returncode != arch.exit_status:
        words = done.error_text.splitlines() or ["QEMU does not say why"]
        return f"the probe guest ended with status {done.returncode}: {words[0]}"
    if _PROBE_TOKEN not in done.text:
        return "the probe guest ended well but said nothing"
    return ""


def probe_guest(arch: Arch, store: Store) -> Path:
    """Return the probe guest, an ELF file of 5 KB, built once."""
    return build_guest(arch.probe_path, arch, store)


def build_guest(source: Path, arch: Arch, store: Store) -> Path:
    """Return `source`, a guest in one file of assembly, as an ELF that QEMU's -kernel takes.

    Raises:
        HarnessError: there is no compiler, or it refuses the source.
    """
    names = ("gcc", "cc", "clang") if arch.is_native else (f"{arch.cross_compile}gcc",)
    compiler = next(filter(None, map(shutil.which, names)), None)
    if compiler is None:
        raise _UnprovedError(f"no C compiler ({names[0]}) to build the probe guest with")
    script = arch.probe_path.with_suffix(".ld")

    def make(folder: Path) -> None:
        argv = [
            compiler,
            "-nostdlib",
            "-static",
            "-no-pie",
            # Small and without what a host's linker likes to add.
            "-Wl,--build-id=none",
            "-Wl,-z,max-page-size=4096",
            f"-Wl,-T,{script}",
            "-o", os.fspath(folder / "guest"),
            os.fspath(source),
        ]  # fmt: skip
        done = proc.run(argv, env={"TMPDIR": str(folder)})
        if done.returncode:
            words = done.error_text.splitlines() or ["it does not say why"]
            raise _UnprovedError(f"{compiler} cannot build {source.name}: {words[-1]}")

    inputs = {
        "source": digest_of(source.read_bytes()),
        "script": digest_of(script.read_bytes()),
        "compiler": compiler,
    }
    return store.get_or_make("guest", inputs, make).path / "guest"


def _write_answer(folder: Path, problem: str) -> None:
    (folder / _ANSWER).write_text(problem)


def _probe_digest(arch: Arch) -> str:
    return digest_of(arch.probe_path.read_bytes())


def _identity_of(binary: str) -> str:
    path = Path(binary).resolve()
    stat = path.stat()
    return f"{path} {stat.st_dev} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns}"


def _cpu_model() -> str:
    # The first CPU's part of it: on large machines the whole takes milliseconds.
    with Path("/proc/cpuinfo").open("rb") as stream:
        head = stream.read(4096)
    lines = head.decode(errors="replace").splitlines()
    return next((line for line in lines if line.startswith("model name")), "")
