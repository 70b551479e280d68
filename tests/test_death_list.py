"""deaths.toml: the table made of it, the logs made from it, and the guests that need no kernel."""

from pathlib import Path

import console_corpus
import death_guests
import deaths
import pytest
from deaths import Death

from harness import boot, console, scenario
from harness.store import Store

DEATHS = deaths.read()
GUESTS = [death for death in DEATHS if death.by == deaths.GUEST]


def test_the_document_has_the_table_as_it_is() -> None:
    text = deaths.DOCUMENT.read_text()
    assert text == deaths.with_table(text), "run `./bootstrap python tests/deaths.py table`"


def test_names_are_unique() -> None:
    names = [death.name for death in DEATHS]
    assert sorted(set(names)) == sorted(names)


def test_every_flow_of_the_scenario_is_a_death() -> None:
    flows = scenario.load("crash", [deaths.TESTS.parent / "initramfs"]).flows
    assert {d.name for d in DEATHS if d.by in deaths.ARGUMENTS} == set(flows)


def test_a_row_that_a_verdict_does_not_fit_is_told() -> None:
    row = Death(by="any", name="x", what="x", outcome="hang", title="after *: y", evidence="a*c")
    assert row.differs("hang", "after 1.2 s: y", ["line 1: a b c"]) == ""
    assert "expected hang" in row.differs("fail", "after 1.2 s: y", ["line 1: a b c"])
    assert "expected hang: after *" in row.differs("hang", "after 1.2 s: yes", ["a b c"])
    assert "no evidence" in row.differs("hang", "after 1.2 s: y", ["c b a"])


def _is_told(death: Death, folder: Path, store: Store) -> None:
    judged = death_guests.boot_guest(death.name, folder, store)
    assert death.differs(judged.outcome, judged.reason, judged.evidence) == ""


@pytest.mark.parametrize("death", [d for d in GUESTS if not d.slow], ids=lambda death: death.name)
def test_guest(death: Death, tmp_path: Path, store: Store) -> None:
    _is_told(death, tmp_path, store)


# A serial line takes 0.2 MB a second.
FLOODS = [death for death in GUESTS if death.slow]


@pytest.mark.parametrize("death", FLOODS, ids=lambda death: death.name)
def test_flood_past_a_lower_limit(
    death: Death, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "CONSOLE_MAX", 100_000)
    _is_told(death, tmp_path, store)


@pytest.mark.slow
@pytest.mark.parametrize("death", FLOODS, ids=lambda death: death.name)
def test_flood(death: Death, tmp_path: Path, store: Store) -> None:
    _is_told(death, tmp_path, store)


# --- logs -----------------------------------------------------------------------------------------

LOGGED = [d for d in DEATHS if d.by in deaths.ARGUMENTS and d.outcome != "no-output"]


@pytest.mark.parametrize("death", LOGGED, ids=lambda death: death.name)
def test_log_shows_the_death(death: Death) -> None:
    """What the log alone can show: how QEMU ended, and what was to run, it cannot."""
    log = console_corpus.read(death.log)
    assert len(log.data) < 10_000
    splats = console.parse(log.data).splats
    if splats:
        assert death.is_title(splats[0].title)
        assert f"AS: {death.outcome} at" in "\n".join(log.expected)
    else:
        assert death.outcome in {"pass", "fail", "hang", "reset"}


def test_no_log_is_left_of_a_death_that_is_gone() -> None:
    logs = {path.name for path in console_corpus.FOLDER.glob("death-*.log")}
    assert logs == {death.log.name for death in LOGGED}
