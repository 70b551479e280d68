"""`harness bisect` beside `git bisect run` with an incremental make and QEMU by hand.

    ./bootstrap python benchmarks/against_git.py [HISTORY ...]

Each history is some 64 commits on 6.18.5. `quiet` and `busy` are about the cost: one commit breaks
the errno of pivot_root(), and of the others most cannot matter (three in eight are documentation,
three a driver that is not compiled), or each changes what is compiled. The rest are those of
tests/histories.py, which are about the answer.

Before the clock starts both have just built the bad end, as whoever saw it fail has. By hand that
is a worktree, an O= folder with the same .config, and for `git bisect run` the script that one
would write: 125 where make fails, 0 or 1 by a line of the console. git takes the ends on trust;
`harness bisect` builds and boots the good one, and all of that is in its time. Wants an idle
machine, and takes some three minutes a history. Prints a table.
"""

import argparse
import dataclasses
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import histories  # noqa: E402
from histories import Change, Clone, History  # noqa: E402

from harness import paths  # noqa: E402
from harness.store import Store, digest_of_file  # noqa: E402

HARNESS = [sys.executable, "-m", "harness"]
SCRIPT = """\
{prepare}
make -s -C {tree} O={out} olddefconfig || exit 125
make -s -j{cpus} -C {tree} O={out} LOCALVERSION= vmlinux || exit {unbuilt}
{boot}
{test}
"""
BOOT = "timeout 120 sh {repro} > {log} 2>&1"


@dataclass(frozen=True, kw_only=True)
class ByHand:
    """What of the script is a history's own: `test` is good if it exits with 0."""

    test: str = "grep -q 'pivot.pivot_root=EINVAL' {log}"
    prepare: str = ""
    boot: str = BOOT
    unbuilt: int = 125
    rounds: int = 1
    """How often both are asked, where the answer may be another one each time."""


# `--find fixed`: with `--term-old=broken` it is the broken one that exits with 0.
BY_HAND = {
    "half": ByHand(rounds=5),
    "build": ByHand(boot="", test="exit 0", unbuilt=1),
    "fixed": ByHand(test="grep -q 'pivot.pivot_root=ELOOP' {log}"),
    "warning": ByHand(test="! grep -q 'WARNING: .*user_statfs' {log}"),
    "lockdep": ByHand(test="! grep -q 'possible circular locking dependency' {log}"),
    "symbol": ByHand(prepare="cp {config} {out}/.config"),
    "memory": ByHand(
        test='test "$(sed -n \'s/.*memory.shmem_after_kib=//p\' {log} | tr -d "\\r")" -le 70000'
    ),
}


def of(name: str) -> ByHand:
    """Return what a history has of its own."""
    return BY_HAND.get(name, ByHand())


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one of the two has found, and what it took."""

    is_right: bool
    tries: int
    seconds: float


def row(answers: Sequence[Answer]) -> str:
    """Return the columns of one of the two: the first time counts, as later ones find all built."""
    first = answers[0]
    right = sum(each.is_right for each in answers)
    words = "right" if right == len(answers) else "**wrong**" if not right else "**by chance**"
    words += f" ({right} of {len(answers)})" if len(answers) > 1 else ""
    return f"{first.tries} | {first.seconds:.0f} | {words}"


def busy(number: int) -> Change:
    return Change(
        subject=f"statfs: step {number}", file=histories.STATFS,
        edit=histories.append(f"const int busy_{number} = {number};"),
    )  # fmt: skip


def quiet(number: int) -> Change:
    kinds = (histories.documentation, histories.driver, histories.comment)
    return kinds[(0, 1, 2, 0, 1, 0, 1, 2)[number % 8]](number)


def all_histories() -> dict[str, History]:
    """Return every history by its name."""
    change = histories.culprit(
        "namespace: another errno", histories.NAMESPACE, histories.WRONG_ERRNO
    )
    found = {
        kind.__name__: History(
            name=kind.__name__,
            changes=[*map(kind, range(37)), change, *map(kind, range(37, 63))],
            culprit=37,
            signature="",
            job=("--scenario", "nullfs"),
        )
        for kind in (quiet, busy)
    }
    return found | {each.name: each for each in histories.HISTORIES}


def salted(history: History) -> History:
    """Return a history behind a commit that makes each of it a tree that nobody has built yet."""
    salt = f"const long salt = {time.time_ns()};"
    first = Change(subject="open: begin", file="fs/open.c", edit=histories.append(salt))
    return dataclasses.replace(
        history,
        changes=[first, *history.changes],
        culprit=history.culprit + 1,
        merge_at=None if history.merge_at is None else history.merge_at + 1,
    )


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A history as commits of a clone; `good` and `bad` are its ends."""

    history: History
    clone: Clone
    commits: Sequence[str]

    @property
    def culprit(self) -> str:
        """The commit that is to be found."""
        return self.commits[self.history.culprit]

    @property
    def good(self) -> str:
        """The end without the finding."""
        return self.commits[-1 if self.history.fixed else 0]

    @property
    def bad(self) -> str:
        """The end with it."""
        # The first commit is the salt alone.
        return self.commits[1] if self.history.fixed else self.commits[-1]

    @property
    def words(self) -> list[str]:
        """What each verb is told of it."""
        return ["-q", "--tree", str(self.clone.path)]


