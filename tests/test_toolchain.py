"""The compilers of a kernel, found by stand-ins on PATH that say a version and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import arch, toolchain
from harness.errors import HostError, UsageError
from harness.store import Store
from harness.toolchain import toolchain_id

X86_64 = arch.load("x86_64")
ARM64 = arch.load("arm64")
LLVM = ("clang", "ld.lld", "llvm-ar", "llvm-nm", "llvm-objcopy", "llvm-readelf")

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put programs on a PATH that has nothing but what is there in /bin."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")

    def install(*names: str, version: str = "1") -> None:
        for name in names:
            program = folder / name
            program.write_text(f"#!/bin/sh\necho {name} {version}\n")
            program.chmod(0o755)

    return install


# --- which ----------------------------------------------------------------------------------


def test_gcc_needs_nothing_said_to_make(install: Install, store: Store) -> None:
    install("gcc", "ld")
    found = toolchain.find("gcc", X86_64, store)
    assert found == toolchain.Toolchain(identity="gcc 1; ld 1", compiler="gcc")


def test_gcc_is_the_cross_compiler_for_another_architecture(install: Install, store: Store) -> None:
    install("gcc", "ld")
    with pytest.raises(HostError, match="aarch64-linux-gnu-gcc is not on PATH"):
        toolchain.find("gcc", ARM64, store)
    install("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-ld")
    assert toolchain.find("gcc", ARM64, store).compiler == "aarch64-linux-gnu-gcc"


@pytest.mark.parametrize("row", [X86_64, ARM64], ids=["x86_64", "arm64"])
@pytest.mark.parametrize(
    ("name", "suffix", "variable"), [("llvm", "", "LLVM=1"), ("llvm-19", "-19", "LLVM=-19")]
)
def test_llvm_is_said_to_make_and_needs_no_cross_compiler(
    install: Install, store: Store, row: arch.Arch, name: str, suffix: str, variable: str
) -> None:
    install(*(f"{program}{suffix}" for program in LLVM))
    found = toolchain.find(name, row, store)
    assert found.make_variables == (variable,)
    assert found.compiler == f"clang{suffix}"
    assert found.identity == f"clang{suffix} 1; ld.lld{suffix} 1"


@pytest.mark.parametrize("missing", LLVM)
def test_all_of_llvm_is_needed(install: Install, store: Store, missing: str) -> None:
    install(*(f"{program}-19" for program in LLVM if program != missing))
    with pytest.raises(HostError, match=f"{missing}-19 is not on PATH") as caught:
        toolchain.find("llvm-19", X86_64, store)
    assert "apt-get install clang-19 lld-19 llvm-19" in str(caught.value.hint)


@pytest.mark.parametrize("part", ["clang", "ld.lld"])
def test_another_version_is_another_identity(install: Install, store: Store, part: str) -> None:
    install(*LLVM)
    before = toolchain.find("llvm", X86_64, store).identity
    install(part, version="2.0")
    assert toolchain.find("llvm", X86_64, store).identity != before


def test_ccache_is_used_if_it_is_there(install: Install, store: Store) -> None:
    install("gcc", "ld", "ccache")
    assert str(toolchain.find("gcc", X86_64, store).ccache).endswith("/ccache")


@pytest.mark.parametrize("name", ["icc", "llvm19", "llvm-", "LLVM", "", "gcc-12"])
def test_an_unknown_toolchain_is_the_users_error(store: Store, name: str) -> None:
    with pytest.raises(UsageError, match=f"unknown toolchain '{name}'") as caught:
        toolchain.find(name, X86_64, store)
    assert "llvm-VERSION" in str(caught.value.hint)


# --- how each calls itself ------------------------------------------------------------------


def test_a_version_is_asked_once_until_the_program_changes(tmp_path: Path, store: Store) -> None:
    log = tmp_path / "log"
    path = tmp_path / "gcc"
    path.write_text(f"#!/bin/sh\necho $* >>{log}\necho tool 1; echo more\n")
    path.chmod(0o755)
    assert [toolchain_id(str(path), store) for _ in range(3)] == ["tool 1"] * 3
    assert log.read_text().splitlines() == ["--version"]
    path.write_text("#!/bin/sh\necho tool 2.0\n")
    assert toolchain_id(str(path), store) == "tool 2.0"


def test_a_compiler_behind_ccache_is_asked_every_time(tmp_path: Path, store: Store) -> None:
    version = tmp_path / "version"
    wrapper = tmp_path / "ccache"
    wrapper.write_text(f"#!/bin/sh\ncat {version}\n")
    wrapper.chmod(0o755)
    (tmp_path / "gcc").symlink_to("ccache")
    for said in ("gcc 1", "gcc 2"):
        version.write_text(said)
        assert toolchain_id(str(tmp_path / "gcc"), store) == said


def test_a_program_that_is_gone_is_the_hosts_fault(tmp_path: Path, store: Store) -> None:
    with pytest.raises(HostError, match="none"):
        toolchain_id(str(tmp_path / "none"), store)
