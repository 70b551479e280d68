"""Every way a kernel dies that the tool is held to: deaths.toml, its table, its logs.

./bootstrap python tests/deaths.py table             rewrite the table in docs/verdicts.md
./bootstrap python tests/deaths.py collect [NAME…]   boot those (all), rewrite their corpus logs

`collect` boots what the scenario `crash` can bring about, on kernels that take minutes to build,
says where a verdict is not the one in deaths.toml, and keeps of each console what matters.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import console_corpus
from console_corpus import CorpusLog

from harness import console

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parent / "docs" / "verdicts.md"
BEGIN = "<!-- made by tests/deaths.py table -->\n"
END = "<!-- end -->\n"

# What brings a death about, as deaths.toml says it.
CRASH, NO_KASAN, ANY, BOOT, GUEST = "crash", "no-kasan", "any", "boot", "guest"
_BY = {
    CRASH: "flow `{name}`, crash kernel",
    NO_KASAN: "flow `{name}`, crash kernel without KASAN",
    ANY: "flow `{name}`",
    BOOT: "a kernel booted otherwise",
    GUEST: "a guest of a few instructions",
}
_CRASH_KERNEL = ("--series", "crash", "--flavor", "crash")
ARGUMENTS = {CRASH: _CRASH_KERNEL, NO_KASAN: (*_CRASH_KERNEL, "--flavor", "no-kasan"), ANY: ()}
"""How to boot a flow of the scenario, by what brings it about."""

_MAX_BYTES = 9_000
_KEPT = re.compile(rb"Linux version \d|Kernel command line: |harness: \S+ 1 begin ")
_MATTERS = re.compile(
    rb"\[ *\d+\.\d+\] (?:harness: \S+ [2-9] |Kernel panic - |Run \S+ as init|check access for )"
)
# What a slab held, in hex: 200 lines and more.
_DUMP = re.compile(rb"\] (?:Redzone|Object|Padding|Bytes b4) +[0-9a-f]{16}: ")


@dataclass(frozen=True, kw_only=True)
class Death:
    """A row of deaths.toml. In `title` and `evidence`, `*` stands for anything."""

    by: str
    name: str
    what: str
    outcome: str
    title: str
    evidence: str = ""
    """What a line of the verdict's evidence contains; empty where there is none."""
    slow: bool = False

    @property
    def log(self) -> Path:
        """The corpus log made of its console."""
        return console_corpus.FOLDER / f"death-{self.name.replace('_', '-')}.log"

    def is_title(self, text: str) -> bool:
        return _fits(self.title, text)

    def differs(self, outcome: str, reason: str, evidence: list[str] | tuple[str, ...]) -> str:
        """Say how a verdict is another than this row's; empty if it is not."""
        if (outcome, self.is_title(reason)) != (self.outcome, True):
            return f"{outcome}: {reason}, expected {self.outcome}: {self.title}"
        if self.evidence and not any(_fits(f"*{self.evidence}*", line) for line in evidence):
            return f"no evidence holds {self.evidence!r}: {evidence}"
        return ""


def _fits(pattern: str, text: str) -> bool:
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text))


def read() -> list[Death]:
    rows = tomllib.loads((TESTS / "deaths.toml").read_text())
    return [Death(**row) for row in rows["death"]]


def table() -> str:
    """Return the table of docs/verdicts.md."""
    lines = ["| how it dies | outcome | title | brought about by |", "|---|---|---|---|"]
    for death in read():
        title = death.title.replace("*", "…").replace("|", "\\|")
        by = _BY[death.by].format(name=death.name)
        lines.append(f"| {death.what} | `{death.outcome}` | {title} | {by} |")
    return "".join(f"{line}\n" for line in lines)


def with_table(text: str) -> str:
    """Return a document with the table as it is now."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{DOCUMENT} has no place for the table: {BEGIN}…{END}")
    return f"{head}{begin}\n{table()}\n{end}{tail}"


# --- logs -----------------------------------------------------------------------------------------


def boot(death: Death, out: Path) -> tuple[dict[str, object], bytes]:
    """Boot the flow that brings a death about; return the verdict and the console."""
    done = subprocess.run(
        [
            sys.executable, "-m", "harness", "boot", "--json", "--out", out,
            "--base", "6.18.5", "--scenario", "crash", "--flow", death.name,
            *ARGUMENTS[death.by],
        ],
        stdout=subprocess.PIPE,
        check=False,
    )  # fmt: skip
    verdict: dict[str, object] = json.loads(done.stdout)["verdict"]
    logs = list(out.rglob("console.log"))
    return verdict, logs[0].read_bytes() if logs else b""


def difference(death: Death, verdict: dict[str, object]) -> str:
    evidence = [str(line) for line in verdict["evidence"]]  # type: ignore[attr-defined]
    return death.differs(str(verdict["outcome"]), str(verdict["reason"]), evidence)


def cut(data: bytes) -> bytes:
    """Return what matters of a console: which kernel, told what, and all from the first step on."""
    lines = data.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if _MATTERS.search(line)]
    splats = [splat.line - 1 for splat in console.parse(data).splats]
    start = min([*starts, *splats], default=max(0, len(lines) - 40))
    head = [line for line in lines[:start] if _KEPT.search(line)]
    tail = [line for line in lines[start:] if not _DUMP.search(line)]
    return b"".join([*head, *tail])[:_MAX_BYTES].rpartition(b"\n")[0] + b"\n"


def collect(death: Death) -> str:
    """Boot, compare, keep the log; return what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        verdict, data = boot(death, Path(folder))
    if data:
        found = re.search(rb"Linux version (\S+)", data)
        kernel = found[1].decode() if found else "a kernel"
        given = (f"# {death.what}: {kernel}, {_BY[death.by].format(name=death.name)}.",)
        log = CorpusLog(death.log, given, (), None, cut(data))
        log.rewrite(console_corpus.describe(console.parse(log.data)))
    return difference(death, verdict)


def main(words: list[str]) -> int:
    """Do what the first word says, and return the exit code."""
    if words == ["table"]:
        DOCUMENT.write_text(with_table(DOCUMENT.read_text()))
        return 0
    if words[:1] != ["collect"]:
        print(__doc__)
        return 2
    wrong = 0
    for death in read():
        if death.by in ARGUMENTS and (not words[1:] or death.name in words[1:]):
            says = collect(death)
            wrong += bool(says)
            print(f"{death.name}: {says or 'as it was'}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
