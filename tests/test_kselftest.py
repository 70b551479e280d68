"""kselftest, kselftest_build: the stand-in tree's own selftests, found, built and packed."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from conftest import Harness, commit

from harness import (
    arch,
    console,
    cpio,
    kselftest,
    kselftest_build,
    logwatch,
    report,
    toolchain,
    tree,
)
from harness import series as all_series
from harness.errors import HostError, Outcome, SubjectError, UsageError
from harness.job import BootPlan, Initramfs, Scenario, Tree
from harness.kselftest import TOP
from harness.result import RunResult
from harness.store import Store, digest_of_file

X86_64 = arch.load("x86_64")

pytestmark = pytest.mark.skipif(not X86_64.is_native, reason="needs a compiler for x86_64")

Build = Callable[[str], Path]


def take(clone: Path, store: Store) -> Tree:
    none = all_series.load("none", search=())
    return tree.materialise(none, base_name=None, clone=clone, store=store)[0]


@pytest.fixture
def stand_in(clone: Path, store: Store) -> Tree:
    return take(clone, store)


def maker_of(made: Tree, store: Store) -> kselftest_build.Maker:
    return kselftest_build.Maker(
        tree=made,
        arch=X86_64,
        toolchain=toolchain.find("gcc", X86_64, store),
        store=store,
    )


@pytest.fixture
def make(stand_in: Tree, store: Store) -> Build:
    def make(name: str) -> Path:
        (test,) = kselftest.find([name], stand_in)
        return kselftest_build.build(maker_of(stand_in, store), test)[0].path

    return make


# --- found ----------------------------------------------------------------------------------


def test_a_folder_and_a_program_of_it_are_found_once_each(stand_in: Tree) -> None:
    found = kselftest.find(["demo/", "demo/good", "demo"], stand_in)
    assert [(t.name, t.folder, t.program) for t in found] == [
        ("demo", "demo", None), ("demo/good", "demo", "good"),
    ]  # fmt: skip


def test_its_config_is_asked_for_softly_and_without_modules(stand_in: Tree) -> None:
    (test,) = kselftest.find(["demo"], stand_in)
    assert test.kconfig == ("CONFIG_NET=y # soft", "CONFIG_NET_9P=y # soft")
    assert kselftest.find(["files"], stand_in)[0].kconfig == ()


def test_of_a_folder_that_is_not_there_the_nearest_is_named(stand_in: Tree) -> None:
    with pytest.raises(UsageError, match=r"no selftest 'demmo'; did you mean 'demo'\?"):
        kselftest.find(["demmo"], stand_in)


def test_each_test_is_booted_in_each_flow(stand_in: Tree) -> None:
    plans = kselftest.plans(kselftest.find(["demo", "files"], stand_in), ["one", "two"])
    assert [plan.name for plan in plans] == ["one/demo", "one/files", "two/demo", "two/files"]


# --- built ----------------------------------------------------------------------------------


def test_programs_are_static_and_know_the_trees_own_headers(make: Build) -> None:
    made = make("demo")
    done = subprocess.run([made / "good"], capture_output=True, text=True, check=True)
    # The word is in a header that `make headers` makes.
    assert "ok 1 first\n" in done.stdout
    assert b"/ld-" not in (made / "good").read_bytes()[:4096]
    assert (made / "plan").read_text() == "demo\ngood\nbad\n"
    assert (made / "helper").is_file()


def test_one_program_brings_its_helpers(make: Build) -> None:
    made = make("demo/bad")
    assert (made / "plan").read_text() == "demo\nbad\n"
    assert {path.name for path in made.iterdir()} >= {"bad", "helper"}
    assert not (made / "good").exists()


def test_a_test_that_is_only_a_file_is_a_test(make: Build) -> None:
    assert (make("files") / "plan").read_text() == "files\nlonely\n"


def test_they_are_built_once_and_again_when_the_headers_differ(
    clone: Path, stand_in: Tree, store: Store
) -> None:
    (test,) = kselftest.find(["demo"], stand_in)
    assert not kselftest_build.build(maker_of(stand_in, store), test)[1].cached
    assert kselftest_build.build(maker_of(stand_in, store), test)[1].cached
    makefile = clone / "Makefile"
    makefile.write_text(makefile.read_text().replace('"first"', '"other"'))
    commit(clone, "stand-in: another header")
    made, entry = kselftest_build.build(maker_of(take(clone, store), store), test)
    assert (entry.cached, entry.why) == (False, "headers differs")
    done = subprocess.run([made.path / "good"], capture_output=True, text=True, check=True)
    assert "ok 1 other\n" in done.stdout


@pytest.mark.parametrize("name", ["../../../../escaped", "/var/escaped"])
def test_no_program_is_outside_its_folder(clone: Path, store: Store, name: str) -> None:
    makefile = clone / TOP / "demo/Makefile"
    makefile.write_text(
        f"TEST_GEN_PROGS := {name}\nharness-list:\ninclude ../lib.mk\n"
        f"override TEST_GEN_PROGS := {name}\n"
    )
    commit(clone, "selftests: escape")
    made = take(clone, store)
    (test,) = kselftest.find(["demo"], made)
    with pytest.raises(SubjectError, match=f"names {name}, which is not in its folder"):
        kselftest_build.build(maker_of(made, store), test)


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("demo/godo", "demo has no program 'godo'; did you mean 'good'?", "programs: good, bad"),
        ("scripts", "has no program to build, only scripts: by_hand.sh", "TEST_GEN_PROGS"),
    ],
)
def test_what_has_no_such_program_is_a_usage_error(
    make: Build, name: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        make(name)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_one_that_does_not_compile_is_the_subjects_fault(make: Build) -> None:
    with pytest.raises(SubjectError) as caught:
        make("broken")
    assert caught.value.outcome is Outcome.BUILD_FAILED
    assert "the selftest broken does not build statically" in caught.value.message
    assert "broken.c:4:16: error: 'not_there' undeclared" in caught.value.message


def test_a_library_that_is_not_here_is_this_machines_fault(make: Build) -> None:
    with pytest.raises(HostError) as caught:
        make("needy")
    assert "there is no static libno_such here" in caught.value.message
    assert "libno_such-dev" in (caught.value.hint or "")


# --- packed and read ------------------------------------------------------------------------


def test_the_archive_has_the_programs_the_plan_and_a_shell(
    make: Build, store: Store, tmp_path: Path
) -> None:
    plain = tmp_path / "plain.cpio"
    with plain.open("wb") as stream:
        cpio.write(stream, [cpio.folder("bin"), cpio.file("init", b"", 0o755)])
    before = Initramfs(path=plain, digest=digest_of_file(plain))
    programs = kselftest.Programs(name="demo", path=make("demo"))
    packed = kselftest.pack(before, programs, arch=X86_64, store=store)
    members = {member.name: member for member in cpio.read(packed.path.read_bytes())}
    assert members["kselftest/plan"].data == b"demo\ngood\nbad\n"
    assert members["kselftest/good"].mode & 0o111
    assert members["bin/sh"].data == b"busybox"
    assert "kselftest/manifest.json" not in members
    assert "init" in members


SAID = """\
[    0.0] Linux version 6.99.0
KTAP version 1
1..2
  # Subtest: demo/good
  TAP version 13
  1..3
  ok 1 first
  ok 2 second # SKIP not here
