"""Programs of this machine's in an initramfs, with all that they load."""

import subprocess
from pathlib import Path

import msgspec
import pytest

from harness import arch, cpio, programs
from harness.errors import HostError
from harness.job import Initramfs
from harness.store import Store

X86_64 = arch.load("x86_64")
ELSEWHERE = msgspec.structs.replace(X86_64, name="s390x", uname="s390x")

pytestmark = pytest.mark.skipif(not X86_64.is_native, reason="packs programs of x86_64")


@pytest.fixture
def plain(tmp_path: Path) -> Initramfs:
    path = tmp_path / "plain.cpio"
    with path.open("wb") as stream:
        cpio.write(stream, [cpio.folder("bin"), cpio.file("bin/own", b"mine", 0o755)])
    return Initramfs(path=path, digest="plain")


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that comes first on PATH, and in which a program needs a library of its own."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "deep.c").write_text("int deep(void) { return 42; }\n")
    (folder / "asks.c").write_text("int deep(void);\nint main(void) { return deep(); }\n")
    commands = (
        ["-shared", "-fPIC", "-o", "libdeep.so", "deep.c"],
        ["-o", "asks", "asks.c", "-L.", "-ldeep", f"-Wl,-rpath,{folder}"],
        ["-static", "-o", "alone", "asks.c", "deep.c"],
    )
    for arguments in commands:
        subprocess.run(["gcc", *arguments], cwd=folder, check=True)
    (folder / "script").write_text("#!/bin/sh\nexit 3\n")
    (folder / "script").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def members(made: Initramfs) -> dict[str, cpio.Member]:
    return {member.name: member for member in cpio.read(made.path.read_bytes())}


def test_a_program_comes_with_its_libraries_and_loader(
    plain: Initramfs, on_path: Path, tmp_path: Path
) -> None:
    made = programs.add(plain, ["asks"], arch=X86_64, store=Store(tmp_path / "cache"))
    found = members(made)
    assert found["bin/own"].data == b"mine"
    assert found["bin/asks"].data == (on_path / "asks").read_bytes()
    assert found["bin/asks"].mode & 0o777 == 0o755
    library = str(on_path / "libdeep.so").lstrip("/")
    assert found[library].data == (on_path / "libdeep.so").read_bytes()
    names = [Path(name).name for name in found]
    assert any(name.startswith("libc.so") for name in names)
    # What the kernel starts is the loader that the program names.
    headers = subprocess.run(
        ["readelf", "-l", on_path / "asks"], capture_output=True, text=True, check=True
    ).stdout
    loader = headers.partition("interpreter: /")[2].partition("]")[0]
    assert loader in found


def test_what_is_packed_is_all_it_takes_to_run_it(
    plain: Initramfs, on_path: Path, tmp_path: Path
) -> None:
    made = programs.add(plain, ["asks"], arch=X86_64, store=Store(tmp_path / "cache"))
    assert on_path
    root = tmp_path / "root"
    for member in sorted(members(made).values(), key=lambda member: member.name):
        path = root / member.name
        if member.mode & 0o170000 == 0o040000:
            path.mkdir(parents=True)
        else:
            assert isinstance(member.data, bytes)
            path.write_bytes(member.data)
            path.chmod(0o755)
    command = ["unshare", "--map-root-user", "chroot", str(root), "/bin/asks"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.stderr.startswith("unshare:"):
        pytest.skip(f"no user namespaces here: {done.stderr}")
    assert done.returncode == 42, done.stderr


@pytest.mark.parametrize("name", ["alone", "script"])
def test_a_static_program_and_a_script_need_nothing(name: str, on_path: Path) -> None:
    assert programs.libraries_of(on_path / name) == ()


def test_the_same_programs_are_packed_once_and_others_anew(
    plain: Initramfs, on_path: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "cache")
    first = programs.add(plain, ["alone"], arch=X86_64, store=store)
    assert programs.add(plain, ["alone"], arch=X86_64, store=store).path == first.path
    (on_path / "alone").write_bytes((on_path / "asks").read_bytes())
    assert programs.add(plain, ["alone"], arch=X86_64, store=store).digest != first.digest


def test_a_program_that_lacks_a_library_is_this_machines_fault(
    plain: Initramfs, on_path: Path, tmp_path: Path
) -> None:
    (on_path / "libdeep.so").unlink()
    with pytest.raises(HostError, match=r"asks needs libdeep\.so, which is not here"):
        programs.add(plain, ["asks"], arch=X86_64, store=Store(tmp_path / "cache"))


def test_a_program_that_is_not_here_is_named(plain: Initramfs, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no-such-program is not here"):
        programs.add(plain, ["no-such-program"], arch=X86_64, store=Store(tmp_path / "cache"))


def test_a_guest_of_another_architecture_cannot_have_it(plain: Initramfs, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="does not run on s390x"):
        programs.add(plain, ["sh"], arch=ELSEWHERE, store=Store(tmp_path / "cache"))
