"""What of a scenario a job takes: its column, its flows, its boots."""

from pathlib import Path

import pytest

from harness import scenario, selection
from harness.errors import UsageError
from harness.job import BootPlan, Scenario
from harness.selection import Facts

TOML = """\
title = "mounts of the guest"
flows = ["pivot", "keep", "ids", "names"]
default = ["pivot"]
kconfig = ["CONFIG_TMPFS=y"]

[[variant]]
name = "nullfs"
option = "nullfs_rootfs"

[[variant]]
name = "nullfs"
since = "7.0"

[[variant]]
name = "rootfs"

[[boot]]
flows = ["ids", "names"]
kconfig = ["CONFIG_USER_NS=y", "CONFIG_TMPFS=y"]

[[boot]]
flows = ["keep"]
cpus = 2
only-in = ["nullfs"]
"""

EXPECT = """\
[[expect]]
observe = "pivot.pivot_root"
claim = "cover letter"
nullfs = "0"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mounts"
    made.mkdir()
    (made / "scenario.toml").write_text(TOML)
    (made / "expect.toml").write_text(EXPECT)
    (made / "a.c").write_text("")
    return made


def _load(folder: Path) -> Scenario:
    return scenario.load(folder.name, [folder.parent])


def _variant(loaded: Scenario, cmdline: str = "", version: tuple[int, int] | None = None) -> str:
    return selection.variant(loaded, Facts(cmdline=cmdline, version=version, has_series=True))


def _change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("cmdline", "version", "variant"),
    [
        ("", (6, 18), "rootfs"),
        ("nullfs_rootfs", (6, 18), "nullfs"),
        ("quiet nullfs-rootfs debug", (6, 18), "nullfs"),
        ("nullfs_rootfs=1", (6, 18), "rootfs"),
        ("nullfs_rootfs=", (6, 18), "rootfs"),
        ("nullfs_rootfsx x.nullfs_rootfs", (6, 18), "rootfs"),
        ('x="a nullfs_rootfs b"', (6, 18), "rootfs"),
        ("-- nullfs_rootfs", (6, 18), "rootfs"),
        ("nullfs_rootfs -- x", (6, 18), "nullfs"),
        ("", (7, 0), "nullfs"),
        ("", (7, 2), "nullfs"),
        ("", (10, 0), "nullfs"),
        ("", (6, 99), "rootfs"),
        ("", None, "rootfs"),
        ("nullfs_rootfs", None, "nullfs"),
    ],
)
def test_variant(folder: Path, cmdline: str, version: tuple[int, int] | None, variant: str) -> None:
    loaded = _load(folder)
    assert _variant(loaded, cmdline, version) == variant


def test_option_with_a_value_is_that_value(folder: Path) -> None:
    _change(folder / "scenario.toml", '"nullfs_rootfs"', '"root-fs=a-b"')
    loaded = _load(folder)
    for cmdline, variant in (("root_fs=a-b", "nullfs"), ("root_fs=a_b", "rootfs")):
        assert _variant(loaded, cmdline) == variant


def test_both_conditions_have_to_hold(folder: Path) -> None:
    _change(folder / "scenario.toml", '"nullfs_rootfs"\n', '"nullfs_rootfs"\nsince = "6.18"\n')
    loaded = _load(folder)
    for version, variant in (((6, 18), "nullfs"), ((6, 17), "rootfs")):
        found = _variant(loaded, "nullfs_rootfs", version)
        assert found == variant


def test_no_variant_that_holds_is_an_error(folder: Path) -> None:
    _change(folder / "scenario.toml", 'name = "rootfs"', 'name = "rootfs"\noption = "other"')
    with pytest.raises(UsageError, match="no variant of scenario mounts holds"):
        _variant(_load(folder), "", (6, 18))


def test_asked_for_variant_has_to_exist(folder: Path) -> None:
    loaded = _load(folder)
    selection.check_variant(loaded, None)
    selection.check_variant(loaded, "rootfs")
    with pytest.raises(UsageError, match="no variant 'rotfs'; did you mean 'rootfs'"):
        selection.check_variant(loaded, "rotfs")


@pytest.mark.parametrize(
    ("names", "flows"),
    [
        ([], ("pivot",)),
        (["keep"], ("keep",)),
        (["keep", "pivot", "keep"], ("keep", "pivot")),
        (["keep,pivot"], ("keep", "pivot")),
        (["all"], ("pivot", "keep", "ids", "names")),
    ],
)
def test_flows(folder: Path, names: list[str], flows: tuple[str, ...]) -> None:
    assert selection.flows(_load(folder), names) == flows


@pytest.mark.parametrize("names", [["kep"], ["all", "kep"], ["keep,kep"]])
def test_flow_that_does_not_exist(folder: Path, names: list[str]) -> None:
    with pytest.raises(UsageError, match="no flow 'kep'; did you mean 'keep'") as caught:
        selection.flows(_load(folder), names)
    assert "pivot, keep" in (caught.value.hint or "")


@pytest.mark.parametrize("names", [[""], [","]])
def test_no_flow_at_all_is_an_error(folder: Path, names: list[str]) -> None:
    with pytest.raises(UsageError, match="no flow"):
        selection.flows(_load(folder), names)


# --- by what a job applies and how it is configured -----------------------------------------------

RULES = """
[[variant]]
name = "small"
flavor = "small"

