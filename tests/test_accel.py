import os
import shutil
from pathlib import Path

import pytest
import tiny_guest as guest
import tiny_guest_arm64 as arm64

from harness import accel, log
from harness import arch as arches
from harness.errors import UsageError
from harness.store import Store

ARCH = arches.load("x86_64")
TOKEN = b"accelerator proved\n"


@pytest.fixture(autouse=True)
def _nobody_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_ACCEL")


@pytest.fixture
def qemu() -> str:
    found = shutil.which(ARCH.qemu)
    assert found
    return found


# --- the probe ------------------------------------------------------------------------------


def test_the_probe_proves_tcg_and_is_small(qemu: str, store: Store) -> None:
    probe = accel.probe_guest(ARCH, store)
    assert probe.stat().st_size < 8192
    assert accel.prove(ARCH, qemu, probe, accelerator="tcg") == ""


@arm64.needed
def test_so_does_arm64s(store: Store) -> None:
    probe = accel.probe_guest(arm64.ARCH, store)
    assert probe.stat().st_size < 8192
    assert accel.prove(arm64.ARCH, arm64.ARCH.qemu, probe, accelerator="tcg") == ""


@arm64.needed
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        # A wrong sum is not said aloud: there is no status to tell it by.
        pytest.param(arm64.POWER_OFF, "said nothing", id="powers off"),
        pytest.param(arm64.say(TOKEN) + arm64.SPIN, "hung", id="hangs"),
    ],
)
def test_less_than_all_is_no_proof_on_arm64(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, body: str, problem: str
) -> None:
    monkeypatch.setattr(accel, "PROBE_LIMIT_S", 0.8)
    probe = arm64.build(body, tmp_path, store)
    assert problem in accel.prove(arm64.ARCH, arm64.ARCH.qemu, probe, accelerator="tcg")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        # What a broken KVM has been seen to do: reach the exit, and nothing else.
        pytest.param(guest.exit_with(16), "said nothing", id="exits well"),
        pytest.param(guest.say(TOKEN) + guest.exit_with(2), "status 5", id="wrong sum"),
        pytest.param(guest.say(TOKEN) + guest.TRIPLE_FAULT, "status 0", id="resets"),
        pytest.param(guest.say(TOKEN) + guest.SPIN, "hung", id="hangs"),
    ],
)
def test_less_than_all_is_no_proof(
    qemu: str,
    tmp_path: Path,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    problem: str,
) -> None:
    monkeypatch.setattr(accel, "PROBE_LIMIT_S", 0.8)
    probe = guest.build(body, tmp_path, store)
    assert problem in accel.prove(ARCH, qemu, probe, accelerator="tcg")


def test_a_qemu_without_the_accelerator_is_quoted(qemu: str, store: Store) -> None:
    problem = accel.prove(ARCH, qemu, accel.probe_guest(ARCH, store), accelerator="xen")
    assert "status 1" in problem


# --- the choice -----------------------------------------------------------------------------


def fake_qemu(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a QEMU in front of PATH that notes each run in the file `runs` beside it."""
    folder.mkdir(exist_ok=True)
    program = folder / ARCH.qemu
    program.write_text(f'#!/bin/sh\necho run >>"{folder}/runs"\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(accel, "_obstacle", lambda _: "")
    return folder / "runs"


GOOD = f"echo {TOKEN.decode().strip()}; exit 33"


def test_a_proof_is_kept(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = fake_qemu(tmp_path / "bin", GOOD, monkeypatch)
    assert [accel.choose(ARCH, store) for _ in range(3)] == ["kvm"] * 3
    assert accel.choose(ARCH, Store(store.root)) == "kvm"
    assert runs.read_text() == "run\n"


def test_a_proof_is_dropped_when_kvm_fails_a_guest(
    tmp_path: Path,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = fake_qemu(tmp_path / "bin", GOOD, monkeypatch)
    assert accel.choose(ARCH, store) == "kvm"
    accel.distrust(ARCH, store)
    assert "KVM was proved to work and has failed a guest" in capsys.readouterr().err
    assert accel.choose(ARCH, store) == "kvm"
    assert runs.read_text() == "run\n" * 2


def test_so_is_a_failure(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = fake_qemu(tmp_path / "bin", "exit 33", monkeypatch)
    assert [accel.choose(ARCH, store) for _ in range(3)] == ["tcg"] * 3
    assert runs.read_text() == "run\n"


def test_another_qemu_or_cpu_is_asked_anew(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_qemu(tmp_path / "bin", "exit 1", monkeypatch)
    assert accel.choose(ARCH, store) == "tcg"
    runs = fake_qemu(tmp_path / "bin", GOOD, monkeypatch)
    assert accel.choose(ARCH, store) == "kvm"
    monkeypatch.setattr(accel, "_cpu_model", lambda: "another")
    assert accel.choose(ARCH, store) == "kvm"
    assert runs.read_text() == "run\n" * 3


def test_without_a_compiler_kvm_is_unproved_but_not_for_good(
    tmp_path: Path,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake_qemu(tmp_path / "bin", GOOD, monkeypatch)
    monkeypatch.setattr(log._State, "level", log.Level.VERBOSE)
    whole = os.environ["PATH"]
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert accel.choose(ARCH, store) == "tcg"
    assert "no C compiler" in capsys.readouterr().err
    monkeypatch.setenv("PATH", whole)
    assert accel.choose(ARCH, store) == "kvm"


@pytest.mark.parametrize("word", ["tcg", "kvm"])
def test_the_user_may_choose(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    runs = fake_qemu(tmp_path / "bin", GOOD, monkeypatch)
    monkeypatch.setenv("HARNESS_ACCEL", word)
    assert accel.choose(ARCH, store) == word
    assert not runs.exists()


def test_the_user_may_not_choose_just_anything(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_ACCEL", "hvf")
    with pytest.raises(UsageError, match="HARNESS_ACCEL is 'hvf'"):
        accel.choose(ARCH, store)


def test_another_architecture_is_emulated(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert accel.choose(ARCH, store) == "tcg"
