"""What is no history, bisected on real kernels: a series, a command line, two .configs."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Harness

pytestmark = pytest.mark.kernel


def bisect(harness: Harness, *arguments: str | Path) -> dict[str, Any]:
    done = harness("bisect", "--json", "--base", "6.18.5", *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_patch_that_moves_the_root_is_found(harness: Harness) -> None:
    # The first of the series alone is enough: without it the root's mount has the number 2.
    found = bisect(
        harness, "--patches", "--series", "nullfs", "--measure", "root.mnt_id", "--below", "1.5"
    )
    assert [each["name"] for each in found["minimal"]] == ["1"]
    assert found["first_bad"]["evidence"][0].endswith("observe root.mnt_id=1")
    assert found["first_bad"]["parent_evidence"][0].endswith("observe root.mnt_id=2")


def test_the_parameter_that_chooses_nullfs_is_found(harness: Harness) -> None:
    found = bisect(
        harness, "--series", "nullfs", "--expect", "rootfs",
        "--cmdline", "quiet nullfs_rootfs mitigations=off loglevel=7",
    )  # fmt: skip
    assert [each["name"] for each in found["minimal"]] == ["nullfs_rootfs"]


@pytest.mark.slow
def test_the_symbol_that_keeps_the_memory_is_found(harness: Harness, tmp_path: Path) -> None:
    # devtmpfs is an instance of the rootfs of old, and so holds its memory.
    symbols = {"DEVTMPFS": "y", "OVERLAY_FS": "y", "PROC_CHILDREN": "y", "NET_NS": "y"}
    good, bad = tmp_path / "good.config", tmp_path / "bad.config"
    good.write_text("".join(f"# CONFIG_{name} is not set\n" for name in symbols))
    bad.write_text("".join(f"CONFIG_{name}={value}\n" for name, value in symbols.items()))
    found = bisect(
        harness, "--series", "nullfs", "--cmdline", "nullfs_rootfs", "--flow", "memory",
        "--measure", "memory.shmem_after_kib", "--above", "1000", "--config", good, bad,
    )  # fmt: skip
    assert [each["name"] for each in found["minimal"]] == ["CONFIG_DEVTMPFS=y"]
