"""Patches of strangers: each tries to break out while it is built, and neither gets out nor away.

They are real series on the stand-in kernel, whose make, compiler and git are the real ones.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Harness, commit, git
from test_cli import path_without
from test_pipeline import commands_below, start, wait_for_stage

from harness import builddir, environment, outdir, paths, proc, products, sandbox, unpack
from harness.errors import HostError, UsageError
from harness.limits import Limits
from harness.store import Store

WORKING = [kind for kind in (sandbox.BUBBLEWRAP, sandbox.UNSHARE) if not sandbox.why_not(kind)]

pytestmark = pytest.mark.skipif(not WORKING, reason="no sandbox works on this machine")

SECRET = "aslkdfj-do-not-tell"  # noqa: S105 - nobody's

Attack = Callable[..., Path]


@pytest.fixture(params=WORKING)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each sandbox that works here."""
    monkeypatch.setenv(sandbox.OVERRIDE, request.param)
    return str(request.param)


@pytest.fixture
def attack(clone: Path, tmp_path: Path) -> Attack:
    """Return the folder of a series that has the build run a script of its own."""

    def make(
        script: str,
        *,
        name: str = "attack",
        when: str = "recipe",
        do: str = "",
        source: str = "",
    ) -> Path:
        git(clone, "checkout", "-q", "-B", "topic", "main")
        (clone / "scripts/attack.sh").write_text(script)
        makefile = clone / "Makefile"
        text = makefile.read_text()
        if when == "recipe":
            text = text.replace('\t@echo "  LD', '\t@sh scripts/attack.sh $(O)\n\t@echo "  LD')
        elif when == "shell":
            text += "\nattack := $(shell sh scripts/attack.sh $(O))\n"
        elif when == "kconfig":
            conf = clone / "scripts/conf.sh"
            conf.write_text(f"sh scripts/attack.sh . >&2\n{conf.read_text()}")
        text += do
        makefile.write_text(text)
        with (clone / "fs/namespace.c").open("a") as stream:
            stream.write(source)
        commit(clone, f"kbuild: {name}")
        folder = tmp_path / name
        git(clone, "format-patch", "-q", "-o", str(folder), "main")
        git(clone, "checkout", "-q", "main")
        return folder

    return make


def limit(project: Path, text: str) -> None:
    with (project / "harness.toml").open("a") as stream:
        stream.write(f"[limits]\n{text}\n")


