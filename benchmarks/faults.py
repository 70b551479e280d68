"""Faults of the host, many of them: counts of what became of the run and of the one after it.

    ./bootstrap python benchmarks/faults.py kills [-n 200] [--seed 1]
    ./bootstrap python benchmarks/faults.py kills --real [-n 20]
    ./bootstrap python benchmarks/faults.py corrupt [--only GLOB]
    ./bootstrap python benchmarks/faults.py full

`kills` ends a cold run by SIGKILL at a random moment, looks for what it left, and runs the same
job once more. `corrupt` damages every file of a filled cache in three ways, one at a time, and
runs a job that finds it and one that builds on it. `full` gives a cold run small disks, from one
that is full at once to one that is just enough, then more room. All use the stand-in kernel of
the tests with real git, make, gcc and QEMU; a kernel that differs by one byte from the one of an
undisturbed run counts as wrong. `--real` takes Linux 6.18.5 from the user's cache: minutes a round.
"""

import argparse
import fcntl
import fnmatch
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from upstream import make_tarball, serve  # noqa: E402 - it is a module of the tests

HARNESS = [sys.executable, "-m", "harness", "boot", "--json"]
VERSION = "6.99.0"
MARK = "HARNESS_FAULTS_ROUND"
# What the kernel of a disturbed run may take to die, in seconds.
GRACE_S = 5.0


