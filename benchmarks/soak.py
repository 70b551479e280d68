"""Many boots of one kernel, on this machine as it is and with busy loops beside it.

    ./bootstrap python benchmarks/soak.py [--idle N] [--loaded N] [--hogs N] [--outcome WORD]
        [-- OPTIONS OF harness boot]

Without options for `harness boot` it is the scenario nullfs with its option. Each round has to
have the outcome WORD, pass if not said. Printed are the counts, how long rounds took, the memory
of the tool's own process as it goes on, and the folder of each round that went otherwise. Exits
with 0 if none did. One `harness boot` of the same before builds what is needed.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import paths, proc, processes

USUAL = ["--cmdline", "nullfs_rootfs"]
SHOWN = (10, 50, 100)


@contextmanager
def hogs(count: int) -> Iterator[None]:
    """Keep `count` CPUs busy."""
    loop = [sys.executable, "-c", "while True: pass"]
    # They end with this process, however it ends. It has no threads.
    die = processes.die_with_parent()
    loops = [subprocess.Popen(loop, preexec_fn=die) for _ in range(count)]  # noqa: PLW1509
    try:
        yield
    finally:
        for each in loops:
            each.kill()
            each.wait()


def soak(rounds: int, words: list[str]) -> tuple[dict[str, Any], dict[int, int]]:
    """Return result.json, and the tool's resident KiB by percent of the rounds done."""
    argv = [sys.executable, "-m", "harness", "boot", "--json", "--repeat", str(rounds), *words]
    resident: dict[int, int] = {}
    with (
        tempfile.TemporaryFile() as out,
        subprocess.Popen(argv, stdout=out, stderr=subprocess.PIPE, text=True) as tool,
    ):
        for line in tool.stderr or ():
            said = re.match(r"rounds +(\d+)/", line)
            if said:
                resident[int(said[1]) * 100 // rounds] = resident_kib(tool.pid)
            elif not re.match(r"\w+ +\d+\.\d\d s", line):
                print(f"  {line}", end="")
        code = tool.wait()
        out.seek(0)
        text = out.read()
    if not text:
        sys.exit(f"{proc.quote(argv)} exited {code}")
    found: dict[str, Any] = json.loads(text)
    return found, resident


def resident_kib(pid: int) -> int:
    """Return what a process has in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    said = re.search(r"VmRSS:\s+(\d+)", status)
    return int(said[1]) if said else 0


def report(title: str, result: dict[str, Any], resident: dict[int, int], outcome: str) -> bool:
    """Print what came of it; say whether it is all as it should be."""
    made, seconds = result["repeat"], result["repeat"]["seconds"]
    counts = ", ".join(
        f"{way['outcome']} {way['rounds']}/{made['done']}{' ' * bool(way['title'])}{way['title']}"
        for way in made["ways"]
    )
    print(f"{title}: {counts}")
    if made["pass_rate"]:
        print(f"  pass rate {made['pass_rate']['low']:.2%} to {made['pass_rate']['high']:.2%}")
    if seconds:
        print(f"  a round {seconds['median']:.2f} s, {seconds['min']:.2f} to {seconds['max']:.2f}")
    shown = [
        f"{kib / 1024:.1f} MiB at {percent} %"
        for percent, kib in resident.items()
        if any(percent == min(p for p in resident if p >= at) for at in SHOWN)
    ]
    print(f"  the tool's memory: {', '.join(shown)}")
    folder = paths.state_dir() / "runs" / result["id"]
    for boot in result["boots"]:
        if boot["outcome"] != outcome:
            print(f"  {boot['outcome']}: {folder / Path(boot['files']['console']).parent}")
            print(f"    {boot['reason']}")
    ways = {way["outcome"] for way in made["ways"]}
    return bool(ways == {outcome} and made["done"] == made["asked"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--idle", type=int, default=1000, metavar="N", help="rounds as it is")
    parser.add_argument("--loaded", type=int, default=300, metavar="N", help="rounds with hogs")
    parser.add_argument("--hogs", type=int, default=4, metavar="N", help="busy loops beside them")
    parser.add_argument("--outcome", default="pass", metavar="WORD", help="what each should be")
    parser.add_argument("words", nargs="*", metavar="OPTION", help="of `harness boot`")
    given = parser.parse_args()
    is_right = True
    for title, rounds, beside in (
        ("idle", given.idle, 0),
        (f"with {given.hogs} hogs", given.loaded, given.hogs),
    ):
        if not rounds:
            continue
        started = time.monotonic()
        with hogs(beside):
            result, resident = soak(rounds, given.words or USUAL)
        is_right &= report(title, result, resident, given.outcome)
        print(f"  {time.monotonic() - started:.0f} s in all")
    sys.exit(0 if is_right else 1)


if __name__ == "__main__":
    main()
