"""Break the nullfs series in one place at a time, and see whether a flow of the scenario notices.

./bootstrap python tests/mutants/run.py            every mutant
./bootstrap python tests/mutants/run.py magic mode   these

Each patch beside this file is a mutant of the series: it is applied on top of it, the kernel is
built, and the flow that its mail names (`Flow:`) is booted with `Cmdline:`. A mutant is killed if
the verdict is a finding. One that cannot be built or booted is broken, which proves nothing. One
that survives has to say why it may (`Survives:`).

The exit code is 0 if every mutant was killed or is known to survive, 1 if not.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path

from harness import record
from harness.cli import options
from harness.errors import EXIT_CODES, HarnessError, Outcome

MUTANTS = Path(__file__).parent
SERIES = MUTANTS.parent.parent / "patches" / "nullfs"
FINDING = 1


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A patch on top of the series, and the boot that has to notice it."""

    name: str
    path: Path
    flow: str
    cmdline: str
    profile: str
    flavors: tuple[str, ...]
    survives: str
    """Why nothing can notice it, where that is so."""

    @property
    def boot(self) -> tuple[tuple[str, ...], str, str, str]:
        """What it is booted with; the configuration of the kernel comes first."""
        return self.flavors, self.profile, self.flow, self.cmdline


def read(path: Path) -> Mutant:
    """Read a mutant's mail."""
    body = str(BytesParser().parsebytes(path.read_bytes()).get_payload())
    said = dict(
        line.split(": ", 1) for line in body.partition("\n---\n")[0].splitlines() if ": " in line
    )
    return Mutant(
        name=path.stem,
        path=path,
        flow=said["Flow"],
        cmdline=said.get("Cmdline", ""),
        profile=said.get("Profile", "tiny"),
        flavors=tuple(said.get("Flavor", "").split()),
        survives=said.get("Survives", ""),
    )


def boot(patches: Sequence[Path], mutant: Mutant) -> tuple[Outcome, str]:
    """Boot the series of `patches` as a mutant asks, and return the verdict."""
    with tempfile.TemporaryDirectory() as folder:
        series = Path(folder) / "mutant"
        series.mkdir()
        (series / "series").write_text("".join(f"{path}\n" for path in patches))
        pipeline = options.make_pipeline(
            quiet=True,
            series=str(series),
            base="6.18.5",
            scenario="nullfs",
            flows=(mutant.flow,),
            cmdline=mutant.cmdline,
            profile=mutant.profile,
            flavors=mutant.flavors,
        )
        verdict = record.run_job(pipeline, out=Path(folder)).result.verdict
    return verdict.outcome, verdict.reason


def main(names: Sequence[str]) -> int:
    """Run the mutants called `names`, or all."""
    series = sorted(SERIES.glob("0*.patch"))
    mutants = [read(path) for path in sorted(MUTANTS.glob("*.patch"))]
    unknown = set(names) - {mutant.name for mutant in mutants}
    if unknown:
        print(f"no mutant named {', '.join(sorted(unknown))} in {MUTANTS}", file=sys.stderr)
        return 2
    chosen = [mutant for mutant in mutants if not names or mutant.name in names]
    # One kernel after the other of one configuration: fewer objects to build anew.
    chosen.sort(key=lambda mutant: mutant.boot)
    counts = dict.fromkeys(("killed", "survived, as known", "survived", "broken"), 0)
    sound: dict[tuple[object, ...], Outcome] = {}
    for mutant in chosen:
        # A flow that fails of itself would kill whatever it is given.
        if mutant.boot not in sound:
            sound[mutant.boot] = boot(series, mutant)[0]
        started = time.monotonic()
        outcome, reason = boot([*series, mutant.path], mutant)
        if sound[mutant.boot] is not Outcome.PASS:
            word, reason = "broken", f"without the mutant the verdict is {sound[mutant.boot]}"
        elif EXIT_CODES[outcome] == FINDING:
            word = "killed"
        elif outcome is not Outcome.PASS:
            word = "broken"
        else:
            word = "survived, as known" if mutant.survives else "survived"
            reason = mutant.survives or reason
        counts[word] += 1
        seconds = time.monotonic() - started
        print(f"{word:<19}{mutant.name:<28}{mutant.flow:<16}{seconds:6.1f} s  {reason}", flush=True)
    print(", ".join(f"{count} {word}" for word, count in counts.items()))
    return 1 if counts["survived"] or counts["broken"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except HarnessError as error:
        sys.exit(f"error: {error.message}")
