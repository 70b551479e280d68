"""splats.toml against the corpus: every line of it is needed by a log."""

import copy
import re
import tomllib
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

import console_corpus
import pytest
from console_corpus import CorpusLog

from harness import console, splat_rules
from harness.errors import Outcome

DATA = tomllib.loads(resources.files("harness").joinpath("data/splats.toml").read_text())
LOGS = console_corpus.logs()
NEVER = "(?!)"


def _found(log: CorpusLog, rules: splat_rules.Rules | None = None) -> tuple[str, ...]:
    return console_corpus.describe(console.parse(log.data, log.nonce, rules=rules))


@pytest.mark.parametrize("log", LOGS, ids=[log.path.stem for log in LOGS])
def test_log_is_understood(log: CorpusLog, is_update: bool) -> None:  # noqa: FBT001
    found = _found(log)
    if is_update:
        log.rewrite(found)
    else:
        assert found == log.expected


# --- nothing in splats.toml that no log needs ---------------------------------------------------


def _drop(*path: str | int) -> Callable[[dict[str, Any]], None]:
    """Return what deletes the item at `path`."""

    def drop(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        del data[path[-1]]

    return drop


def _never(name: str) -> Callable[[dict[str, Any]], None]:
    """Return what makes an end condition one that is never met."""

    def change(data: dict[str, Any]) -> None:
        data["ends"][name] = NEVER

    return change


def _items() -> Iterator[tuple[str, Callable[[dict[str, Any]], None], str]]:
    """Yield (what, how to take it away, a pattern in the logs that it may matter to)."""
    for number, rule in enumerate(DATA["rule"]):
        start = re.sub(r"\(\?P<\w+>", "(?:", rule["start"])
        yield rule["name"], _drop("rule", number), start
        for key in ("outcome", "where", "absorbs", "rank", "anyone", "last"):
            if key in rule:
                yield f"{rule['name']} {key}", _drop("rule", number, key), start
        for key in ("where", "absorbs"):
            for place, item in enumerate(rule.get(key, ())):
                yield f"{rule['name']} {key} {item}", _drop("rule", number, key, place), start


def _entries() -> Iterator[tuple[str, Callable[[dict[str, Any]], None], str]]:
    """As `_items`, for the tables beside the rules."""
    for table in ("reporting", "waiting"):
        for place, name in enumerate(DATA["skip"][table]):
            word = rf"\b(?:{name})(?:\.[\w.]+)?\+0x"
            yield f"skip {table} {name}", _drop("skip", table, place), word
    for table in ("names", "scrub"):
        for place, (pattern, _) in enumerate(DATA[table]["replace"]):
            yield f"{table} {pattern}", _drop(table, "replace", place), ""
    for name in DATA["ends"]:
        yield f"end {name}", _never(name), DATA["ends"][name].removesuffix("$")


ITEMS = [*_items(), *_entries()]


@pytest.mark.parametrize(("change", "word"), [i[1:] for i in ITEMS], ids=[i[0] for i in ITEMS])
def test_log_fails_without(change: Callable[[dict[str, Any]], None], word: str) -> None:
    data = copy.deepcopy(DATA)
    change(data)
    rules = splat_rules.read(data)
    concerned = [log for log in LOGS if re.search(word.encode(), log.data)]
    assert any(_found(log, rules) != log.expected for log in concerned)


# --- what the table has to be --------------------------------------------------------------------


def test_names_are_unique() -> None:
    names = [rule["name"] for rule in DATA["rule"]]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("rule", DATA["rule"], ids=lambda rule: rule["name"])
def test_rule_says_nothing_that_means_nothing(rule: dict[str, Any]) -> None:
    known = {"name", "kind", "outcome", "needle", "start", "title", "where", "end", "absorbs"}
    assert set(rule) <= known | {"rank", "last", "anyone"}
    assert rule["kind"] in DATA["kinds"]
    assert rule.get("outcome") != DATA["kinds"][rule["kind"]][0]
    assert rule["end"] in {"line", "stack", *DATA["ends"]}
    families = {other["name"].partition("-")[0] for other in DATA["rule"]}
    assert set(rule.get("absorbs", ())) <= families
    groups = set(re.compile(rule["start"]).groupindex) - {"func"}
    assert set(re.findall(r"\{(\w+)\}", rule["title"])) == groups


@pytest.mark.parametrize("kind", DATA["kinds"])
def test_kind_is_that_of_a_rule(kind: str) -> None:
    outcome, meaning = DATA["kinds"][kind]
    reports = {Outcome.PANIC, Outcome.OOPS, Outcome.WARN, Outcome.HANG}
    assert Outcome(outcome) in (reports if kind != "harmless" else {Outcome.PASS})
    assert meaning
    assert any(rule["kind"] == kind for rule in DATA["rule"])


@pytest.mark.parametrize("rule", DATA["rule"], ids=lambda rule: rule["name"])
def test_start_can_be_searched_for_on_lines_of_megabytes(rule: dict[str, Any]) -> None:
    # A needle, or a beginning that few letters share.
    first = re.sub(r"^(?:\(\?:|\(\?P<\w+>)*", "", rule["start"])
    assert "needle" in rule or re.match(r"[\w-]|\\\[|\[\w+\]", first)
    assert not re.match(r"(?:\\.|\[\w+\]|.)[?*+{]", first)
    # `.*` and `.+` only as the last thing: elsewhere every try could cost the whole line.
    assert not re.search(r"\.[*+](?!\)$)", rule["start"])


def test_frames_are_those_of_the_first_trace() -> None:
    frames = "[<ffffffff80006b2c>] first+0x0/0xbc\nwords\n[<ffffffff80006c12>] second+0x1c/0x24\n"
    found = console.parse(f"Oops [#1]\n{frames}".encode())
    assert found.splats[0].frames == ("first",)


# --- properties of all logs ----------------------------------------------------------------------


def _titles(data: bytes, nonce: str | None) -> list[tuple[str, str]]:
    return [(splat.kind, splat.title) for splat in console.parse(data, nonce).splats]


@pytest.mark.parametrize("log", LOGS, ids=[log.path.stem for log in LOGS])
def test_title_does_not_depend_on_addresses_and_times(log: CorpusLog) -> None:
    def other(match: re.Match[bytes]) -> bytes:
        return match[0].translate(bytes.maketrans(b"123456789abcdef", b"2345678912bcdea"))

    moved = re.sub(rb"\+0x[0-9a-f]+/0x[0-9a-f]+|(?<=\.[ch]:)\d+|ffff[0-9a-f]{12}", other, log.data)
    later = re.sub(rb"\[ {4}0\.", b"[  123.", moved)
    assert _titles(later, log.nonce) == _titles(log.data, log.nonce)


@pytest.mark.parametrize("log", LOGS, ids=[log.path.stem for log in LOGS])
def test_report_is_found_again_from_its_own_line_on(log: CorpusLog) -> None:
    whole = console.parse(log.data, log.nonce)
    lines = log.data.decode(errors="replace").split("\n")
    for splat in whole.splats:
        rest = "\n".join(lines[splat.line - 1 :]).encode()
        first = console.parse(rest, log.nonce).splats[0]
        assert (first.title, first.lines, first.line) == (splat.title, splat.lines, 1)


# What the beginning of a report's first line, or the line alone, says.
CUT_SHORT = {"panic", "warning", "bug", "complaint", "page-fault", "gpf", "wild-access"}


@pytest.mark.parametrize("log", LOGS, ids=[log.path.stem for log in LOGS])
def test_a_log_cut_anywhere_shows_no_other_report(log: CorpusLog) -> None:
    kinds = {splat.kind for splat in console.parse(log.data, log.nonce).splats}
    step = max(1, len(log.data) // 12)
    for size in range(step, len(log.data), step):
        cut = {splat.kind for splat in console.parse(log.data[:size], log.nonce).splats}
        # A report whose second line names it is, cut before that, what its first line says.
        assert cut <= kinds | CUT_SHORT
