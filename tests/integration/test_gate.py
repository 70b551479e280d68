"""`harness check nullfs` on real kernels: the table that a maintainer reads."""

import json
from typing import Any

import pytest
from conftest import Harness

pytestmark = pytest.mark.kernel


def _columns(found: dict[str, Any], *names: str) -> list[list[str]]:
    return [[patch[name] for name in names] for patch in found["patches"]]


@pytest.mark.parametrize(
    ("base", "first"),
    [
        ("6.18.5", ["ok", "changes-kernel"]),
        # Patch 1 is in it as a backport.
        pytest.param("6.19.11", ["already-applied", "no-effect"], marks=pytest.mark.slow),
    ],
)
def test_the_series_is_mergeable_patch_by_patch(
    base: str, first: list[str], harness: Harness
) -> None:
    done = harness("check", "nullfs", "--base", base, "--measure", "0", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"]["outcome"] == "mergeable"
    assert _columns(found, "apply", "effect") == [
        first, ["ok", "changes-kernel"], ["ok", "changes-kernel"], ["ok", "no-effect"],
    ]  # fmt: skip
    assert all(patch["boot"] in ("ok", "reused") for patch in found["patches"])
    # The option is booted from the patch on that brings it.
    with_option = [
        [boot["outcome"] for boot in patch["boots"] if boot["cmdline"]]
        for patch in found["patches"]
    ]
    assert with_option == [[""], [""], ["pass"], ["pass"]]
    changed = {row["name"] for row in found["patches"][0]["behaviour"]}
    assert ("root.mnt_id" in changed) == (first[0] == "ok")
    assert found["patches"][3]["boot"] == "reused"
    added = found["patches"][2]["changes"]["symbols_added"]
    assert "nullfs_init_fs_context" in added
    assert not [name for name in added if "initcall" in name]
    counted = [w for p in found["patches"] for w in p["warnings_new"] if w["severity"] == "error"]
    assert counted == []
    assert found["base"]["warnings"] > 0
