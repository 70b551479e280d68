"""`harness new`: what it writes is valid, explains all there is, and runs."""

import re
from pathlib import Path

import msgspec
import pytest
from conftest import ROOT, Harness

from harness import scaffold, settings_file
from harness.limits import Limits
from harness.series_file import SeriesFile
from harness.settings_file import ChecksFile, SettingsFile

NEW = ROOT / "harness/data/new"
FILES = [
    "harness.toml",
    "patches/my-topic/series.toml",
    "initramfs/my-topic/scenario.toml",
    "initramfs/my-topic/expect.toml",
    "initramfs/my-topic/my_topic.c",
]
# A key, whether it is given or shown as one that could be.
KEY = re.compile(r'^(?:# )?"?([\w=-]+)"? = ', re.MULTILINE)


def test_a_scenario_is_written_and_compiles(harness: Harness, tmp_path: Path) -> None:
    done = harness("new", "my-topic")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == FILES
    assert not [file for file in FILES if re.search("@[A-Z]+@", (tmp_path / file).read_text())]
    listed = harness("initramfs", "--list")
    assert listed.returncode == 0, listed.stderr
    assert "init" in listed.stdout


def keys_of(*structs: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for each in structs for field in msgspec.structs.fields(each)}


def test_every_key_is_shown() -> None:
    shown = set(KEY.findall((NEW / "harness.toml").read_text())) | {"checks", "limits"}
    assert shown == keys_of(SettingsFile, ChecksFile, Limits)
    shown = set(KEY.findall((NEW / "series.toml").read_text()))
    assert shown - {"patched", "my_option"} | {"since"} == keys_of(SeriesFile)


def test_what_is_shown_and_not_given_could_be_given(tmp_path: Path) -> None:
    scaffold.make("my-topic", tmp_path)
    text = (tmp_path / "harness.toml").read_text().replace('series = "none"\n', "")
    given = re.sub(r'^# (?=(\[\w+\]$|"?[\w=-]+"? = ))', "", text, flags=re.MULTILINE)
    (tmp_path / "harness.toml").write_text(given)
    read = settings_file.read(tmp_path / "harness.toml")
    assert (read.series, read.profile, read.limits.disk_mib) == ("my-topic", "tiny", 32768)
    assert read.checks.checkpatch == "warning"


def test_nothing_is_written_over(harness: Harness, tmp_path: Path) -> None:
    (tmp_path / "harness.toml").write_text('scenario = "boot"\n')
    done = harness("new", "topic")
    assert done.returncode == 0
    assert "harness.toml is kept as it is" in done.stderr
    assert (tmp_path / "harness.toml").read_text() == 'scenario = "boot"\n'
    flow = tmp_path / "initramfs/topic/topic.c"
    flow.write_text("mine")
    again = harness("new", "topic")
    assert again.returncode == 2
    assert "series.toml is there already" in again.stderr
    assert flow.read_text() == "mine"


@pytest.mark.parametrize("name", ["../x", "Topic", "1st", "a b", ""])
def test_a_name_that_cannot_be_one_is_refused(harness: Harness, tmp_path: Path, name: str) -> None:
    done = harness("new", name)
    assert done.returncode == 2
    assert "cannot be the name of a series" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.kernel
def test_what_is_written_boots_and_passes(harness: Harness) -> None:
    assert harness("new", "my-topic").returncode == 0
    done = harness("boot", "--base", "6.18.5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "judged as unpatched" in done.stdout
    assert "2 of 2 as expected" in done.stdout
