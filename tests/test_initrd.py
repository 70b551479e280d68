"""An initramfs that a scenario's own program makes."""

from pathlib import Path

import pytest

from harness import initrd
from harness.errors import HarnessError, HostError, UsageError
from harness.job import Scenario
from harness.store import Store


def _scenario(folder: Path, script: str, *, mode: int = 0o755) -> Scenario:
    (folder / "initrds").mkdir()
    (folder / "initrds/own").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "initrds/own").chmod(mode)
    return Scenario(
        name="s", path=folder, title="t", sources=(), flows=(), default_flows=(), variants=(),
        expectations=(),
    )  # fmt: skip


def test_what_the_program_writes_is_kept(tmp_path: Path, store: Store) -> None:
    scenario = _scenario(tmp_path, 'pwd >"$1"; ls >>"$1"; true')
    made, entry = initrd.build(scenario, "own", store=store)
    assert not entry.cached
    assert len(made.path.read_text().splitlines()) == 1
    assert initrd.build(scenario, "own", store=store)[0].digest == made.digest


def test_it_is_made_anew_when_a_file_beside_it_changes(tmp_path: Path, store: Store) -> None:
    scenario = _scenario(tmp_path, 'cat "${0%/*}/list" >"$1"')
    for text in ("one", "two"):
        (tmp_path / "initrds/list").write_text(text)
        assert initrd.build(scenario, "own", store=store)[0].path.read_text() == text


@pytest.mark.parametrize(
    ("script", "mode", "kind", "message"),
    [
        ("echo no such release >&2; exit 3", 0o755, HostError, "failed: no such release"),
        ("exit 3", 0o755, HostError, "failed: exit status 3"),
        ("true", 0o755, UsageError, "has not written the file"),
        ("true", 0o644, UsageError, "cannot be run"),
    ],
)
def test_a_program_that_does_not_do_it(
    tmp_path: Path, store: Store, script: str, mode: int, kind: type[HarnessError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        initrd.build(_scenario(tmp_path, script, mode=mode), "own", store=store)
