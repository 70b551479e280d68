"""The tool's own cost beside the same work by hand, in one run, by turns.

    ./bootstrap python benchmarks/bench.py warm [-n RUNS]
    ./bootstrap python benchmarks/bench.py touch [-n RUNS]
    ./bootstrap python benchmarks/bench.py cold --tarball linux-6.18.5.tar.xz
    ./bootstrap python benchmarks/bench.py scenario [-n RUNS]
    ./bootstrap python benchmarks/bench.py check

`warm` repeats a boot of which everything is cached, against its own repro.sh. `touch` changes a
line of fs/namespace.c before each, against make and QEMU in the folders of a build by hand. `cold`
starts from a downloaded tarball with an empty cache, against tar, patch, make and QEMU. Those want
one `harness boot --cmdline nullfs_rootfs` before; `cold` takes ten minutes and 6 GB. `scenario`
makes all boots of the scenario nullfs but the races, on a kernel that is built. `check` is the
gate of the series, with nothing of it in the cache but its base (and what ccache has), against make
and QEMU after each patch.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import paths
from harness import scenario as scenarios
from harness.store import digest_of_file

ROOT = Path(__file__).parent.parent
HARNESS = [sys.executable, "-m", "harness", "boot", "-q", "--cmdline", "nullfs_rootfs"]
VERSION = "6.18.5"
MAKE = ["make", f"-j{os.cpu_count()}", "-s", "vmlinux"]


@dataclass(frozen=True, slots=True)
class Cost:
    """One run: wall and CPU seconds, children included."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Cost:
    before, started = _cpu(), time.monotonic()
    work()
    return Cost(time.monotonic() - started, _cpu() - before)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(
    argv: list[str], *, code: int = 0, cwd: Path | None = None, env: dict[str, str] | None = None
) -> str:
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != code:
        sys.exit(f"{argv} exited {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def by_turns(runs: int, tool: Callable[[], object], hand: Callable[[], object]) -> None:
    """Run both `runs` times in turn, and print each one's minimum, median and maximum."""
    tool(), hand()
    pairs = [(timed(tool), timed(hand)) for _ in range(runs)]
    for name, costs in (("tool", [t for t, _ in pairs]), ("by hand", [h for _, h in pairs])):
        wall, cpu = [c.wall for c in costs], [c.cpu for c in costs]
        print(f"{name:8}  wall {spread(wall)}  cpu {spread(cpu)}")
    print(f"{'ratio':8}  wall {spread([t.wall / h.wall for t, h in pairs])}")
    print(f"{'excess':8}  cpu {spread([t.cpu - h.cpu for t, h in pairs])}")


def spread(values: list[float]) -> str:
    return f"{min(values):.2f} {statistics.median(values):.2f} {max(values):.2f}"


def latest() -> Path:
    return (paths.state_dir() / "runs/latest").resolve()


# --- warm -----------------------------------------------------------------------------------


def warm(runs: int) -> None:
    run(HARNESS)
    repro = ["sh", str(latest() / "repro.sh")]
    by_turns(runs, lambda: run(HARNESS), lambda: run(repro, code=33))
    own_cost()


def own_cost() -> None:
    """Print what the tool's own process takes, QEMU left out."""
    script = (
        "import resource, sys\n"
        "sys.argv = ['harness', *sys.argv[1:]]\n"
        "from harness.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    u = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    print('own', u.ru_utime + u.ru_stime, u.ru_maxrss // 1024, file=sys.stderr)\n"
    )
    figures = []
    for _ in range(7):
        done = subprocess.run(
            [sys.executable, "-c", script, *HARNESS[3:]], capture_output=True, text=True, check=True
        )
        figures.append([float(word) for word in done.stderr.split()[-2:]])
    cpu, memory = zip(*figures, strict=True)
    print(f"{'own':8}  cpu {spread(list(cpu))} s  memory {spread(list(memory))} MiB")


# --- scenario -------------------------------------------------------------------------------


def scenario(runs: int) -> None:
    found = scenarios.load("nullfs", [paths.shipped("initramfs")])
    flows = [flow for flow in found.flows if flow != "races"]
    races = next(plan for plan in found.boots if "races" in plan.flows)
    # The kernel of `--flow all`.
    symbols = [word for line in races.kconfig for word in ("--kconfig", line)]
    argv = [*HARNESS, *symbols, "--flow", ",".join(flows), "--json"]
    boots = json.loads(run(argv))["boots"]
    costs = [timed(lambda: run(argv)) for _ in range(runs)]
    print(f"{len(boots)} boots, each {spread([boot['seconds'] for boot in boots])} s")
    print(f"in all    wall {spread([c.wall for c in costs])}  cpu {spread([c.cpu for c in costs])}")


# --- touch ----------------------------------------------------------------------------------


def touch(runs: int) -> None:
    with tempfile.TemporaryDirectory(dir=paths.cache_dir()) as name:
        top = Path(name)
        clone, series, out = top / "linux", top / "series", top / "out"
        lane = paths.cache_dir() / "lanes" / VERSION
        run(HARNESS)
        repro = ["sh", str(latest() / "repro.sh")]
        shutil.copytree(lane / "tree", clone, symlinks=True)
        out.mkdir()
        shutil.copy(latest() / "config", out / ".config")
        make = [*MAKE, "-C", str(clone), f"O={out}"]
        run(make)
        shutil.copytree(ROOT / "patches/nullfs", series)
        counter = iter(range(1000))

        def tool() -> None:
            patch = next(series.glob("0003*"))
            text = patch.read_text().splitlines(keepends=True)
            old = next(line for line in text if "Can't mount rootfs on nullfs" in line)
            new = f'+\t\tpanic("Can\'t mount rootfs on nullfs {next(counter)}");\n'
            patch.write_text("".join(new if line is old else line for line in text))
            run([*HARNESS, "--series", str(series), "--base", VERSION])

        def hand() -> None:
            source = clone / "fs/namespace.c"
            source.write_text(source.read_text() + f"/* {next(counter)} */\n")
            run(make)
            run(repro, code=33)

        by_turns(runs, tool, hand)


# --- check ----------------------------------------------------------------------------------


def check() -> None:
    run([*HARNESS, "--series", "none", "--base", VERSION, "--scenario", "nullfs"], code=1)
    repro, config = ["sh", str(latest() / "repro.sh")], latest() / "config"
    with tempfile.TemporaryDirectory(dir=paths.cache_dir()) as name:
        top = Path(name)
        source, series, out = top / "linux", top / "series", top / "out"
        source.mkdir()
        out.mkdir()
        git = ["git", f"--git-dir={paths.cache_dir() / 'git'}", f"--work-tree={source}"]
        env = {"GIT_INDEX_FILE": str(top / "index")}
        run([*git, "read-tree", f"refs/bases/{VERSION}"], env=env)
        run([*git, "checkout-index", "-a"], env=env)
        shutil.copy(config, out / ".config")
        make = [*MAKE, "-C", str(source), f"O={out}"]
        run(make)
        shutil.copytree(ROOT / "patches/nullfs", series)
        first = next(series.glob("0001*"))
        line = next(text for text in first.read_text().splitlines() if text.startswith("+\t"))
        first.write_text(first.read_text().replace(line, f"{line} /* {time.time()} */"))

        def hand() -> None:
            # The option is there from patch 3 on: one boot before that, two after.
            for count, patch in zip((1, 1, 2, 2), sorted(series.glob("*.patch")), strict=True):
                run(["patch", "-p1", "-s", "-i", str(patch)], cwd=source)
                run(make)
                for _ in range(count):
                    run(repro, code=33)

        argv = [sys.executable, "-m", "harness", "check", "-q", str(series), "--base", VERSION]
        tool = timed(lambda: run([*argv, "--fresh", "--measure", "0"]))
        by_hand = timed(hand)
        again = timed(lambda: run([*argv, "--measure", "0"]))
        print(f"by hand   wall {by_hand.wall:.1f}  cpu {by_hand.cpu:.1f}")
        print(f"tool      wall {tool.wall:.1f}  cpu {tool.cpu:.1f}")
        print(f"ratio     wall {tool.wall / by_hand.wall:.2f}")
        print(f"again     wall {again.wall:.2f}  cpu {again.cpu:.2f}")


# --- cold -----------------------------------------------------------------------------------


def cold(tarball: Path) -> None:
    config = latest() / "config"
    repro = ["sh", str(latest() / "repro.sh")]
    # ccache would make the second of the two the winner.
    env = {"CCACHE_DISABLE": "1"}
    with tempfile.TemporaryDirectory(dir=paths.cache_dir()) as name:
        source, out, cache = Path(name, "linux"), Path(name, "out"), Path(name, "cache")

        def hand() -> None:
            source.mkdir()
            out.mkdir()
            run(["tar", "-xf", str(tarball), "-C", str(source), "--strip-components=1"])
            for patch in sorted((ROOT / "patches/nullfs").glob("*.patch")):
                run(["patch", "-p1", "-s", "-i", str(patch)], cwd=source)
            shutil.copy(config, out / ".config")
            run([*MAKE, "-C", str(source), f"O={out}"], env=env)
            run(repro, code=33)

        by_hand = timed(hand)
        print(f"by hand   wall {by_hand.wall:.1f}  cpu {by_hand.cpu:.1f}")
        shutil.rmtree(source)
        shutil.rmtree(out)

        kept = cache / f"harness/downloads/linux_{VERSION}.orig.tar.xz"
        kept.parent.mkdir(parents=True)
        shutil.copy(tarball, kept)
        note = {"source": "the benchmark", "sha256": digest_of_file(kept)}
        kept.with_name(f"{kept.name}.source").write_text(json.dumps(note))
        words = [*HARNESS, "--json"]
        result: list[str] = []
        by_tool = timed(
            lambda: result.append(run(words, env={**env, "XDG_CACHE_HOME": str(cache)}))
        )
        print(f"tool      wall {by_tool.wall:.1f}  cpu {by_tool.cpu:.1f}")
        for stage in json.loads(result[0])["stages"]:
            print(f"          {stage['name']:<10} {stage['seconds']:.1f}")


def main() -> None:
    # A checkout of which no bytecode may be kept is compiled at every start: a tenth of a second.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["warm", "touch", "cold", "scenario", "check"])
    parser.add_argument("-n", dest="runs", type=int, default=7)
    parser.add_argument("--tarball", type=Path)
    options = parser.parse_args()
    if options.what == "cold":
        cold(options.tarball or parser.error("cold wants --tarball"))
    elif options.what == "check":
        check()
    else:
        {"warm": warm, "touch": touch, "scenario": scenario}[options.what](options.runs)


if __name__ == "__main__":
    main()
