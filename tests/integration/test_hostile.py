"""A real kernel's Kconfig runs programs, and they are kept in as make's are."""

import difflib
from pathlib import Path

import pytest
from conftest import Harness

from harness import gitrepo, paths, sandbox, tree
from harness import series as all_series
from harness.store import Store

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(
        not any(not sandbox.why_not(kind) for kind in (sandbox.BUBBLEWRAP, sandbox.UNSHARE)),
        reason="no sandbox works on this machine",
    ),
]

ATTACK = """
config ATTACK
\tstring
\tdefault "$(shell,cat {folder}/secret 2>&1; touch {folder}/witness; env | grep TOKEN; echo ran)"
"""


def test_the_shell_of_kconfig_is_confined(harness: Harness, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("do-not-tell")
    none = all_series.load("none", search=())
    made, _ = tree.materialise(none, base_name="6.18.5", clone=None, store=Store(paths.cache_dir()))
    before = gitrepo.check(made.repo, ["cat-file", "blob", f"{made.commit}:Kconfig"]) + "\n"
    diff = difflib.unified_diff(
        before.splitlines(keepends=True),
        (before + ATTACK.format(folder=tmp_path)).splitlines(keepends=True),
        "a/Kconfig",
        "b/Kconfig",
    )
    patch = tmp_path / "attack.patch"
    patch.write_text(
        "From: x <x@y>\nSubject: [PATCH] Kconfig: attack\n\n---\n"
        f"diff --git a/Kconfig b/Kconfig\n{''.join(diff)}"
    )
    done = harness("config", "--series", patch, "--base", "6.18.5", env={"TOKEN": "do-not-tell"})
    assert done.returncode == 0, done.stderr
    said = next(
        line for line in Path(done.stdout.strip()).read_text().splitlines() if "ATTACK" in line
    )
    assert "ran" in said
    assert f"{tmp_path}/secret: No such file or directory" in said
    assert "do-not-tell" not in said
    assert not (tmp_path / "witness").exists()