[[variant]]
name = "on"
option = "x"
series = true

[[variant]]
name = "off"
series = true

[[variant]]
name = "none"
"""


@pytest.mark.parametrize(
    ("has_series", "cmdline", "flavors", "variant"),
    [
        (True, "x", (), "on"),
        (True, "", (), "off"),
        (False, "x", (), "none"),
        (False, "", (), "none"),
        # Nobody knows what a kernel of the user's own was built from.
        (None, "x", (), "on"),
        (None, "", (), "none"),
        (True, "x", ("small",), "small"),
        (True, "x", ("large",), "on"),
    ],
)
def test_variant_by_series_and_flavor(
    folder: Path, *, has_series: bool | None, cmdline: str, flavors: tuple[str, ...], variant: str
) -> None:
    (folder / "scenario.toml").write_text(
        'title = "t"\nflows = ["pivot"]\nexpectations = "none"\n' + RULES
    )
    (folder / "expect.toml").unlink()
    facts = Facts(cmdline=cmdline, version=None, has_series=has_series, flavors=flavors)
    assert selection.variant(_load(folder), facts) == variant


# --- boots ----------------------------------------------------------------------------------------


def _flows_of(plans: tuple[BootPlan, ...]) -> list[tuple[str, ...]]:
    return [plan.flows for plan in plans]


@pytest.mark.parametrize(
    ("wanted", "boots"),
    [
        (["pivot"], [("pivot",)]),
        (["names", "pivot", "ids"], [("names", "ids"), ("pivot",)]),
        (["pivot", "keep", "ids", "names"], [("pivot",), ("keep",), ("ids", "names")]),
        (["ids"], [("ids",)]),
        ([], [()]),
    ],
)
def test_flows_are_spread_over_boots(
    folder: Path, wanted: list[str], boots: list[tuple[str, ...]]
) -> None:
    assert _flows_of(selection.boots(_load(folder), wanted)) == boots


def test_a_boot_keeps_what_it_has_of_its_own(folder: Path) -> None:
    loaded = _load(folder)
    assert [plan.cpus for plan in selection.boots(loaded, ["pivot", "keep"])] == [1, 2]


def test_kconfig_is_that_of_the_boots_there_are(folder: Path) -> None:
    loaded = _load(folder)
    for flow, symbols in (
        ("pivot", ("CONFIG_TMPFS=y",)),
        ("ids", ("CONFIG_TMPFS=y", "CONFIG_USER_NS=y")),
    ):
        assert selection.kconfig(loaded, selection.boots(loaded, [flow])) == symbols


def test_a_boot_may_be_for_some_variants_only(folder: Path) -> None:
    loaded = _load(folder)
    plans = selection.boots(loaded, ["pivot", "keep"])
    assert _flows_of(selection.for_variant(loaded, plans, "nullfs")) == [("pivot",), ("keep",)]
    assert _flows_of(selection.for_variant(loaded, plans, "rootfs")) == [("pivot",)]
    with pytest.raises(UsageError, match="flow keep of scenario mounts is for nullfs, this job is"):
        selection.for_variant(loaded, plans[1:], "rootfs")