def by_tool(subject: Subject) -> Answer:
    words = [*subject.words, *subject.history.job]
    run([*HARNESS, "boot", "--series", "none", "--base", subject.bad, *words], codes=(0, 1, 125))
    started = time.monotonic()
    ends = ["--good", subject.good, "--bad", subject.bad]
    argv = [*HARNESS, "bisect", "--json", *ends, *words, *subject.history.question]
    text = run(argv, codes=(0, 125))
    seconds = time.monotonic() - started
    found = json.loads(text)
    first = found["first_bad"] or {"commit": None}
    return Answer(
        is_right=first["commit"] == subject.culprit, tries=len(found["tries"]), seconds=seconds
    )


def by_hand(subject: Subject, top: Path) -> Answer:
    tree = top / "tree"
    git = ["git", "-C", str(tree)]
    bare = ["git", f"--git-dir={subject.clone.path}"]
    if not tree.exists():
        run([*bare, "worktree", "add", "--detach", str(tree), subject.bad])
    run([*git, "checkout", "-q", "--detach", subject.bad])
    script = write_script(subject, top)
    run(["sh", str(script)], codes=(0, 1))
    terms = ["--term-old=broken", "--term-new=fixed"] if subject.history.fixed else []
    old, new = (subject.bad, subject.good) if subject.history.fixed else (subject.good, subject.bad)
    started = time.monotonic()
    run([*git, "bisect", "start", *terms, new, old])
    done = subprocess.run(
        [*git, "bisect", "run", "sh", str(script)], capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - started
    run([*git, "bisect", "reset"])
    count = sum(line.startswith("running ") for line in done.stdout.splitlines())
    is_right = f"{subject.culprit} is the first {'fixed' if terms else 'bad'}" in done.stdout
    return Answer(is_right=is_right, tries=count, seconds=seconds)


def write_script(subject: Subject, top: Path) -> Path:
    """Write what `git bisect run` runs, with what the tool's run of the bad end has left."""
    own = of(subject.history.name)
    folder = top / f"{subject.history.name}"
    folder.mkdir(exist_ok=True)
    if own.boot:
        latest = (paths.state_dir() / "runs/latest").resolve()
        for name in ("repro.sh", "initramfs.cpio", "config"):
            shutil.copy(latest / name, folder)
    else:
        words = ["config", "--series", "none", "--base", subject.good, *subject.words]
        shutil.copy(run([*HARNESS, *words]).strip(), folder / "config")
    # One O= folder a .config, as the tool has.
    out = top / f"out-{digest_of_file(folder / 'config')[:12]}"
    if not out.exists():
        out.mkdir()
        shutil.copy(folder / "config", out / ".config")
    (folder / "vmlinux").unlink(missing_ok=True)
    (folder / "vmlinux").symlink_to(out / "vmlinux")
    names = {"tree": top / "tree", "out": out, "config": folder / "config",
             "repro": folder / "repro.sh", "log": folder / "log"}  # fmt: skip
    quoted = {name: shlex.quote(str(path)) for name, path in names.items()}
    script = folder / "try.sh"
    script.write_text(
        SCRIPT.format(
            **quoted, cpus=os.cpu_count(), unbuilt=own.unbuilt,
            **{name: getattr(own, name).format(**quoted) for name in ("prepare", "boot", "test")},
        )
    )  # fmt: skip
    return script


def run(argv: Sequence[str], *, codes: Sequence[int] = (0,)) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        sys.exit(f"{shlex.join(argv)} exited {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    known = all_histories()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[[], *known], metavar="HISTORY")
    names = parser.parse_args().names or list(known)
    clone = Clone(Store(paths.cache_dir()))
    print("| history | tries | seconds | answer | by hand: tries | seconds | answer | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=paths.cache_dir()) as folder:
        for name in names:
            history = salted(known[name])
            subject = Subject(history=history, clone=clone, commits=clone.add(history))
            rounds = range(of(name).rounds)
            ours = [by_tool(subject) for _ in rounds]
            theirs = [by_hand(subject, Path(folder)) for _ in rounds]
            ratio = ours[0].seconds / theirs[0].seconds
            print(f"| {name} | {row(ours)} | {row(theirs)} | {ratio:.2f} |", flush=True)
        run(["git", f"--git-dir={clone.path}", "worktree", "remove", "--force",
             str(Path(folder) / "tree")])  # fmt: skip


if __name__ == "__main__":
    main()