def reason_of(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.splitlines()[0] if done.stdout else done.stderr


def out_folders() -> list[Path]:
    return [path for path in paths.cache_dir().glob("lanes/*/out/*") if path.is_dir()]


# --- what it sees -----------------------------------------------------------------------------

LOOK = """\
exec >"$1/loot" 2>&1
echo "== environment"; env | sort; echo "== rest"
cat {home}/.ssh/id_ed25519
ls {home} {state} {cache}/harness/store {tmp}
echo x >{home}/.bashrc
echo x >{tmp}/witness
echo x >>Makefile
echo x >scripts/new
touch /usr/witness /witness
(exec 3>/proc/sys/vm/swappiness) && echo "/proc/sys is open"
bash -c 'echo x >/dev/tcp/127.0.0.1/{port}' && echo "the network is open"
cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -cx '[b]oot'
unshare --user --map-root-user true && echo "namespaces are open"
echo "== end"
"""


@pytest.mark.parametrize("when", ["recipe", "shell"])
def test_a_build_sees_and_reaches_nothing_but_its_own(
    harness: Harness, project: Path, tmp_path: Path, attack: Attack, kind: str, when: str
) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/id_ed25519").write_text(SECRET)
    (home / ".bashrc").write_text("mine\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        series = attack(
            LOOK.format(
                home=home,
                state=tmp_path / "state",
                cache=tmp_path / "cache",
                tmp=tmp_path,
                port=server.getsockname()[1],
            ),
            when=when,
        )
        done = harness(
            "boot", "--tree", "linux", "--series", series, "--json",
            cwd=project, env={"GITHUB_TOKEN": SECRET, "KCFLAGS": "-DLEAK"},
        )  # fmt: skip
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    result = json.loads(done.stdout)
    assert result["verdict"]["outcome"] == "pass", done.stdout + done.stderr
    assert result["host"]["tools"]["sandbox"] == kind

    loot = next(path.read_text() for out in out_folders() if (path := out / "loot").exists())
    assert "== end" in loot
    known, _, rest = loot.partition("== environment\n")[2].partition("== rest\n")
    names = {line.partition("=")[0] for line in known.splitlines()}
    assert {"PATH", "KBUILD_BUILD_TIMESTAMP"} <= names
    own = {"MAKEFLAGS", "MAKELEVEL", "MAKE_TERMOUT", "MAKE_TERMERR", "MFLAGS", "PWD", "OLDPWD", "O"}
    mine = {"PATH", "HOME", "LC_ALL", "LANG", "LC_CTYPE", "LC_MESSAGES", "LOCALVERSION"}
    assert {x for x in names - own - mine if not x.startswith(("KBUILD_", "CCACHE_"))} <= {
        "CC", "ARCH", "CROSS_COMPILE", "RUSTC", "BINDGEN", "PAHOLE", "MAKEOVERRIDES", "_",
    }  # fmt: skip
    assert SECRET not in loot
    assert "is open" not in rest
    assert "are open" not in rest
    assert "\n0\n" in rest  # no process of the tool's
    assert (home / ".bashrc").read_text() == "mine\n"
    assert not (tmp_path / "witness").exists()
    assert not list(paths.cache_dir().glob("lanes/*/tree/scripts/new"))
    assert not Path("/witness").exists()
    # Nothing of the tree was changed, or the next checkout would say so.
    again = harness("build", "--tree", "linux", "--series", series, cwd=project)
    assert "somebody changed files" not in again.stderr


def test_kconfig_is_confined_as_well(
    harness: Harness, project: Path, tmp_path: Path, attack: Attack
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    series = attack(
        f"cat {home}/secret\necho x >{tmp_path}/witness\necho x >{home}/witness\n"
        "env | grep TOKEN\necho Kconfig has run\n",
        when="kconfig",
    )
    (home / "secret").write_text(SECRET)
    done = harness(
        "config", "--tree", "linux", "--series", series, cwd=project, env={"TOKEN": SECRET}
    )
    assert done.returncode == 0, done.stderr
    log = (Path(done.stdout.strip()).parent / "kconfig.log").read_text()
    assert "Kconfig has run" in log
    assert SECRET not in log
    assert not (tmp_path / "witness").exists()
    assert not (home / "witness").exists()


def test_what_fails_for_the_walls_is_the_patchs_fault(
    harness: Harness, project: Path, attack: Attack
) -> None:
    series = attack("set -e\necho x >>Makefile\n")
    done = harness("boot", "--tree", "linux", "--series", series, cwd=project)
    assert done.returncode == 125
    assert reason_of(done).startswith("build-failed: the kernel does not build: with patch 1")
    assert "Read-only file system" in done.stdout


# --- links ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vmlinux", "System.map", "include/config/kernel.release"])
def test_a_link_in_a_products_place_is_not_followed(
    harness: Harness, project: Path, tmp_path: Path, attack: Attack, name: str
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    text = f"\nall vmlinux: swap\nswap: $(O)/vmlinux\n\t@ln -sf {tmp_path}/secret $(O)/{name}\n"
    series = attack("", do=text)
    done = harness("boot", "--tree", "linux", "--series", series, cwd=project)
    assert done.returncode == 125
    assert f"it made {name} a link out of its folder" in reason_of(done)
    kept = [*paths.cache_dir().glob("store/**/*"), *paths.state_dir().glob("**/*")]
    assert not [path for path in kept if path.is_file() and SECRET in path.read_text("latin-1")]


def test_nothing_is_written_through_a_link(
    harness: Harness, project: Path, tmp_path: Path, attack: Attack
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    series = attack(
        "", do=f"\nvmlinux: swap\nswap: $(O)/vmlinux\n\t@ln -sf {victim} $(O)/.config\n"
    )
    for _ in range(2):
        done = harness("build", "--tree", "linux", "--series", series, cwd=project)
        assert done.returncode == 0, done.stderr
        shutil.rmtree(paths.cache_dir() / "store/kernel")
    assert victim.read_text() == "mine\n"


def test_a_product_is_a_plain_file(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "real").mkdir(parents=True)
    (out / "real/image").write_bytes(b"1234")
    (out / "image").symlink_to("real/image")
    assert products.take(out, "image") == out / "real/image"
    os.mkfifo(out / "pipe")
    (out / "circle").symlink_to("circle")
    (out / "above").symlink_to("..")
    (tmp_path / "other").write_bytes(b"")
    for name, most, words in (
        ("pipe", 99, "made pipe something else than a file"),
        ("real", 99, "made real something else than a file"),
        ("circle", 99, "made no circle"),
        ("none", 99, "made no none"),
        ("above/other", 99, "made above/other a link out of its folder"),
        ("image", 3, "made image larger than 0 MiB"),
    ):
        with pytest.raises(proc.Breach, match=words):
            products.take(out, name, most=most)


# --- limits -----------------------------------------------------------------------------------

# 511 processes and no more, should nothing stop it.
BOMB = """\
bomb() { if [ $1 -gt 0 ]; then bomb $(($1 - 1)) & bomb $(($1 - 1)) & fi; sleep 20; }
bomb 8
"""


def commands_with(mark: str) -> list[str]:
    """Return the commands whose PATH has `mark` in it."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (path / "environ").read_bytes():
                found.append((path / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("limits", "script", "words"),
    [
        ("processes = 60", BOMB, "it had more than 60 processes at once"),
        ("time = 2.0", "setsid sleep 300 & sleep 300", "it ran over 2 s"),
        ("output = 1", "yes; sleep 20", "it printed more than 1 MiB"),
        ("memory = 300", "perl -e '$x = \"a\" x (400 << 20); sleep 20'",
         "it took more than 300 MiB of memory"),
        ("disk = 64", "for i in 1 2 3; do dd if=/dev/zero of=$1/$i bs=1M count=30; done; sleep 20",
         "it wrote more than 64 MiB to disk"),
        ("", "set -e; truncate -s 1T $1/sparse", "it wrote a file of more than 32768 MiB"),
    ],
    ids=["processes", "time", "output", "memory", "disk", "sparse"],
)  # fmt: skip
def test_a_build_that_goes_too_far_is_ended_and_named(
    harness: Harness,
    project: Path,
    attack: Attack,
    monkeypatch: pytest.MonkeyPatch,
    limits: str,
    script: str,
    words: str,
) -> None:
    mark = f"/harness-test-{time.monotonic_ns()}"
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{mark}")
    limit(project, limits)
    series = attack(script)
    started = time.monotonic()
    done = harness("boot", "--tree", "linux", "--series", series, cwd=project)
    assert time.monotonic() - started < 120
    assert done.returncode == 125, done.stdout + done.stderr
    assert reason_of(done).startswith(
        "build-failed: the kernel does not build: with patch 1 (kbuild: attack) on HEAD: "
    )
    assert words in reason_of(done)
    assert commands_with(mark) == []
    # What it has taken of the disk is given back.
    size = sum(path.lstat().st_blocks * 512 for out in out_folders() for path in out.rglob("*"))
    assert size < 20 << 20
    # And nothing of it stands in another's way.
    assert harness("boot", "--tree", "linux", cwd=project).returncode == 0


def test_the_bomb_is_ended_by_each_sandbox(
    harness: Harness, project: Path, attack: Attack, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    mark = f"/harness-test-{kind}-{time.monotonic_ns()}"
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{mark}")
    limit(project, "processes = 60")
    done = harness("build", "--tree", "linux", "--series", attack(BOMB), cwd=project)
    assert done.returncode == 125
    assert "more than 60 processes" in done.stderr
    assert commands_with(mark) == []


def test_what_a_build_leaves_behind_ends_with_it(
    harness: Harness, project: Path, attack: Attack, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    mark = f"/harness-test-{kind}-{time.monotonic_ns()}"
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{mark}")
    series = attack("setsid sleep 300 >$1/started 2>&1 </dev/null &\nsleep 0.1\n")
    done = harness("build", "--tree", "linux", "--series", series, cwd=project)
    assert done.returncode == 0, done.stderr
    assert [out for out in out_folders() if (out / "started").exists()]
    assert commands_with(mark) == []


def test_a_limit_that_is_none_is_told(harness: Harness, project: Path) -> None:
    limit(project, "procesess = 4")
    done = harness("build", "--tree", "linux", cwd=project)
    assert done.returncode == 2
    assert "unknown key 'procesess'" in done.stderr
    assert "did you mean 'processes'?" in done.stderr


# --- of each other ----------------------------------------------------------------------------


def test_a_strangers_build_neither_reads_nor_spoils_anothers(
    harness: Harness, project: Path, attack: Attack
) -> None:
    assert harness("build", "--tree", "linux", cwd=project).returncode == 0
    one = attack("echo private >$1/private\n", name="one", when="shell")
    script = "ls $1/private && echo seen >$1/seen; ls $1/init/main.o && echo yes >$1/copied\n"
    two = attack(script, name="two", when="shell")
    for series in (one, two):
        done = harness("build", "--tree", "linux", "--series", series, cwd=project)
        assert done.returncode == 0, done.stderr
    having = {
        name: [out for out in out_folders() if (out / name).exists()]
        for name in ("private", "seen", "copied")
    }
    assert [len(having[name]) for name in having] == [1, 0, 1]
    shared = next(out for out in out_folders() if "-" not in out.name)
    assert shared not in [*having["private"], *having["copied"]]
    # It started from what the base had, so only what it changed was made.
    assert "init/main.o" not in having["copied"][0].with_suffix(".log").read_text()


def test_ccache_is_the_tools_own_and_not_for_strangers(
    harness: Harness, project: Path, tmp_path: Path, attack: Attack
) -> None:
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    fake = bin_dir / "ccache"
    fake.write_text(
        '#!/bin/sh\n[ "$CCACHE_DISABLE" ] || echo "$PWD" >>"$CCACHE_DIR/seen"\nexec "$@"\n'
    )
    fake.chmod(0o755)
    env = {"PATH": f"{bin_dir}:{os.environ['PATH']}", "CCACHE_DIR": str(tmp_path / "mine")}
    (tmp_path / "mine").mkdir()
    assert harness("build", "--tree", "linux", cwd=project, env=env).returncode == 0
    seen = paths.cache_dir() / "ccache/seen"
    count = len(seen.read_text().splitlines())
    assert count == 2
    series = attack("rm -f $CCACHE_DIR/seen\n", when="shell", source="/* a change */\n")
    done = harness("build", "--tree", "linux", "--series", series, cwd=project, env=env)
    assert done.returncode == 0, done.stderr
    assert "fs/namespace.o" in next(out_folders()[0].parent.glob("*-*.log")).read_text()
    assert len(seen.read_text().splitlines()) == count
    assert list((tmp_path / "mine").iterdir()) == []


def test_what_a_killed_build_has_half_made_is_made_again(tmp_path: Path) -> None:
    shared = tmp_path / "out/abc"
    with builddir.lend(shared, "") as out:
        (out / "old.o").write_text("whole")
        outdir.seal(out)
    with builddir.lend(shared, "") as out:
        (out / "new.o").write_text("hal")
    for owner in ("who", ""):
        with builddir.lend(shared, owner) as out:
            assert [path.name for path in out.iterdir()] == ["old.o"]


def test_only_the_last_strangers_keep_their_folders(tmp_path: Path) -> None:
    shared = tmp_path / "out/abc"
    with builddir.lend(shared, "") as out:
        (out / "base.o").write_text("x")
        outdir.seal(out)
    for number in range(5):
        with builddir.lend(shared, f"who{number}") as out:
            assert (out / "base.o").exists()
        os.utime(out, (number, number))
    names = {path.name.partition(".")[0] for path in shared.parent.iterdir()}
    assert names == {"abc", "abc-who2", "abc-who3", "abc-who4"}


# --- git --------------------------------------------------------------------------------------


def test_git_runs_nothing_that_a_patch_or_a_clone_asks_for(
    harness: Harness, project: Path, clone: Path, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $0 >>{witness}\ncat\n")
    program.chmod(0o755)
    git(clone, "checkout", "-q", "-B", "topic")
    (clone / ".gitattributes").write_text("* filter=evil diff=evil merge=evil ident\n")
    with (clone / "fs/namespace.c").open("a") as stream:
        stream.write("/* $Id$ */\n")
    commit(clone, "fs: filter")
    config = "".join(
        f'[filter "evil"]\n\tsmudge = {program}\n\tclean = {program}\n\trequired = true\n'
        f'[diff "evil"]\n\ttextconv = {program}\n\tcommand = {program}\n'
        f'[merge "evil"]\n\tdriver = {program}\n'
        f"[core]\n\tfsmonitor = {program}\n\tpager = {program}\n"
    )
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.gitconfig").write_text(config)
    with (clone / ".git/config").open("a") as stream:
        stream.write(config)
    hooks = clone / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "post-index-change", "reference-transaction", "pre-applypatch"):
        shutil.copy(program, hooks / name)
    env = {
        "GIT_CONFIG_GLOBAL": str(tmp_path / "home/.gitconfig"),
        "GIT_EXTERNAL_DIFF": str(program),
    }
    done = harness(
        "boot", "--tree", "linux", "--base", "main", "--series", "main..topic",
        cwd=project, env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert not witness.exists()
    tree = next(paths.cache_dir().glob("lanes/*/tree"))
    assert "/* $Id$ */" in (tree / "fs/namespace.c").read_text()


def test_a_patch_does_not_choose_how_the_next_is_merged(
    harness: Harness, project: Path, clone: Path, tmp_path: Path
) -> None:
    source = clone / "fs/namespace.c"
    lines = source.read_text()
    git(clone, "checkout", "-q", "-B", "topic")
    (clone / ".gitattributes").write_text("*.c merge=union\n")
    commit(clone, "git: union")
    source.write_text(lines.replace("old", "one"))
    commit(clone, "fs: one")
    git(clone, "format-patch", "-q", "-o", str(tmp_path / "series"), "main")
    git(clone, "checkout", "-q", "main")
    source.write_text(lines.replace("old", "two"))
    commit(clone, "fs: two")
    done = harness("apply", "--tree", "linux", "--series", tmp_path / "series", cwd=project)
    assert done.returncode == 125, done.stdout
    assert "patch 2 (fs: one) does not apply" in done.stderr


# --- what is read -----------------------------------------------------------------------------


# A process counts the memory of the one that started it as its own, so a small one stands between.
MEASURE = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def test_a_mail_of_a_gigabyte_is_refused_before_it_is_held(project: Path) -> None:
    argv = [sys.executable, "-m", "harness", "apply", "--tree", "linux", "--series", "-"]
    child = subprocess.Popen(
        [sys.executable, "-c", MEASURE, *argv],
        cwd=project,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdin
    line = b"A" * 76 + b"\n"
    sent = 0
    try:
        child.stdin.write(b"From x Mon Sep 17 00:00:00 2001\nSubject: [PATCH] x\n\n---\n")
        while sent < 1 << 30:
            sent += child.stdin.write(line * 10000)
    except BrokenPipeError:
        pass
    output, error = child.communicate()
    assert child.returncode == 2, error
    assert error.startswith(b"error: stdin: more than 64 MiB, expected patches\n")
    assert sent < 100 << 20
    assert int(output) < 300 << 10


def test_a_large_file_is_no_series_however_it_is_packed(
    harness: Harness, project: Path, tmp_path: Path
) -> None:
    large = tmp_path / "large.mbox"
    large.write_bytes(b"From x Mon Sep 17 00:00:00 2001\n")
    os.truncate(large, 1 << 30)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "0001-x.patch").symlink_to(large)
    os.truncate(large, 70 << 20)
    packed = tmp_path / "large.mbox.gz"
    packed.write_bytes(
        subprocess.run(["gzip", "-1c", large], capture_output=True, check=True).stdout
    )
    for series in (large, folder, packed):
        done = harness("apply", "--tree", "linux", "--series", series, cwd=project)
        assert done.returncode == 2
        assert "more than 64 MiB, expected patches" in done.stderr


@pytest.mark.skipif(not proc.find("bsdcat"), reason="needs libarchive's programs")
def test_a_kernel_that_unpacks_without_end_is_refused(tmp_path: Path, store: Store) -> None:
    zeros = subprocess.run(["head", "-c", "64M", "/dev/zero"], capture_output=True, check=True)
    bomb = tmp_path / "bzImage.gz"
    packed = subprocess.run(["gzip", "-1c"], input=zeros.stdout, capture_output=True, check=True)
    bomb.write_bytes(packed.stdout)
    with pytest.raises(UsageError, match=r"bzImage\.gz: unpacks to more than 8 MiB"):
        unpack.contents(bomb, "bzImage.gz", store, Limits(disk_mib=8))
    assert not list(store.root.glob("store/unpacked/*"))


# --- the environment, and what is said of it ----------------------------------------------------


def test_no_child_is_given_what_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    monkeypatch.setenv("LD_PRELOAD_SECRET", SECRET)
    monkeypatch.setenv("https_proxy", "http://proxy")
    assert SECRET not in proc.run(["env"]).text
    assert "https_proxy" in proc.run(["env"]).text
    assert "https_proxy" not in environment.of_stranger()


def test_qemu_is_given_no_more(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    child = start(project, "--kconfig", "CONFIG_SLOW_BOOT=y")
    wait_for_stage(project, child, "boot")
    qemu = commands_below(child.pid)["qemu-system-x86_64"]
    given = Path(f"/proc/{qemu}/environ").read_bytes()
    child.terminate()
    child.communicate(timeout=15)
    assert b"PATH=" in given
    assert SECRET.encode() not in given


def test_without_a_sandbox_it_is_said_and_may_be_required(
    harness: Harness, project: Path, tmp_path: Path
) -> None:
    env = {"PATH": path_without(tmp_path, "bwrap", "unshare")}
    done = harness("boot", "--tree", "linux", "--json", cwd=project, env=env)
    assert json.loads(done.stdout)["host"]["tools"]["sandbox"] == "none"
    assert done.stderr.count("warning: no sandbox works here (bwrap is not installed; unshare") == 1
    # From the cache it is still what it was built in.
    again = harness("boot", "--tree", "linux", "--json", cwd=project)
    assert json.loads(again.stdout)["host"]["tools"]["sandbox"] == "none"

    done = harness("doctor", env=env)
    assert "sandbox: none (bubblewrap: bwrap is not installed; unshare: unshare is" in done.stdout

    # Somewhere where git has something to do.
    env |= {sandbox.OVERRIDE: "require", "XDG_CACHE_HOME": str(tmp_path / "other")}
    done = harness("apply", "--tree", "linux", cwd=project, env=env)
    assert done.returncode == 128
    assert "HARNESS_SANDBOX=require: no such sandbox works here" in done.stderr

    env[sandbox.OVERRIDE] = "bwrap"
    done = harness("apply", "--tree", "linux", cwd=project, env=env)
    assert done.returncode == 2
    assert "expected one of auto, require, bubblewrap, unshare, none" in done.stderr


@pytest.mark.usefixtures("kind")
def test_a_sandbox_that_does_not_start_is_the_hosts_fault(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(HostError, match=r"the sandbox does not start: .*nowhere"):
        sandbox.run(["true"], write=[tmp_path / "out", tmp_path / "nowhere"])
    # What the program itself says is not taken for that.
    said = sandbox.run(["sh", "-c", "echo one >&2; echo mount: two >&2; false"], write=[tmp_path])
    assert said.error_text == "one\nmount: two"


def test_doctor_names_the_sandbox(harness: Harness, kind: str) -> None:
    assert f"sandbox: {kind}" in harness("doctor").stdout


# --- what is printed --------------------------------------------------------------------------


def test_a_patch_says_nothing_to_the_terminal(
    harness: Harness, project: Path, clone: Path, tmp_path: Path
) -> None:
    git(clone, "checkout", "-q", "-B", "topic")
    (clone / "fs/namespace.c").write_text(
        '#warning "<b>HTML</b> \x1b[2J"\nint x = \x1b]0;owned\x07 ;\n'
    )
    commit(clone, "fs: \x1b[31mred\x1b[0m \u202etxet")
    git(clone, "format-patch", "-q", "-o", str(tmp_path / "series"), "main")
    git(clone, "checkout", "-q", "main")
    shown = ""
    for verb in ("apply", "boot", "show"):
        asked = [] if verb == "show" else ["--tree", "linux", "--series", str(tmp_path / "series")]
        done = harness(verb, *asked, cwd=project)
        shown = done.stdout + done.stderr
        assert r"fs: \x1b[31mred\x1b[0m \u202etxet" in shown
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert "build-failed" in shown
