"""Takes a scenario's folder, gives a `Scenario`: guest code and the table of what it should see.

Only `load` reads files. Judges nothing, compiles nothing; the form is in `scenario_file`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from harness import scenario_file, strict_toml
from harness.errors import UsageError
from harness.job import Expectation, Scenario
from harness.scenario_file import ANY, OWN_KEYS, ExpectFile, ScenarioFile, nearest

SCENARIO_FILE = "scenario.toml"
EXPECT_FILE = "expect.toml"


def load(name: str, search: Sequence[Path]) -> Scenario:
    """Read a scenario by path, or by name from the first folder of `search` that has it.

    Raises:
        UsageError: there is none, or something in it is wrong; the message names file and key.
    """
    folder = _find(name, search)
    told = strict_toml.load(folder / SCENARIO_FILE, ScenarioFile)
    path = folder / EXPECT_FILE
    try:
        table = path.read_text(encoding="utf-8") if path.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    return build(folder, told, table, sources=_sources(folder, told))


def build(
    folder: Path, told: ScenarioFile, table: str | None, *, sources: Sequence[Path]
) -> Scenario:
    """Check what the two files say, `table` being the text of expect.toml, None if there is none.

    Raises:
        UsageError: as `load`.
    """
    where = folder / SCENARIO_FILE
    flows = scenario_file.check_flows(told, where)
    variants = scenario_file.check_variants(told, where)
    columns = tuple(dict.fromkeys(rule.name for rule in variants))
    has_table = told.expectations == "table"
    if table is None and has_table:
        raise UsageError(
            f"scenario {folder.name} has no {EXPECT_FILE}, so nothing would be judged",
            hint=f"write {folder / EXPECT_FILE}, or say what proves a pass in "
            f'{SCENARIO_FILE}: expectations = "ktap" or "none"',
        )
    if table is not None and not has_table:
        raise UsageError(
            f'{where}: expectations = "{told.expectations}", but there is an {EXPECT_FILE}',
            hint="remove one of the two",
        )
    return Scenario(
        name=folder.name,
        path=folder,
        title=told.title,
        sources=tuple(sources),
        flows=flows,
        default_flows=flows if told.default is None else tuple(told.default),
        variants=variants,
        expectations=parse_expectations(
            table or "",
            where=folder / EXPECT_FILE,
            flows=flows,
            columns=columns,
            likes=scenario_file.check_likes(told, where),
        )
        if has_table
        else (),
        boots=scenario_file.check_boots(told, columns, where),
        kconfig=scenario_file.check_kconfig(told, where),
        log_observations=scenario_file.check_log_lines(told, where),
        needs_ktap=told.expectations == "ktap",
    )


def parse_expectations(
    text: str,
    *,
    where: Path,
    flows: Sequence[str],
    columns: Sequence[str],
    likes: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Expectation, ...]:
    """Read the text of expect.toml; `where` is the file's name for messages.

    `likes` gives the column whose values hold for another one where a row has none for that.

    Raises:
        UsageError: bad TOML (with the line), or a row that cannot mean what it says.
    """
    rows = strict_toml.decode(text, ExpectFile, where=where).expect
    if not rows:
        raise UsageError(
            f"{where}: holds no [[expect]], so nothing would be judged",
            hint=f'if that is meant, remove it and say expectations = "none" in {SCENARIO_FILE}',
        )
    found: dict[str, int] = {}
    expectations = []
    for number, row in enumerate(rows, 1):
        expectation = _Row(
            row, f"{where}: [[expect]] number {number}", flows, columns, likes
        ).read()
        earlier = found.setdefault(expectation.observe, number)
        if earlier != number:
            raise UsageError(
                f"{where}: {expectation.observe} is expected twice, "
                f"by [[expect]] number {earlier} and {number}",
                hint="one row holds the values of all variants",
            )
        expectations.append(expectation)
    return tuple(expectations)


@dataclass(frozen=True, slots=True)
class _Row:
    """One [[expect]] and what it may refer to; `where` begins its error messages."""

    row: Mapping[str, str | int | dict[str, str | int]]
    where: str
    flows: Sequence[str]
    columns: Sequence[str]
    likes: Mapping[str, str]

    def read(self) -> Expectation:
        observe = self._text("observe")
        values = self._values(
            observe, {key: self.row[key] for key in self.row if key not in OWN_KEYS}
        )
        if not values:
            raise UsageError(
                f"{self.where} ({observe}): expects nothing",
                hint=f"give a value for a variant: {', '.join(self.columns)}",
            )
        promised = self.row.get("promised", {})
        if not isinstance(promised, dict):
            raise UsageError(
                f"{self.where} ({observe}): promised = {promised!r} is no table",
                hint=f'expected promised = {{ {self.columns[0]} = "…" }}',
            )
        return Expectation(
            observe=observe,
            claim=self._text("claim"),
            values=values,
            flow=self._flow(observe),
            promises=self._values(observe, promised),
        )

    def _values(
        self, observe: str, given: Mapping[str, str | int | dict[str, str | int]]
    ) -> tuple[tuple[str, str], ...]:
        """Return a value for each column that has one, by itself or by the one it is like."""
        for key, value in given.items():
            if key not in self.columns:
                raise UsageError(
                    f"{self.where} ({observe}): {key!r} is no variant"
                    f"{nearest(key, (*self.columns, *OWN_KEYS))}",
                    hint=f"the variants of {SCENARIO_FILE}: {', '.join(self.columns)}",
                )
            if isinstance(value, dict):
                raise UsageError(
                    f"{self.where} ({observe}): {key} is a table, not a string or a number"
                )
        found = []
        for column in self.columns:
            source: str | None = column
            while source is not None and source not in given:
                source = self.likes.get(source)
            if source is not None:
                found.append((column, str(given[source])))
        return tuple(found)

    def _text(self, key: str) -> str:
        text = self.row.get(key)
        if not isinstance(text, str) or not text.strip():
            name = self.row.get("observe", "")
            about = f" ({name})" if name else ""
            hint = "say where it is claimed: a sentence of the cover letter, a commit, a man page"
            raise UsageError(
                f"{self.where}{about}: has no {key!r}", hint=hint if key == "claim" else None
            )
        return text

    def _flow(self, observe: str) -> str:
        given = self.row.get("flow")
        flow = str(given) if given is not None else observe.partition(".")[0]
        if flow in (*self.flows, ANY):
            return flow
        raise UsageError(
            f"{self.where} ({observe}): {flow!r} is no flow{nearest(flow, self.flows)}",
            hint=f'add flow = "…", one of {", ".join(self.flows)}, or "{ANY}" for whichever runs',
        )


def _find(name: str, search: Sequence[Path]) -> Path:
    """Return the folder of a scenario, by path or by name."""
    given = Path(name)
    if "/" in name or name in (".", ".."):
        if (given / SCENARIO_FILE).is_file():
            return given.resolve()
        raise UsageError(
            f"{name} is no scenario: it holds no {SCENARIO_FILE}",
            hint="`harness new NAME` writes one to begin with",
        )
    for top in search:
        if name and (top / name / SCENARIO_FILE).is_file():
            return (top / name).resolve()
    known = sorted({path.parent.name for top in search for path in top.glob(f"*/{SCENARIO_FILE}")})
    raise UsageError(
        f"there is no scenario {name!r}{nearest(name, known)}",
        hint=f"there are: {', '.join(known)}; or give a folder as ./PATH"
        if known
        else f"no folder with a {SCENARIO_FILE} in {', '.join(map(str, search)) or 'no folder'}",
    )


def _sources(folder: Path, told: ScenarioFile) -> tuple[Path, ...]:
    patterns = ["*.c"] if told.sources is None else told.sources
    found: dict[Path, None] = {}
    for pattern in patterns:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise UsageError(
                f"{folder / SCENARIO_FILE}: sources names {pattern!r}, outside of {folder}"
            )
        matches = sorted(path for path in folder.glob(pattern) if path.is_file())
        if not matches:
            raise UsageError(
                f"{folder / SCENARIO_FILE}: no file in {folder} is {pattern!r}",
                hint="a flow is a C function; `sources` lists the files that hold them",
            )
        found.update(dict.fromkeys(matches))
    return tuple(found)
