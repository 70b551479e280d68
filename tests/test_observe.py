"""`harness observe` on the stand-in kernel: what was seen, and nothing judged."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from conftest import ROOT, Harness, commit, git

from harness import observations, runs


def test_it_prints_every_observation_by_flow(harness: Harness, project: Path) -> None:
    done = harness("observe", "--tree", "linux", cwd=project)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-4:] == [
        "boot",
        "  boot.userspace          yes",
        "  boot.can_fork_and_exec  exit:0",
        "  boot.mount              old",
    ]
    # A run is a verdict's; there is none.
    assert not runs.runs_dir().exists()


def test_it_is_a_document_of_the_published_schema(harness: Harness, project: Path) -> None:
    done = harness("observe", "--tree", "linux", "--cmdline", "quick", "--json", cwd=project)
    document = json.loads(done.stdout)
    schema = json.loads((ROOT / "docs/observations.schema.json").read_text())
    jsonschema.validate(document, schema)
    assert schema == json.loads(observations.json_schema())
    assert document["schema"] == "harness.observations/1"
    assert document["subject"]["cmdline"] == "quick"
    assert document["flows"] == [
        {
            "flow": "boot",
            "observations": {
                "boot.userspace": "yes",
                "boot.can_fork_and_exec": "exit:0",
                "boot.mount": "old",
            },
        }
    ]


def test_what_it_expects_is_not_looked_at(harness: Harness, project: Path, clone: Path) -> None:
    """The verdict on the same boot is a fail."""
    main = clone / "init/main.c"
    main.write_text(main.read_text().replace("boot.userspace=yes", "boot.userspace=no"))
    assert harness("boot", "--kernel", _built(harness, project, clone), cwd=project).returncode == 1
    done = harness("observe", "--kernel", _built(harness, project, clone), cwd=project)
    assert done.returncode == 0, done.stdout
    assert "  boot.userspace          no\n" in done.stdout


def test_a_guest_that_does_not_end_is_told_with_what_it_saw(
    harness: Harness, project: Path, clone: Path
) -> None:
    main = clone / "init/main.c"
    text = main.read_text()
    cut = re.sub(r"\n\trecord\(\"observe\", mount_answer\(\).*", "\n\tfor (;;)\n\t\t;", text)
    assert cut != text
    main.write_text(cut)
    image = _built(harness, project, clone)
    done = harness("observe", "--kernel", image, "--timeout", "2", cwd=project)
    assert done.returncode == 1, done.stderr
    assert "  boot.can_fork_and_exec  exit:0\n" in done.stdout
    assert "not at its end: boot: the guest had not ended after " in done.stdout
    assert "(no progress for 2 s): in init after record 3" in done.stdout


def test_a_kernel_that_cannot_be_built_is_untestable(harness: Harness, project: Path) -> None:
    done = harness("observe", "--tree", "linux", "--kconfig", "CONFIG_NO=y", cwd=project)
    assert done.returncode == 125
    assert done.stderr.splitlines()[-2].startswith("error: CONFIG_NO did not survive Kconfig")
    assert done.stdout == ""


def test_an_unknown_flow_is_told_before_anything_is_built(harness: Harness, project: Path) -> None:
    done = harness("observe", "--tree", "linux", "--flow", "bot", cwd=project)
    assert done.returncode == 2
    assert "error: scenario boot has no flow 'bot'; did you mean 'boot'?" in done.stderr
    assert "build" not in done.stderr


@pytest.mark.parametrize(
    ("pairs", "flows", "expected"),
    [
        ([("a.x", "1"), ("b.x", "2")], ("a", "b"), {"a": {"a.x": "1"}, "b": {"b.x": "2"}}),
        # A name that is no flow's is the only flow's, or stands under what it says.
        ([("root.x", "1")], ("a",), {"a": {"root.x": "1"}}),
        ([("root.x", "1")], ("a", "b"), {"a": {}, "b": {}, "root": {"root.x": "1"}}),
    ],
)
def test_an_observation_belongs_to_the_flow_its_name_says(
    pairs: list[tuple[str, str]], flows: tuple[str, ...], expected: dict[str, dict[str, str]]
) -> None:
    assert observations.by_flow(pairs, flows) == expected


def _built(harness: Harness, project: Path, clone: Path) -> str:
    """Build what stands in the clone, committed or not, and give the image."""
    if git(clone, "status", "--porcelain"):
        commit(clone, "change")
    done = harness("build", "--tree", "linux", cwd=project)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
