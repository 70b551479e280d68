"""The logs in corpus/console: what they hold is said in their own first lines.

# why the log is here; kept as it is, as is an optional `NONCE: `
KIND: …  TITLE: …      and so on: what is found, rewritten by pytest --update
(an empty line)
the log, byte by byte
"""

from dataclasses import dataclass
from pathlib import Path

from harness import verdict
from harness.job import Console

FOLDER = Path(__file__).parent / "corpus" / "console"


@dataclass(frozen=True)
class CorpusLog:
    path: Path
    given: tuple[str, ...]
    expected: tuple[str, ...]
    nonce: str | None
    data: bytes

    def rewrite(self, found: tuple[str, ...]) -> None:
        head = "\n".join((*self.given, *found)).encode()
        self.path.write_bytes(head + b"\n\n" + self.data)


def read(path: Path) -> CorpusLog:
    head, _, data = path.read_bytes().partition(b"\n\n")
    lines = head.decode().splitlines()
    given = [line for line in lines if line.startswith(("#", "NONCE: "))]
    nonces = [line.removeprefix("NONCE: ") for line in given if line.startswith("NONCE: ")]
    return CorpusLog(
        path=path,
        given=tuple(given),
        expected=tuple(line for line in lines if line not in given),
        nonce=nonces[0] if nonces else None,
        data=data,
    )


def logs() -> list[CorpusLog]:
    return [read(path) for path in sorted(FOLDER.glob("*.log"))]


def describe(console: Console) -> tuple[str, ...]:
    """What a console holds, in the form of a corpus header."""
    found = []
    for splat in console.splats:
        cut = "" if splat.is_complete else ", cut short"
        found += [
            f"KIND: {splat.kind}",
            f"TITLE: {splat.title}",
            f"AS: {splat.outcome} at line {splat.line}, {len(splat.lines)} lines{cut}",
            f"FRAMES: {' '.join(splat.frames)}",
        ]
    found += [f"UNKNOWN: {word}" for word in console.unknown_parameters]
    if console.records:
        found.append(f"RECORDS: {' '.join(f'{r.seq}:{r.kind}' for r in console.records)}")
    found += [f"OBSERVED: {seen.name}={seen.value}" for seen in console.observations]
    found += [f"KTAP: {result.status} {result.name}" for result in console.ktap]
    found += [f"STRAY: {text}" for text in console.stray]
    found.append(f"BANNERS: {len(console.banners)}")
    found.append(f"CMDLINE: {console.cmdline}")
    judged = verdict.judge_log(console)
    found += [f"OUTCOME: {judged.outcome}", f"REASON: {judged.reason}"]
    return tuple(line.rstrip() for line in found)