ok 1 demo/good
  TAP version 13
  1..2
  not ok 1 third
  ok 2 third
not ok 2 demo/bad # signal=9
"""


def test_each_result_is_an_observation() -> None:
    scenario = Scenario(
        name="kselftest",
        path=Path("/"),
        title="",
        sources=(),
        flows=("kselftest",),
        default_flows=("kselftest",),
        variants=(),
        expectations=(),
    )
    plan = BootPlan(flows=("kselftest",), kselftest="demo", observe=("ktap",))
    seen = logwatch.add(console.parse(SAID.encode()), scenario, plan)
    assert {o.name: o.value for o in seen.observations} == {
        "kselftest.demo/good.first": "pass",
        "kselftest.demo/good.second": "skip",
        "kselftest.demo/good.#3": "missing",
        "kselftest.demo/good": "pass",
        "kselftest.demo/bad.third": "fail",
        "kselftest.demo/bad.third#2": "pass",
        "kselftest.demo/bad": "fail",
    }


# --- as a user does it ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scenario", "boot"], "so --scenario means nothing"),
        (["--expect", "any"], "so --expect means nothing"),
        (["--flow", "initramfz"], "no flow 'initramfz'; did you mean 'initramfs'?"),
    ],
)
def test_options_that_mean_nothing_with_it(
    harness: Harness, project: Path, arguments: list[str], message: str
) -> None:
    done = harness("boot", "--tree", "linux", "--kselftest", "demo", *arguments, cwd=project)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr


def test_what_is_wrong_with_a_test_is_said_before_a_kernel_is_built(
    harness: Harness, project: Path
) -> None:
    done = harness("boot", "--tree", "linux", "--kselftest", "broken", cwd=project)
    assert done.returncode == 125, done.stderr
    assert "'not_there' undeclared" in done.stdout
    assert "\nbuild " not in done.stderr


def test_a_kernel_that_runs_none_of_them_does_not_pass(
    harness: Harness, project: Path, tmp_path: Path
) -> None:
    """The stand-in says what a guest of the scenario `boot` would, and no KTAP."""
    done = harness("boot", "--tree", "linux", "--kselftest", "demo", "--json", cwd=project)
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout)
    assert result["verdict"]["outcome"] == "fail"
    assert result["job"]["kselftests"] == ["demo"]
    assert "--kselftest demo" in result["repro"]
    found = msgspec.json.decode(done.stdout, type=RunResult)
    seen = {"a": "pass", "b": "fail", "c": "skip", "d": "pass", "e": "missing", "f.other": "yes"}
    text = report.text(msgspec.structs.replace(found, observations=seen), tmp_path)
    assert (
        "tests: 2 pass, 1 fail, 1 skip, 1 missing\n  fail     b\n  skip     c\n  missing  e\n\n"
    ) in text
    # What its own `config` names; the profile of the project has no such thing.
    config = tmp_path / "state/harness/runs/latest" / result["files"]["config"]
    assert "CONFIG_NET_9P=y" in config.read_text().splitlines()
