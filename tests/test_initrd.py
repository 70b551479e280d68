from pathlib import Path

import pytest

from harness import initrd
from harness.errors import HostError, UsageError
from harness.job import Initramfs, Scenario
from harness.store import Entry, Store

# A package of this "distribution" is the file `package`, a run is a line in `log`.
PROGRAM = """\
#!/bin/sh
set -eu
top=$(dirname "$0")/..
echo "$1" >>"$top/log"
if [ "$1" = --inputs ]; then
	cat "$top/package"
	exit
fi
test -z "$(ls)"
touch litter
{ cat "$(dirname "$0")/part"; cat "$top/package"; } >"$1"
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    folder = tmp_path / "demo"
    (folder / initrd.FOLDER).mkdir(parents=True)
    (folder / "package").write_text("version 1\n")
    (folder / initrd.FOLDER / "part").write_text("part\n")
    write_program(folder, PROGRAM)
    return Scenario(
        name="demo",
        path=folder,
        title="demo",
        sources=(),
        flows=("demo",),
        default_flows=("demo",),
        variants=(),
        expectations=(),
    )


def write_program(folder: Path, text: str) -> None:
    program = folder / initrd.FOLDER / "debian"
    program.write_text(text)
    program.chmod(0o755)


def build(scenario: Scenario, store: Store) -> tuple[Initramfs, Entry]:
    return initrd.build(scenario, "debian", store=store)


def outputs(scenario: Scenario) -> int:
    """Return how often it was asked for more than its inputs."""
    return sum(line != "--inputs" for line in (scenario.path / "log").read_text().splitlines())


def test_it_is_what_the_program_writes(scenario: Scenario, store: Store) -> None:
    made, entry = build(scenario, store)
    assert made.path.read_text() == "part\nversion 1\n"
    assert (entry.path / "inputs").read_text() == "version 1\n"


def test_it_is_made_again_only_for_a_new_package_or_a_new_source(
    scenario: Scenario, store: Store
) -> None:
    first, _ = build(scenario, store)
    again, entry = build(scenario, store)
    assert (again, entry.cached, outputs(scenario)) == (first, True, 1)

    (scenario.path / "package").write_text("version 2\n")
    newer, entry = build(scenario, store)
    assert newer.path.read_text() == "part\nversion 2\n"
    assert "inputs" in entry.why

    (scenario.path / initrd.FOLDER / "part").write_text("other\n")
    other, entry = build(scenario, store)
    assert other.path.read_text() == "other\nversion 2\n"
    assert "part" in entry.why
    assert outputs(scenario) == 3


def test_nothing_it_leaves_behind_is_kept(scenario: Scenario, store: Store) -> None:
    build(scenario, store)
    assert not list(store.root.rglob("litter"))


@pytest.mark.parametrize("when", ["--inputs", "/"])
def test_its_failure_is_the_hosts_and_has_its_last_words(
    scenario: Scenario, store: Store, when: str
) -> None:
    write_program(
        scenario.path,
        f'#!/bin/sh\ncase "$1" in {when}*) echo one >&2; echo "no mirror" >&2; exit 3;; esac\n',
    )
    with pytest.raises(HostError, match=r"failed: no mirror$"):
        build(scenario, store)
    assert not list((store.root / "store").rglob("initramfs.cpio"))


def test_one_that_writes_nothing_is_the_users_to_mend(scenario: Scenario, store: Store) -> None:
    write_program(scenario.path, "#!/bin/sh\n")
    with pytest.raises(UsageError, match="has not written"):
        build(scenario, store)


def test_one_that_cannot_be_run_is_the_users_to_mend(scenario: Scenario, store: Store) -> None:
    (scenario.path / initrd.FOLDER / "debian").chmod(0o644)
    with pytest.raises(UsageError, match="cannot be run"):
        build(scenario, store)
