"""Scenario folders: what they say, and the one clear line where they cannot mean it."""

from pathlib import Path

import pytest

from harness import scenario
from harness.errors import UsageError
from harness.job import BootPlan, Expectation, LogObservation, Scenario, VariantRule

TOML = """\
title = "mounts of the guest"
flows = ["pivot", "keep"]
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
flows = ["keep"]
cmdline = "root=/dev/vda"
disk = "ext4"
initramfs = false
kconfig = ["CONFIG_EXT4_FS=y"]
only-in = ["nullfs"]
observe = ["panic"]

[[observe-log]]
observe = "*.on_nullfs"
text = "on nullfs"
"""

EXPECT = """\
[[expect]]
observe = "pivot.pivot_root"
claim = "cover letter"
nullfs = "0"
rootfs = "EINVAL"

[[expect]]
observe = "root.mnt_id"
claim = "patch 1"
flow = "*"
nullfs = 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mounts"
    made.mkdir()
    (made / "scenario.toml").write_text(TOML)
    (made / "expect.toml").write_text(EXPECT)
    (made / "b.c").write_text("")
    (made / "a.c").write_text("")
    return made


def _load(folder: Path) -> Scenario:
    return scenario.load(folder.name, [folder.parent])


def _change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1))


def test_folder_is_read_whole(folder: Path) -> None:
    assert _load(folder) == Scenario(
        name="mounts",
        path=folder,
        title="mounts of the guest",
        sources=(folder / "a.c", folder / "b.c"),
        flows=("pivot", "keep"),
        default_flows=("pivot",),
        variants=(
            VariantRule(name="nullfs", option="nullfs_rootfs"),
            VariantRule(name="nullfs", since=(7, 0)),
            VariantRule(name="rootfs"),
        ),
        expectations=(
            Expectation(
                observe="pivot.pivot_root",
                claim="cover letter",
                values=(("nullfs", "0"), ("rootfs", "EINVAL")),
                flow="pivot",
            ),
            Expectation(
                observe="root.mnt_id", claim="patch 1", values=(("nullfs", "2"),), flow="*"
            ),
        ),
        kconfig=("CONFIG_TMPFS=y",),
        boots=(
            BootPlan(
                flows=("keep",),
                cmdline="root=/dev/vda",
                disk="ext4",
                has_initramfs=False,
                kconfig=("CONFIG_EXT4_FS=y",),
                only_in=("nullfs",),
                observe=("panic",),
            ),
        ),
        log_observations=(LogObservation(observe="*.on_nullfs", text="on nullfs", flow="*"),),
    )


def test_little_has_to_be_said(folder: Path) -> None:
    (folder / "scenario.toml").write_text('title = "t"\nflows = ["go"]\nexpectations = "none"\n')
    (folder / "expect.toml").unlink()
    found = _load(folder)
    assert (found.default_flows, found.expectations) == (("go",), ())
    assert found.variants == (VariantRule(name="default"),)
    assert not found.needs_ktap


def test_ktap_needs_no_table(folder: Path) -> None:
    _change(folder / "scenario.toml", "kconfig", 'expectations = "ktap"\nkconfig')
    (folder / "expect.toml").unlink()
    assert _load(folder).needs_ktap


def test_sources_may_be_chosen_or_be_none(folder: Path) -> None:
    _change(folder / "scenario.toml", "kconfig", 'sources = ["b.c"]\nkconfig')
    assert _load(folder).sources == (folder / "b.c",)
    (folder / "more.c").mkdir()
    _change(folder / "scenario.toml", '["b.c"]', '["b.c", "*.c"]')
    assert _load(folder).sources == (folder / "b.c", folder / "a.c")
    _change(folder / "scenario.toml", '["b.c", "*.c"]', "[]")
    assert _load(folder).sources == ()


def test_the_tools_own_scenarios_can_be_read() -> None:
    top = Path(scenario.__file__).parent.parent / "initramfs"
    names = sorted(path.parent.name for path in top.glob("*/scenario.toml"))
    assert "nullfs" in names
    for name in names:
        assert scenario.load(name, [top]).name == name


# --- where it is ----------------------------------------------------------------------------------


def test_the_first_folder_that_has_it_wins(folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    (mine / "mounts").mkdir(parents=True)
    for path in folder.iterdir():
        (mine / "mounts" / path.name).write_bytes(path.read_bytes())
    assert scenario.load("mounts", [mine, tmp_path]).path == mine / "mounts"
    assert scenario.load("mounts", [tmp_path / "none", tmp_path]).path == folder


def test_path_needs_no_search(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scenario.load(str(folder), []).path == folder
    monkeypatch.chdir(folder.parent)
    assert scenario.load("./mounts", []).path == folder
    assert scenario.load("mounts/", []).path == folder
    monkeypatch.chdir(folder)
    assert scenario.load(".", []).path == folder


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("mount", "there is no scenario 'mount'; did you mean 'mounts'?", "there are: mounts"),
        ("zzz", "there is no scenario 'zzz'", "there are: mounts"),
        ("", "there is no scenario ''", "there are: mounts"),
        ("./zzz", "./zzz is no scenario: it holds no scenario.toml", "harness new"),
    ],
)
def test_scenario_that_is_not_there(folder: Path, name: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        scenario.load(name, [folder.parent])
    assert caught.value.message == message
    assert hint in (caught.value.hint or "")


def test_no_name_is_no_scenario_even_where_the_folder_is_one(folder: Path) -> None:
    with pytest.raises(UsageError, match="there is no scenario ''"):
        scenario.load("", [folder])


def test_search_that_finds_nothing_says_where_it_looked(tmp_path: Path) -> None:
    for search, where in (([tmp_path], str(tmp_path)), ([], "no folder")):
        with pytest.raises(UsageError) as caught:
            scenario.load("mounts", search)
        assert caught.value.hint == f"no folder with a scenario.toml in {where}"


# --- what cannot be meant -------------------------------------------------------------------------

BAD_SCENARIO = [
    ("title = ", "titel = ", "unknown key 'titel'; did you mean 'title'?"),
    ('title = "mounts of the guest"\n', "", "missing required field `title`"),
    ("[[observe-log]]", "[[observe_log]]", "unknown key 'observe_log'"),
    ('option = "null', 'options = "null', "unknown key 'options'"),
    ('["pivot", "keep"]', "[]", "flows is empty"),
    ('["pivot", "keep"]', '["pivot", "pivot"]', "the flow 'pivot' is named twice"),
    ('["pivot", "keep"]', '["pivot", "ke-ep"]', "'ke-ep' cannot be a flow"),
    ('["pivot", "keep"]', '["pivot", "all"]', "'all' cannot be a flow"),
    ('default = ["pivot"]', 'default = ["pivott"]', "did you mean 'pivot'?"),
    ('since = "7.0"', 'since = "7"', "since = '7' of variant 'nullfs' is no kernel version"),
    ('since = "7.0"', "since = 7.0", "Expected `str | null`, got `float`"),
    ('name = "rootfs"', 'name = "flow"', "a variant cannot be called 'flow'"),
    ("CONFIG_TMPFS=y", "TMPFS=y", "kconfig holds 'TMPFS=y'"),
    ('text = "on nullfs"', 'text = " "', "observe-log '*.on_nullfs' has an empty text"),
    ('"*.on_nullfs"', '"pivt.on_nullfs"', "expected FLOW.NAME; did you mean 'pivot'?"),
    ('"*.on_nullfs"', '"on_nullfs"', "observe-log has 'on_nullfs', expected FLOW.NAME"),
    ('flows = ["keep"]', "flows = []", "[[boot]] number 1: flows is empty"),
    ('flows = ["keep"]', 'flows = ["kep"]', "'kep' is no flow; did you mean 'keep'?"),
    ('flows = ["keep"]', 'flows = ["keep", "keep"]', "the flow 'keep' is in number 1 already"),
    (
        'only-in = ["nullfs"]',
        'only-in = ["nulfs"]',
        "'nulfs' is no variant; did you mean 'nullfs'?",
    ),
    ('only-in = ["nullfs"]', 'variant = "nulfs"', "'nulfs' is no variant; did you mean 'nullfs'?"),
    ('disk = "ext4"', "", "neither an initramfs nor a disk"),
    ('disk = "ext4"', 'disk = "ext5"', "Invalid enum value 'ext5'"),
    ("initramfs = false", 'initrd = "dracut"', "initrds/dracut"),
    ("initramfs = false", 'disk-image = "a.img"', "there is no"),
    ('disk = "ext4"', 'disk-image = "a.img"', "disk-image without disk"),
    ("CONFIG_EXT4_FS=y", "EXT4_FS=y", "[[boot]] number 1: kconfig holds 'EXT4_FS=y'"),
    ('observe = ["panic"]', 'observe = ["oops"]', "Invalid enum value 'oops'"),
    (
        'name = "rootfs"',
        'name = "rootfs"\nlike = "nulfs"',
        "like 'nulfs', which is no other variant",
    ),
    ('name = "rootfs"', 'name = "rootfs"\nlike = "rootfs"', "which is no other variant"),
    ('text = "on nullfs"\n', "", "missing required field `text`"),
    ('text = "on', "text = on", "not valid TOML: Invalid value (at line 28"),
    ("kconfig", 'sources = ["*.S"]\nkconfig', "no file in"),
    ("kconfig", 'sources = ["../*.c"]\nkconfig', "outside of"),
    ("kconfig", 'sources = ["/etc/*.c"]\nkconfig', "outside of"),
    ("kconfig", 'expectations = "no"\nkconfig', "Invalid enum value 'no'"),
    ("kconfig", 'expectations = "none"\nkconfig', "but there is an expect.toml"),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD_SCENARIO, ids=[b[2] for b in BAD_SCENARIO])
def test_scenario_toml_error(folder: Path, old: str, new: str, message: str) -> None:
    path = folder / "scenario.toml"
    _change(path, old, new)
    with pytest.raises(UsageError) as caught:
        _load(folder)
    assert message in caught.value.message
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message


BAD_EXPECT = [
    ("[[expect]]\n", "[[expect]\n", "not valid TOML: Expected ']]'"),
    (
        "claim = ",
        "clam = ",
        "number 1 (pivot.pivot_root): 'clam' is no variant; did you mean 'claim'",
    ),
    ('claim = "cover letter"\n', "", "number 1 (pivot.pivot_root): has no 'claim'"),
    ('claim = "cover letter"', 'claim = " "', "number 1 (pivot.pivot_root): has no 'claim'"),
    ('claim = "cover letter"', "claim = 3", "number 1 (pivot.pivot_root): has no 'claim'"),
    ('observe = "pivot.pivot_root"\n', "", "number 1: has no 'observe'"),
    ("rootfs = ", "rotfs = ", "'rotfs' is no variant; did you mean 'rootfs'?"),
    ("nullfs = 2\n", "", "number 2 (root.mnt_id): expects nothing"),
    ("nullfs = 2", "nullfs = true", "got `bool`"),
    ('flow = "*"\n', "", "number 2 (root.mnt_id): 'root' is no flow"),
    ('flow = "*"', 'flow = "pivt"', "'pivt' is no flow; did you mean 'pivot'?"),
    ('flow = "*"', 'flow = ""', "'' is no flow"),
    ("root.mnt_id", "pivot.pivot_root", "expected twice, by [[expect]] number 1 and 2"),
    ("[[expect]]", "[[expected]]", "unknown key 'expected'; did you mean 'expect'?"),
    (EXPECT, "", "holds no [[expect]]"),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD_EXPECT, ids=[b[2] for b in BAD_EXPECT])
def test_expect_toml_error(folder: Path, old: str, new: str, message: str) -> None:
    path = folder / "expect.toml"
    _change(path, old, new)
    with pytest.raises(UsageError) as caught:
        _load(folder)
    assert message in caught.value.message
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message


def test_missing_claim_says_what_a_claim_is(folder: Path) -> None:
    _change(folder / "expect.toml", 'claim = "cover letter"\n', "")
    with pytest.raises(UsageError) as caught:
        _load(folder)
    assert "a sentence of the cover letter" in (caught.value.hint or "")
    _change(folder / "expect.toml", 'observe = "pivot.pivot_root"\n', "")
    with pytest.raises(UsageError) as caught:
        _load(folder)
    assert caught.value.hint is None


def test_no_table_is_an_error_that_says_what_else_could_prove_a_pass(folder: Path) -> None:
    (folder / "expect.toml").unlink()
    with pytest.raises(UsageError, match=r"has no expect.toml") as caught:
        _load(folder)
    assert 'expectations = "ktap" or "none"' in (caught.value.hint or "")


def test_table_that_cannot_be_read_is_an_error(folder: Path) -> None:
    (folder / "expect.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"cannot read .*expect\.toml"):
        _load(folder)


# --- which column, which flows --------------------------------------------------------------------


# --- what holds in a column -----------------------------------------------------------------------

LIKE = """\
[[expect]]
observe = "pivot.id"
claim = "c"
old = "1"
other = "*"
promised = { old = "0" }
"""


def _rows(text: str, **likes: str) -> tuple[Expectation, ...]:
    columns = ["old", "other", "new"]
    where = Path("expect.toml")
    return scenario.parse_expectations(
        text, where=where, flows=["pivot"], columns=columns, likes=likes
    )


def test_a_column_has_the_values_of_the_one_it_is_like() -> None:
    row = _rows(LIKE, other="old", new="other")[0]
    assert [row.value_for(name) for name in ("old", "other", "new")] == ["1", "*", "*"]
    assert [row.promise_for(name) for name in ("old", "other", "new")] == ["0", "0", "0"]
    assert _rows(LIKE)[0].value_for("new") is None


def test_columns_cannot_be_like_each_other_in_a_circle(folder: Path) -> None:
    path = folder / "scenario.toml"
    _change(path, 'name = "rootfs"', 'name = "rootfs"\nlike = "other"')
    path.write_text(path.read_text() + '[[variant]]\nname = "other"\nlike = "rootfs"\n')
    with pytest.raises(UsageError, match="like each other in a circle"):
        _load(folder)


@pytest.mark.parametrize(
    ("promised", "message"),
    [
        ('"0"', "promised = '0' is no table"),
        ('{ odl = "0" }', "'odl' is no variant; did you mean 'old'"),
        ("{ old = [] }", "Expected"),
    ],
)
def test_promise_error(promised: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _rows(LIKE.replace('{ old = "0" }', promised))