@dataclass
class World:
    """A place to run in: folders of its own, and jobs with the kernel each of them should give."""

    top: Path
    jobs: list[list[str]]
    env: dict[str, str]
    kernels: list[str] = field(default_factory=list)
    """The digest of each job's kernel, as an undisturbed run has it."""

    @property
    def cache(self) -> Path:
        """The tool's own folder in the cache."""
        return self.top / "cache" / "harness"

    @property
    def environment(self) -> dict[str, str]:
        """What a run is given."""
        return {
            **os.environ,
            "XDG_CACHE_HOME": str(self.top / "cache"),
            "XDG_STATE_HOME": str(self.top / "state"),
            "TMPDIR": str(self.top / "tmp"),
            "HARNESS_ACCEL": os.environ.get("HARNESS_ACCEL", "tcg"),
            **self.env,
        }

    def empty(self) -> None:
        """Forget all that was made, and all runs."""
        for name in ("cache", "state", "tmp"):
            shutil.rmtree(self.top / name, ignore_errors=True)
        (self.top / "tmp").mkdir()

    def start(self, job: list[str], mark: str) -> "subprocess.Popen[bytes]":
        """Start a job; `mark` is found again in the environment of all that it starts."""
        return subprocess.Popen(
            [*HARNESS, *job],
            cwd=self.top / "project",
            env={**self.environment, MARK: mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, number: int) -> tuple[str, str]:
        """Run a job to its end; return what is wrong with what came of it, and its stderr."""
        child = self.start(self.jobs[number], "run")
        out, error = child.communicate()
        words = error.decode(errors="replace")
        if child.returncode:
            reason = words.strip().splitlines()[-1:] or [""]
            with_result = out and json.loads(out)["verdict"]
            return f"exit {child.returncode}: {with_result or reason[0]}", words
        kernel = hashlib.sha256((self.top / "state/harness/runs/latest/vmlinux").read_bytes())
        if len(self.kernels) <= number:
            self.kernels.append(kernel.hexdigest())
        return ("" if kernel.hexdigest() == self.kernels[number] else "another kernel"), words


@contextmanager
def stand_in() -> Iterator[World]:
    """Yield a world of the stand-in kernel: a base to fetch, and two series on it."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name, serve() as org:
        top = Path(name)
        fake = ROOT / "tests" / "fakelinux"
        sources = {
            str(path.relative_to(fake)): path.read_bytes()
            for path in sorted(fake.rglob("*"))
            if path.is_file()
        }
        tarball = make_tarball(top / "t.tar.xz", top=f"linux-{VERSION}", files=sources)
        org.add(tarball, VERSION)
        project = top / "project"
        (project / "kconfigs").mkdir(parents=True)
        (project / "kconfigs/mini.config.j2").write_text("# enough\nCONFIG_NET=y\n")
        (project / "harness.toml").write_text(
            'series = "none"\nprofile = "mini"\nscenario = "boot"\ntimeout = 60.0\n'
        )
        jobs = [_series(top, sources, word) for word in ("new", "another")]
        world = World(top=top, jobs=jobs, env={"HARNESS_KERNEL_ORG": org.url})
        _know(world)
        yield world


def _series(top: Path, sources: dict[str, bytes], word: str) -> list[str]:
    """Write a series that changes one answer of the kernel, and return the job that tests it."""
    folder = top / word
    folder.mkdir()
    old = next(x for x in sources["fs/namespace.c"].decode().splitlines() if "boot.mount=" in x)
    lines = sources["fs/namespace.c"].decode().splitlines()
    at = lines.index(old)
    new = old.replace("boot.mount=old", f"boot.mount={word}")
    before, after = lines[at - 1], lines[at + 1]
    (folder / "0001-answer.patch").write_text(
        f"From: Tester <tester@harness.invalid>\nSubject: [PATCH] fs: answer {word}\n\nWhy.\n---\n"
        "diff --git a/fs/namespace.c b/fs/namespace.c\n"
        "--- a/fs/namespace.c\n+++ b/fs/namespace.c\n"
        f"@@ -{at},3 +{at},3 @@\n {before}\n-{old}\n+{new}\n {after}\n"
    )
    return ["--base", VERSION, "--series", str(folder), "--scenario", "boot"]


@contextmanager
def real() -> Iterator[World]:
    """Yield a world of a real kernel, its base already imported."""
    from harness import paths  # noqa: PLC0415 - the stand-in's world has no need of it

    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        top = Path(name)
        (top / "project").mkdir()
        world = World(top=top, jobs=[["--cmdline", "nullfs_rootfs"]], env={})
        shutil.copytree(paths.cache_dir() / "git", top / "git")
        world.empty = lambda: _empty_but_git(world)  # type: ignore[method-assign]
        _know(world)
        yield world


def _empty_but_git(world: World) -> None:
    World.empty(world)
    world.cache.mkdir(parents=True)
    subprocess.run(["cp", "-a", "--reflink=auto", world.top / "git", world.cache], check=True)


def _know(world: World) -> None:
    """Run each job undisturbed, to know its kernel."""
    world.empty()
    for number in range(len(world.jobs)):
        wrong, words = world.run(number)
        if wrong:
            sys.exit(f"the undisturbed run {number}: {wrong}\n{words}")


# --- kills ----------------------------------------------------------------------------------


def kills(world: World, count: int, seed: int) -> Counter[str]:
    """Kill `count` cold runs, each at a moment of its own; return what came of them."""
    world.empty()
    started = time.monotonic()
    world.run(0)
    whole_s = time.monotonic() - started
    print(f"a cold run takes {whole_s:.1f} s")
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    found: Counter[str] = Counter()
    for number in range(count):
        world.empty()
        delay_s = chance.uniform(0, whole_s)
        problems = [*_kill(world, f"round-{number}", delay_s), *_after(world)]
        found["rounds"] += 1
        for problem in problems:
            found[problem.partition(":")[0]] += 1
            print(f"round {number}, killed after {delay_s:.3f} s: {problem}", flush=True)
    return found


def _kill(world: World, mark: str, delay_s: float) -> Iterator[str]:
    """Kill a run; yield what is wrong right after."""
    child = world.start(world.jobs[0], mark)
    try:
        child.wait(delay_s)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
    child.communicate()
    end = time.monotonic() + GRACE_S
    while _alive(mark) and time.monotonic() < end:
        time.sleep(0.02)
    for command in _alive(mark):
        yield f"orphan: {command}"
    for path in world.top.glob("state/harness/runs/*/"):
        if not path.name.startswith(".") and not (path / "result.json").is_file():
            yield f"half a run: {path.name}"


def _after(world: World) -> Iterator[str]:
    """Run the same job again; yield what is wrong with that."""
    wrong, words = world.run(0)
    if wrong:
        yield f"wrong next run: {wrong}"
    if "Traceback" in words:
        yield f"traceback: {words.splitlines()[-1]}"
    for path in leftovers(world):
        yield f"left over: {path}"
    for lock in world.cache.rglob("*.lock"):
        with lock.open() as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield f"lock held: {lock.name}"


def leftovers(world: World) -> list[Path]:
    """Return the temporary files of the tool, and of what it starts, that are still there."""
    patterns = ("tmp/*", "cache/harness/tmp/*", "state/harness/runs/.*/")
    found = [path for pattern in patterns for path in world.top.glob(pattern)]
    found += filter(_is_temporary, world.cache.rglob("*"))
    return [path.relative_to(world.top) for path in found]


def _is_temporary(path: Path) -> bool:
    is_lock = path.suffix == ".lock" and path.parent.name not in {"locks", "apt"}
    return is_lock or path.suffix == ".new" or path.name.startswith("tmp_obj_")


def _alive(mark: str) -> list[str]:
    """Return the commands of the processes that a run, by its mark, has started."""
    word, found = f"{MARK}={mark}\0".encode(), []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if word in (path / "environ").read_bytes():
                found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


# --- corrupt --------------------------------------------------------------------------------


def _truncate(path: Path, _other: bytes) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _flip(path: Path, _other: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def _replace(path: Path, other: bytes) -> None:
    path.write_bytes(other)


DAMAGES: dict[str, Callable[[Path, bytes], None]] = {
    "truncated": _truncate,
    "bit-flipped": _flip,
    "replaced": _replace,
}


def corrupt(world: World, only: str) -> Counter[str]:
    """Damage each file of a filled cache, each way; return what came of the runs after."""
    world.empty()
    world.run(0)
    pristine = world.top / "pristine"
    subprocess.run(["cp", "-a", world.top / "cache", pristine], check=True)
    names = [
        str(path.relative_to(pristine))
        for path in sorted(pristine.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.stat().st_size
    ]
    names = [name for name in names if fnmatch.fnmatch(name, only)]
    print(f"{len(names)} files, {len(DAMAGES)} damages each")
    found: Counter[str] = Counter()
    for number, name in enumerate(names):
        other = (pristine / names[(number + 1) % len(names)]).read_bytes()
        for damage, do in DAMAGES.items():
            shutil.rmtree(world.top / "cache")
            subprocess.run(["cp", "-a", pristine, world.top / "cache"], check=True)
            path = world.top / "cache" / name
            before = path.stat()
            path.chmod(0o644)
            do(path, other)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
            found["damages"] += 1
            problems, was_said = _survives(world)
            found["said"] += was_said
            for problem in problems:
                found[problem.partition(":")[0]] += 1
                print(f"{name} {damage}: {problem}", flush=True)
    return found


def _survives(world: World) -> tuple[list[str], bool]:
    """Run the same job, one that builds on it, and the first again, which must find all sound."""
    problems, said = [], []
    for number in (0, 1):
        wrong, words = world.run(number)
        said += [line for line in words.splitlines() if line.startswith("warning: ")]
        if wrong:
            problems.append(f"wrong run of job {number}: {wrong}")
    wrong, words = world.run(0)
    if wrong or "warning: " in words:
        problems.append(f"not sound after: {wrong or words}")
    return problems, bool(said)


# --- full -----------------------------------------------------------------------------------

# Which folder is on the small disk, and its sizes in KiB.
DISKS = {
    "cache": [8, 32, *range(64, 2048, 64)],
    "state": [4, 8, 16, 32, 64, 128],
    "tmp": [4, 16, 64],
}
ON_A_DISK = """\
disk=$1 size=$2; shift 2
mount -t tmpfs -o size=${size}k none "$disk" || exit 99
"$@" >"$OUT/first" 2>"$OUT/first-error"; echo $? >"$OUT/first-exit"
find "$disk" -name result.json >"$OUT/published"
mount -o remount,size=500m "$disk"
exec "$@" >"$OUT/second" 2>"$OUT/second-error"
"""


def full(world: World) -> Counter[str]:
    """Run on disks of all sizes, then with more room; return what came of it."""
    found: Counter[str] = Counter()
    out = world.top / "out"
    out.mkdir()
    unshare = ["unshare", "-m", *([] if os.geteuid() == 0 else ["-r"])]
    for name, sizes in DISKS.items():
        for size in sizes:
            world.empty()
            (world.top / name).mkdir(exist_ok=True)
            argv = [*unshare, "sh", "-c", ON_A_DISK, "sh", str(world.top / name), str(size)]
            done = subprocess.run(
                [*argv, *HARNESS, *world.jobs[0]],
                cwd=world.top / "project",
                env={**world.environment, "OUT": str(out)},
                check=False,
            )
            found["disks"] += 1
            code = (out / "first-exit").read_text().strip()
            found[f"exit {code}"] += 1
            for problem in _on_full(out, name, code, done.returncode):
                found[problem.partition(":")[0]] += 1
                print(f"{name} of {size} KiB: {problem}", flush=True)
    return found


def _on_full(out: Path, disk: str, code: str, second: int) -> Iterator[str]:
    text = (out / "first").read_text() + (out / "first-error").read_text()
    if code not in {"0", "128"}:
        yield f"wrong exit: {code}: {text}"
    if code == "128" and not ("No space left" in text or "disk is full" in text):
        yield f"does not say that the disk is full: {text}"
    if code == "128" and disk not in text:
        yield f"does not name the disk: {text}"
    if "Traceback" in text:
        yield f"traceback: {text}"
    if disk == "state" and code == "128" and (out / "published").read_text():
        yield "half a run: it is published"
    if second:
        words = (out / "second").read_text() + (out / "second-error").read_text()
        yield f"wrong next run: exit {second}: {words}"


def main() -> None:
    """Run what the command line names, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("what", choices=["kills", "corrupt", "full"])
    parser.add_argument("-n", "--count", type=int, default=200, help="how many kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="*", help="only files of the cache that match")
    parser.add_argument("--real", action="store_true", help="a real kernel, not the stand-in")
    asked = parser.parse_args()
    with real() if asked.real else stand_in() as world:
        if asked.what == "kills":
            found = kills(world, asked.count, asked.seed)
        elif asked.what == "corrupt":
            found = corrupt(world, asked.only)
        else:
            found = full(world)
    print(", ".join(f"{what} {count}" for what, count in found.items()))
    harmless = {"rounds", "damages", "said", "disks", "exit 0", "exit 128"}
    sys.exit(any(what not in harmless for what in found))


if __name__ == "__main__":
    main()
