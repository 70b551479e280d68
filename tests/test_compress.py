"""Compressed initramfs: other programs read them back, and the same bytes come of the same."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Harness
from test_cli import path_without

from harness import compress, paths
from harness.errors import UsageError
from harness.job import Initramfs
from harness.store import Store, digest_of

ARCHIVE = b"070701 much the same, " * 4000

# Programs that share no code with what packs, where there is one.
READERS = {
    "gzip": ["busybox", "gunzip", "-c"],
    "bzip2": ["busybox", "bunzip2", "-c"],
    "lzma": ["busybox", "unlzma", "-c"],
    "xz": ["busybox", "unxz", "-c"],
    "lzo": ["busybox", "lzop", "-dc"],
    "lz4": ["lz4", "-dc"],
    "zstd": ["zstd", "-dc"],
}
# Where lib/decompress.c looks: the kernel knows what it is given by its first two bytes, and
# there is more than one format of some.
MAGICS = {
    "gzip": b"\x1f\x8b",
    "bzip2": b"BZ",
    "lzma": b"\x5d\x00",
    "xz": b"\xfd7",
    "lzo": b"\x89L",
    "lz4": b"\x02!",
    "zstd": b"(\xb5",
}


@pytest.fixture
def archive(tmp_path: Path) -> Initramfs:
    path = tmp_path / "made"
    path.write_bytes(ARCHIVE)
    return Initramfs(path=path, digest=digest_of(ARCHIVE))


def pack(archive: Initramfs, name: str, store: Store) -> bytes:
    return compress.compress(archive, name, store)[0].path.read_bytes()


@pytest.mark.parametrize("name", compress.NAMES[1:])
def test_another_program_reads_it_back(archive: Initramfs, name: str, store: Store) -> None:
    packed = pack(archive, name, store)
    assert len(packed) < len(ARCHIVE) / 10
    assert packed[:2] == MAGICS[name]
    done = subprocess.run(READERS[name], input=packed, capture_output=True, check=True)
    assert done.stdout == ARCHIVE


@pytest.mark.parametrize("name", compress.NAMES[1:])
def test_it_holds_no_time_and_no_name(
    archive: Initramfs, name: str, store: Store, tmp_path: Path
) -> None:
    first = pack(archive, name, store)
    again = tmp_path / "of another name"
    again.write_bytes(ARCHIVE)
    again.chmod(0o600)
    os.utime(again, (10**9, 10**9))
    # Some formats count in seconds.
    time.sleep(1.1)
    other = Initramfs(path=again, digest=archive.digest)
    assert pack(other, name, Store(tmp_path / "elsewhere")) == first


def test_it_is_packed_once(archive: Initramfs, store: Store) -> None:
    first = compress.compress(archive, "xz", store)[1]
    second = compress.compress(archive, "xz", Store(store.root))[1]
    assert (first.cached, second.cached) == (False, True)


def test_the_kernel_is_asked_for_what_undoes_it() -> None:
    assert compress.kconfig_of("none") == ()
    assert compress.kconfig_of("zstd") == ("CONFIG_RD_ZSTD=y",)
    # With them all there is one request, and one kernel, whatever the method.
    assert compress.kconfig_of("zstd", ("decompressors",)) == ()


def test_a_flavor_has_every_decompressor() -> None:
    flavor = (paths.shipped("kconfigs") / "flavor/decompressors.config").read_text().splitlines()
    wanted = [symbol for name in compress.NAMES for symbol in compress.kconfig_of(name)]
    assert [line for line in flavor if not line.startswith("#")] == wanted


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'gzip'"):
        compress.kconfig_of("gzp")


def test_a_compressor_that_is_not_here_is_named_with_its_package(
    harness: Harness, project: Path, tmp_path: Path
) -> None:
    done = harness(
        "initramfs", "--compress", "lzo", cwd=project, env={"PATH": path_without(tmp_path, "lzop")}
    )
    assert done.returncode == 128, done.stdout
    assert "error: lzop is not on PATH" in done.stderr
    assert "hint: install it (Debian: lzop)" in done.stderr
    assert "Traceback" not in done.stderr


def test_harness_toml_can_say_it(harness: Harness, project: Path) -> None:
    plain = harness("initramfs", cwd=project).stdout.strip()
    with (project / "harness.toml").open("a") as stream:
        stream.write('compress = "lz4"\n')
    packed = harness("initramfs", cwd=project).stdout.strip()
    back = subprocess.run(["lz4", "-dc", packed], capture_output=True, check=True)
    assert back.stdout == Path(plain).read_bytes()
    assert harness("initramfs", "--compress", "none", cwd=project).stdout.strip() == plain


def test_what_it_holds_is_listed_however_it_is_packed(harness: Harness, project: Path) -> None:
    plain = harness("initramfs", "--list", cwd=project)
    packed = harness("initramfs", "--list", "--compress", "xz", cwd=project)
    assert plain.stdout.count("\n") > 5
    assert packed.stdout == plain.stdout


def test_a_run_says_it_and_how_to_repeat_it(harness: Harness, project: Path) -> None:
    done = harness("boot", "--tree", "linux", "--compress", "xz", "--json", cwd=project)
    # The stand-in has no CONFIG_RD_XZ, so nothing is booted.
    assert done.returncode == 125
    result = json.loads(done.stdout)
    assert result["verdict"]["reason"].startswith("CONFIG_RD_XZ did not survive Kconfig")
    assert result["job"]["compress"] == "xz"
    assert result["repro"].endswith("--compress xz")
