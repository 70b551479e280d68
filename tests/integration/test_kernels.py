"""What is true of real kernels whatever the series: the same bytes, every symbol, every profile."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, Harness

from harness import kconfig, paths
from harness.store import digest_of_file

pytestmark = pytest.mark.kernel

FLAVORS = kconfig.available((ROOT / "kconfigs",), "flavor")


def test_the_same_input_from_empty_gives_the_same_bytes(harness: Harness, tmp_path: Path) -> None:
    """One kernel from the cache, where it may have been built step by step; one from nothing."""
    first = harness("build")
    assert first.returncode == 0, first.stderr
    other = tmp_path / "other"
    # The imported sources are no part of what is tested, and take a minute: share them.
    shutil.copytree(
        paths.cache_dir() / "git", other / "harness/git", copy_function=_link, symlinks=True
    )
    second = harness("build", env={"XDG_CACHE_HOME": str(other), "CCACHE_DISABLE": "1"})
    assert second.returncode == 0, second.stderr
    assert first.stdout != second.stdout
    assert digest_of_file(Path(first.stdout.strip())) == digest_of_file(Path(second.stdout.strip()))
    shutil.rmtree(other)


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


@pytest.mark.parametrize("base", ["6.18.5", "6.19.11"])
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--profile", "tiny"], id="tiny"),
        pytest.param(["--profile", "full"], id="full"),
        *(pytest.param(["--flavor", flavor], id=flavor) for flavor in FLAVORS),
    ],
)
def test_every_symbol_survives(harness: Harness, base: str, arguments: list[str]) -> None:
    done = harness("config", "--base", base, *arguments)
    assert done.returncode == 0, done.stderr
    text = Path(done.stdout.strip()).read_text()
    assert "CONFIG_PVH=y" in text


def test_a_lost_symbol_is_explained_by_the_trees_own_kconfig(harness: Harness) -> None:
    done = harness(
        "boot", "--kconfig", "CONFIG_EXT4_FS=y", "--kconfig", "CONFIG_NULLFS=y", "--kconfig",
        "CONFIG_LOCKDEP=y",
    )  # fmt: skip
    assert done.returncode == 125
    assert "CONFIG_EXT4_FS=y (--kconfig): depends on BLOCK (BLOCK is n)" in done.stdout
    assert "CONFIG_NULLFS=y (--kconfig): no such symbol in this tree" in done.stdout
    assert (
        "CONFIG_LOCKDEP=y (--kconfig): it has no prompt, so it cannot be asked for" in done.stdout
    )


def test_the_full_profile_boots_the_scenario(harness: Harness) -> None:
    done = harness("boot", "--profile", "full", "--cmdline", "nullfs_rootfs")
    assert done.returncode == 0, done.stdout + done.stderr


def test_from_patch_three_to_four_only_what_changed_is_built(
    harness: Harness, tmp_path: Path
) -> None:
    series = tmp_path / "series"
    shutil.copytree(ROOT / "patches/nullfs", series)
    third = next(series.glob("0003*"))
    sound = third.read_text()

    def reword(text: str) -> None:
        # Another text than any test before, so that nothing of it can be in the cache.
        third.write_text(sound.replace("Can't mount rootfs on", f"{text} {time.time()} on"))

    def build(count: int) -> list[str]:
        done = harness("build", "--series", f"{series}:{count}", "--base", "6.18.5")
        assert done.returncode == 0, done.stderr
        log = Path(done.stdout.strip()).with_name("build.log").read_text()
        return [line.split()[1] for line in log.splitlines() if line.startswith("  CC ")]

    # What the lane was left with by another test is not what is measured.
    reword("first")
    build(3)
    reword("second")
    compiled = [build(3), build(4)]
    assert "fs/namespace.o" in compiled[0]
    assert len(compiled[0]) < 10
    # The fourth is documentation: what is left is the kernel's own time stamp.
    assert [name for name in compiled[1] if name.startswith(("fs/", "init/do_", "mm/"))] == []


def test_a_compile_error_names_patch_file_and_line(harness: Harness, tmp_path: Path) -> None:
    series = tmp_path / "series"
    shutil.copytree(ROOT / "patches/nullfs", series)
    third = next(series.glob("0003*"))
    text = third.read_text()
    assert text.count("+\tnullfs_rootfs = true;\n") == 1
    third.write_text(text.replace("+\tnullfs_rootfs = true;\n", "+\tnullfs_rootfs = treu;\n"))
    done = harness("boot", "--series", f"{series}:3", "--base", "6.18.5")
    assert done.returncode == 125
    assert done.stdout.startswith(
        "build-failed: the kernel does not build: with patch 3 (fs: add immutable rootfs) on "
        "6.18.5: fs/namespace.c:"
    )
    assert "'treu' undeclared" in done.stdout


def test_an_image_of_ones_own_boots_with_nothing_built(harness: Harness, tmp_path: Path) -> None:
    image = tmp_path / "vmlinux"
    shutil.copy(harness("build", "-q").stdout.strip(), image)
    done = harness("boot", "--kernel", image, "--scenario", "nullfs", "--cmdline", "nullfs_rootfs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "apply" not in done.stderr
    done = harness("boot", "--kernel", image, "--scenario", "nullfs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "judged as unpatched" in done.stdout


def test_a_bzimage_boots_too(harness: Harness) -> None:
    image = harness("build", "-q", "--image", "bzImage")
    assert image.returncode == 0, image.stderr
    done = harness("boot", "--kernel", image.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readmes_own_test_passes(tmp_path: Path) -> None:
    code = (ROOT / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    assert "def test_pivot(boot)" in code
    (tmp_path / "test_mine.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_the_guides_scenario_does_what_it_says(harness: Harness, tmp_path: Path) -> None:
    """Follows docs/writing-a-scenario.md word for word."""
    guide = (ROOT / "docs/writing-a-scenario.md").read_text()
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "harness.toml").touch()
    for name in ("scenario.toml", "proc.c", "expect.toml"):
        path = folder / "initramfs/toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = guide.partition(f"`initramfs/toy/{name}`\n\n```")[2]
        path.write_text(part.partition("\n")[2].partition("```")[0])
    done = harness("boot", "--scenario", "toy", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "scenario  toy (proc), judged as default" in done.stdout

    (folder / "initramfs/toy/expect.toml").write_text(
        (folder / "initramfs/toy/expect.toml").read_text().replace("EPERM", "ENOENT")
    )
    done = harness("boot", "--scenario", "toy", cwd=folder)
    assert done.returncode == 1
    assert done.stdout.startswith("fail: proc.unlink_version is EPERM, expected ENOENT")
