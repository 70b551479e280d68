"""foreign, unpack: what --kernel takes, and what is said of what it does not."""

import shutil
from pathlib import Path

import pytest
from conftest import Harness
from images import BANNER, SIZE, aarch64, bzimage, deb, packed, rpm, vmlinux

from harness import arch, foreign
from harness.errors import UsageError
from harness.store import Store

ARCH = arch.load("x86_64")
BOOT = "boot/vmlinuz-6.12.1-amd64"
OTHER = "7.1.0-other (who@where) #1"
CONFIG = "# Linux/x86 6.12.1 Kernel Configuration\nCONFIG_PRINTK=y\nCONFIG_TMPFS=m\n"


# --- what is taken ------------------------------------------------------------------------


@pytest.mark.parametrize("filter_", ["gzip", "xz", "zstd", "bzip2", "lzma", "lz4"])
def test_a_compressed_vmlinux(tmp_path: Path, store: Store, filter_: str) -> None:
    data = vmlinux(store, tmp_path, BANNER)
    image = tmp_path / "vmlinux"
    image.write_bytes(data)
    kernel = foreign.find(str(packed(image, filter_)), ARCH, store)
    assert kernel.image.read_bytes() == data
    assert kernel.release == "6.12.1-amd64"
    assert not kernel.built


@pytest.mark.parametrize(
    "name",
    [
        BOOT,
        "boot/vmlinux-6.12.1",
        "boot/bzImage",
        "lib/modules/6.12.1-amd64/vmlinuz",
        "usr/lib/modules/6.12.1-amd64/vmlinuz",
        "usr/lib/debug/boot/vmlinux-6.12.1-amd64",
    ],
)
@pytest.mark.parametrize("make", [deb, rpm])
def test_the_kernel_of_a_package(tmp_path: Path, store: Store, make: object, name: str) -> None:
    assert callable(make)
    files = {name: bzimage(), "usr/share/doc/vmlinuz": b"no kernel", "lib/modules/6/x.ko": b"x"}
    kernel = foreign.find(str(make(tmp_path / "package", files)), ARCH, store)
    assert kernel.image.read_bytes() == bzimage()


def test_a_compressed_kernel_in_a_package(tmp_path: Path, store: Store) -> None:
    data = vmlinux(store, tmp_path, BANNER)
    (tmp_path / "vmlinux").write_bytes(data)
    files = {"usr/lib/modules/6.12.1/vmlinux.xz": packed(tmp_path / "vmlinux", "xz").read_bytes()}
    kernel = foreign.find(str(deb(tmp_path / "x.deb", files)), ARCH, store)
    assert kernel.image.read_bytes() == data


def test_the_same_image_under_two_names_is_one(tmp_path: Path, store: Store) -> None:
    files = {BOOT: bzimage(), "lib/modules/6.12.1-amd64/vmlinuz": bzimage()}
    assert foreign.find(str(deb(tmp_path / "x.deb", files)), ARCH, store).release == "6.12.1-amd64"


def test_of_several_kernels_one_is_chosen(tmp_path: Path, store: Store) -> None:
    files = {BOOT: bzimage(), "boot/vmlinuz-7.1.0-other": bzimage(OTHER)}
    path = deb(tmp_path / "x.deb", files)
    with pytest.raises(UsageError) as caught:
        foreign.find(str(path), ARCH, store)
    assert caught.value.message == (
        f"--kernel {path}: it holds 2 kernels: {BOOT}, boot/vmlinuz-7.1.0-other"
    )
    assert caught.value.hint == f"choose one: --kernel {path}:{BOOT}"
    for member in ("boot/vmlinuz-7.1.0-other", "vmlinuz-7.1.0-other"):
        assert foreign.find(f"{path}:{member}", ARCH, store).release == "7.1.0-other"
    with pytest.raises(UsageError, match="no kernel image named vmlinuz-8") as caught:
        foreign.find(f"{path}:vmlinuz-8", ARCH, store)
    assert BOOT in str(caught.value.hint)


def test_of_several_compressed_kernels_one_is_chosen(tmp_path: Path, store: Store) -> None:
    files = {}
    for release in ("6.12.1", "7.1.0"):
        (tmp_path / "vmlinux").write_bytes(
            vmlinux(store, tmp_path, f"Linux version {release} (who@where)")
        )
        name = f"usr/lib/modules/{release}/vmlinux.xz"
        files[name] = packed(tmp_path / "vmlinux", "xz").read_bytes()
    path = deb(tmp_path / "x.deb", files)
    with pytest.raises(UsageError, match="it holds 2 kernels: usr/lib/modules/6"):
        foreign.find(str(path), ARCH, store)
    word = f"{path}:usr/lib/modules/7.1.0/vmlinux.xz"
    assert foreign.find(word, ARCH, store).release == "7.1.0"


def test_a_name_with_colons_is_a_file_first(tmp_path: Path) -> None:
    path = tmp_path / "a:b.deb"
    path.write_bytes(b"")
    assert foreign.split(str(path)) == (str(path), "")
    assert foreign.split(f"{path}:boot/x") == (str(path), "boot/x")
    assert foreign.split("nothing:here") == ("nothing:here", "")


def test_the_config_of_the_package_says_what_is_lacking(tmp_path: Path, store: Store) -> None:
    files = {BOOT: bzimage(), "boot/config-6.12.1-amd64": CONFIG.encode()}
    kernel = foreign.find(str(deb(tmp_path / "x.deb", files)), ARCH, store)
    assert kernel.config is not None
    assert kernel.config.read_text() == CONFIG
    assert "CONFIG_TMPFS" in kernel.lacks
    assert "CONFIG_PRINTK" not in kernel.lacks


@pytest.mark.parametrize(("version", "is_its"), [("6.12.9", True), ("6.13.1", False)])
def test_a_config_beside_the_image_is_its_own(
    tmp_path: Path, store: Store, version: str, *, is_its: bool
) -> None:
    image, config = tmp_path / "vmlinuz-6.12.1", tmp_path / "config-6.12.1"
    image.write_bytes(bzimage())
    config.write_text(CONFIG.replace("6.12.1", version))
    kernel = foreign.find(str(image), ARCH, store)
    assert (kernel.config == config) is is_its
    assert bool(kernel.lacks) is is_its


def test_without_a_config_nothing_is_said_to_be_lacking(tmp_path: Path, store: Store) -> None:
    kernel = foreign.find(str(deb(tmp_path / "x.deb", {BOOT: bzimage()})), ARCH, store)
    assert (kernel.config, kernel.lacks) == (None, ())


# --- what is not --------------------------------------------------------------------------


def refused(store: Store, path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        foreign.find(str(path), ARCH, store)
    message = caught.value.message
    assert "\n" not in message
    assert message.startswith(f"--kernel {path}")
    return message.removeprefix(f"--kernel {path}")


@pytest.mark.parametrize("make", [deb, rpm])
def test_a_package_without_a_kernel(tmp_path: Path, store: Store, make: object) -> None:
    assert callable(make)
    path = make(tmp_path / "package", {"usr/bin/x": b"x"})
    assert refused(store, path) == ": it holds no kernel image"


def test_a_package_for_another_architecture(tmp_path: Path, store: Store) -> None:
    path = deb(tmp_path / "x.deb", {BOOT: aarch64()})
    assert refused(store, path) == f":{BOOT}: a kernel or program for aarch64, expected x86_64"


def test_a_package_whose_kernel_is_cut_short(tmp_path: Path, store: Store) -> None:
    path = deb(tmp_path / "x.deb", {BOOT: bzimage()[:-1]})
    assert refused(store, path) == (f":{BOOT}: cut short: {SIZE - 1} bytes, its header says {SIZE}")


@pytest.mark.parametrize("make", [deb, rpm])
def test_a_package_that_is_cut_short(tmp_path: Path, store: Store, make: object) -> None:
    assert callable(make)
    path = make(tmp_path / "package", {BOOT: bzimage()})
    path.write_bytes(path.read_bytes()[:-60])
    assert ": cut short or damaged (" in refused(store, path)
    assert not list((store.root / "store").glob("unpacked/*"))


@pytest.mark.parametrize("filter_", ["gzip", "xz", "zstd", "bzip2", "lz4"])
def test_a_compressed_image_that_is_cut_short(tmp_path: Path, store: Store, filter_: str) -> None:
    image = tmp_path / "vmlinux"
    image.write_bytes(vmlinux(store, tmp_path, BANNER))
    path = packed(image, filter_)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cut short" in refused(store, path)


def test_an_archive_that_is_no_package(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "lib.a"
    path.write_bytes(b"!<arch>\n")
    assert refused(store, path) == ": an archive, but no package: it has no data.tar"


def test_a_link_in_a_package_leads_nowhere(tmp_path: Path, store: Store) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bzimage())
    path = deb(tmp_path / "x.deb", {f"{BOOT}@": str(secret).encode()})
    assert refused(store, path) == ": it holds no kernel image"


def test_what_is_compressed_may_still_be_no_kernel(tmp_path: Path, store: Store) -> None:
    (tmp_path / "initrd").write_bytes(b"070701" + bytes(200))
    path = packed(tmp_path / "initrd", "zstd")
    assert refused(store, path).endswith(": no kernel image but an initramfs")


# --- the whole line -----------------------------------------------------------------------


def test_the_stand_in_kernel_boots_from_whatever_holds_it(
    harness: Harness, project: Path, tmp_path: Path
) -> None:
    built = harness("build", "--tree", "linux", cwd=project)
    assert built.returncode == 0, built.stderr
    image = tmp_path / "vmlinux"
    shutil.copy(built.stdout.strip(), image)
    data = image.read_bytes()
    for path in (
        packed(image, "zstd"),
        deb(tmp_path / "x.deb", {"boot/vmlinux-6.99.0": data}),
        rpm(tmp_path / "x.rpm", {"lib/modules/6.99.0/vmlinux": data}),
        Path(f"{tmp_path}/x.deb:vmlinux-6.99.0"),
    ):
        done = harness("boot", "--kernel", path, "--flow", "boot", "--cmdline", "a=b", cwd=project)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"6.99.0 from {path}" in done.stdout


@pytest.mark.parametrize("program", ["bsdtar", "bsdcat"])
def test_a_missing_program_is_the_hosts_fault(
    harness: Harness, tmp_path: Path, program: str
) -> None:
    image = tmp_path / "vmlinux"
    image.write_bytes(b"x" * 1000)
    path = deb(tmp_path / "x.deb", {BOOT: b"x"}) if program == "bsdtar" else packed(image, "xz")
    done = harness("boot", "--kernel", path, env={"PATH": str(tmp_path)})
    assert done.returncode == 128
    assert f"{program} is not on PATH" in done.stdout + done.stderr
    assert "libarchive-tools" in done.stdout + done.stderr
