"""Bad input and faults: one clear line, the right exit code, nothing lost, no traceback."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from conftest import ROOT, Harness, commit

from harness import parsed, runs
from harness.cli import VERBS

Project = Path


@pytest.fixture
def project(project: Project) -> Project:
    """Add to the user's folder what is no series and no kernel."""
    (project / "junk.mbox").write_bytes(bytes(range(256)) * 20)
    (project / "empty").mkdir()
    (project / "text").write_text("no kernel at all\n")
    return project


BAD: list[tuple[str, list[str], str]] = [
    ("no such verb", ["boto"], "no verb named 'boto'; did you mean 'boot'?"),
    ("unknown option", ["boot", "--sries", "x"], "No such option '--sries'"),
    ("unknown profile", ["boot", "--tree", "linux", "--profile", "huge"],
     "error: no profile named 'huge'; there are: "),
    ("unknown flavor", ["boot", "--tree", "linux", "--flavor", "odd"],
     "error: no flavor named 'odd'; there are: "),
    ("unknown arch", ["boot", "--tree", "linux", "--arch", "vax"],
     "error: unknown architecture 'vax'"),
    ("unknown toolchain", ["boot", "--tree", "linux", "--toolchain", "icc"],
     "error: unknown toolchain 'icc'"),
    ("image of another arch", ["build", "--tree", "linux", "--image", "Image"],
     "error: there is no Image for x86_64"),
    ("root of another arch", ["shell", "--tree", "linux", "--arch", "arm64", "--host-root"],
     "error: --host-root: the programs of this machine do not run on arm64"),
    ("unknown scenario", ["boot", "--tree", "linux", "--scenario", "nulfs"], "'nulfs'"),
    ("unknown flow", ["boot", "--tree", "linux", "--flow", "bot"],
     "error: scenario boot has no flow 'bot'"),
    ("unknown variant", ["boot", "--tree", "linux", "--expect", "rootsf"],
     "error: scenario boot has no variant 'rootsf'"),
    ("unknown series", ["boot", "--tree", "linux", "--series", "nulfs"], "nulfs"),
    ("binary junk as mbox", ["boot", "--tree", "linux", "--series", "junk.mbox"], "junk.mbox"),
    ("empty folder as series", ["boot", "--tree", "linux", "--series", "./empty"], "empty"),
    ("unknown revision", ["boot", "--tree", "linux", "--base", "v9.9"],
     "error: --base v9.9: no such revision in "),
    ("no version at all", ["boot", "--base", "latest"],
     "error: --base latest: not a kernel version such as 6.18.5"),
    ("no clone", ["boot", "--tree", "empty"], "not a git clone"),
    ("no kernel", ["boot", "--kernel", "text"], "text"),
    ("no file", ["boot", "--kernel", "x" * 300], "does not exist"),
    ("no member", ["boot", "--kernel", "text:boot/vmlinuz"],
     "text:boot/vmlinuz: it holds no kernel image named boot/vmlinuz"),
    ("no package", ["boot", "--kernel", "deb:Linux"],
     "error: --kernel deb:Linux: not a package"),
    ("kernel and series", ["boot", "--kernel", "text", "--series", "none"],
     "error: --kernel boots a kernel that is already built, so --series means nothing"),
    ("kernel and toolchain", ["boot", "--kernel", "text", "--toolchain", "llvm"],
     "so --toolchain means nothing"),
    ("no memory", ["boot", "--memory", "1"], "Invalid value for '--memory'"),
    ("no time", ["boot", "--timeout", "0"], "Invalid value for '--timeout'"),
    ("no kconfig", ["boot", "--tree", "linux", "--kconfig", "CONFIG"],
     "error: --kconfig CONFIG: neither an assignment like CONFIG_X=y nor a file that exists"),
    ("control character", ["boot", "--tree", "linux", "--cmdline", "a\nb"],
     "error: --cmdline holds the control character"),
    ("no run", ["show"], "error: no run yet in "),
    ("no such run", ["show", "abc"], "error: no run named 'abc' in "),
    ("no log", ["parse", "nothing.log"], "nothing.log"),
    ("quiet and verbose", ["boot", "-q", "-v"],
     "error: --quiet and --verbose exclude each other"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_bad_input_is_one_clear_line_and_exit_2(
    harness: Harness, project: Project, arguments: list[str], message: str
) -> None:
    done = harness(*arguments, cwd=project)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if "rror: " in line]
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not runs.runs_dir().exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('serie = "x"\n', "unknown key 'serie'; did you mean 'series'?"),
        ("series = 3\n", "series"),
        ("series\n", "not valid TOML"),
        ('patches = "gone"\n', "patches = 'gone': no such folder"),
    ],
)
def test_a_bad_harness_toml_is_named_with_what_is_wrong(
    harness: Harness, project: Project, text: str, message: str
) -> None:
    (project / "harness.toml").write_text(text)
    done = harness("boot", cwd=project)
    assert done.returncode == 2
    assert message in done.stderr
    assert "harness.toml" in done.stderr


# --- faults of this machine -----------------------------------------------------------------


def path_without(tmp_path: Path, *names: str) -> str:
    """Return a PATH on which all programs are, but for some."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for place in os.environ["PATH"].split(":"):
        for program in Path(place).glob("*") if Path(place).is_dir() else ():
            if program.name not in names and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    return str(folder)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("qemu-system-x86_64", "qemu-system-x86_64 is not on PATH"),
        ("gcc", "gcc is not on PATH"),
        ("make", "make is not on PATH"),
        ("git", "git"),
    ],
)
def test_a_missing_tool_is_the_hosts_fault(
    harness: Harness, project: Project, tmp_path: Path, missing: str, message: str
) -> None:
    done = harness(
        "boot", "--tree", "linux", cwd=project, env={"PATH": path_without(tmp_path, missing)}
    )
    assert done.returncode == 128, done.stdout + done.stderr
    assert message in done.stdout + done.stderr
    assert "host-error: " in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("given", "setting"),
    [(["--toolchain", "llvm-99"], ""), ([], 'toolchain = "llvm-99"\n')],
    ids=["option", "harness.toml"],
)
def test_a_toolchain_that_is_not_here_names_its_packages(
    harness: Harness, project: Project, given: list[str], setting: str
) -> None:
    with (project / "harness.toml").open("a") as stream:
        stream.write(setting)
    done = harness("config", "--tree", "linux", *given, cwd=project)
    assert done.returncode == 128
    assert "error: clang-99 is not on PATH" in done.stderr
    assert "apt-get install clang-99 lld-99 llvm-99" in done.stderr


def test_llvm_is_what_make_is_told_and_gives_a_kernel_of_its_own(
    harness: Harness, project: Project, tmp_path: Path
) -> None:
    folder = tmp_path / "llvm"
    folder.mkdir()
    for name in ("clang", "ld.lld", "llvm-ar", "llvm-nm", "llvm-objcopy", "llvm-readelf"):
        program = folder / f"{name}-99"
        # The stand-in kernel's make asks nothing of them but to compile.
        program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exec echo {name} 99\ngcc "$@"\n')
        program.chmod(0o755)
    env = {"PATH": f"{folder}:{os.environ['PATH']}"}
    told = []
    for given in ([], ["--toolchain", "llvm-99"]):
        done = harness("build", "--tree", "linux", *given, cwd=project, env=env)
        assert done.returncode == 0, done.stderr
        manifest = json.loads(Path(done.stdout.strip()).with_name("manifest.json").read_text())
        told.append((manifest["inputs"]["make"], manifest["inputs"]["toolchain"]))
    assert told[0][0] == "vmlinux ARCH=x86_64"
    assert told[1] == ("vmlinux ARCH=x86_64 LLVM=-99", "clang 99; ld.lld 99")


def test_a_compiler_that_the_kernel_refuses_is_the_hosts_fault(
    harness: Harness, project: Project, clone: Path
) -> None:
    refusal = (ROOT / "tests/corpus/build/compiler-too-old.log").read_text()
    (clone / "scripts/refusal").write_text(refusal)
    script = clone / "scripts/conf.sh"
    script.write_text("cat scripts/refusal >&2\nexit 1\n")
    commit(clone, "refuse the compiler")
    done = harness("config", "--tree", "linux", cwd=project)
    assert done.returncode == 128
    assert "Clang 14.0.6 is too old for this kernel, which wants 15.0.0" in done.stderr


def test_a_qemu_that_crashes_is_the_hosts_fault(
    harness: Harness, project: Project, tmp_path: Path
) -> None:
    folder = tmp_path / "fake"
    folder.mkdir()
    fake = folder / "qemu-system-x86_64"
    fake.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo "QEMU 0"; exit; }\n'
        "echo 'could not allocate memory' >&2\nkill -SEGV $$\n"
    )
    fake.chmod(0o755)
    done = harness(
        "boot", "--tree", "linux", cwd=project, env={"PATH": f"{folder}:{os.environ['PATH']}"}
    )
    assert done.returncode == 128
    assert done.stdout.startswith("host-error: QEMU ")
    assert "could not allocate memory" in done.stdout


def test_a_cache_that_is_no_folder_is_the_hosts_fault(
    harness: Harness, project: Project, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = harness(
        "boot", "--tree", "linux", cwd=project, env={"XDG_CACHE_HOME": str(tmp_path / "file")}
    )
    assert done.returncode == 128
    assert str(tmp_path / "file") in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_runs_that_cannot_be_written_are_the_hosts_fault(
    harness: Harness, project: Project, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = harness(
        "boot", "--tree", "linux", cwd=project, env={"XDG_STATE_HOME": str(tmp_path / "file")}
    )
    assert done.returncode == 128
    assert "cannot write the run to " in done.stderr
    assert "Traceback" not in done.stderr


# Who is not root is root of a user namespace, and may mount there, where the machine allows it.
UNSHARE = ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-m"]
wants_a_disk = pytest.mark.skipif(
    subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode != 0,
    reason="this machine lets nobody but root mount a small disk",
)


def on_a_disk(project: Project, options: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script with the cache on a small disk of its own; `tool` runs the tool."""
    cache = project.parent / "cache"
    cache.mkdir()
    whole = (
        f'tool() {{ "{sys.executable}" -m harness boot --tree linux; }}\n'
        f"cache={cache}\n"
        f"mount -t tmpfs -o {options} none $cache || exit 99\n{script}"
    )
    return subprocess.run(
        [*UNSHARE, "sh", "-c", whole],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


@wants_a_disk
@pytest.mark.parametrize("size", ["64k", "256k", "700k", "1200k"])
def test_a_full_disk_is_the_hosts_fault_and_more_room_cures_it(project: Project, size: str) -> None:
    script = (
        'tool; echo "first $?"\nmount -o remount,size=200m $cache\n'
        'tool; echo "second $?"\nls $cache/harness/tmp\n'
    )
    done = on_a_disk(project, f"size={size}", script)
    assert "first 128" in done.stdout, done.stdout + done.stderr
    assert re.search(r"[Nn]o space left on device|the disk is full", done.stdout + done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stdout.endswith("second 0\n"), done.stdout + done.stderr


@wants_a_disk
def test_a_cache_that_cannot_be_written_is_the_hosts_fault(project: Project) -> None:
    done = on_a_disk(project, "ro", "tool; echo $?\n")
    assert done.stdout.endswith("128\n"), done.stdout + done.stderr
    assert "Read-only file system" in done.stdout + done.stderr
    assert "XDG_CACHE_HOME" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


# --- verbs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_examples(harness: Harness, verb: str) -> None:
    done = harness(verb, "--help")
    assert done.returncode == 0
    assert "Usage: " in done.stdout
    if verb != "doctor":
        # On a line of its own: click would fill the examples into a paragraph.
        assert re.search(rf"^ {{4}}(dmesg \| )?harness {verb}\b.*$", done.stdout, re.MULTILINE)
        assert "\\b" not in done.stdout


def test_help_shows_verbs_and_exit_codes(harness: Harness) -> None:
    done = harness("--help")
    assert all(f"  {verb} " in done.stdout for verb in VERBS)
    assert "125  untestable" in done.stdout


def test_stage_verbs_print_what_they_made(harness: Harness, project: Project) -> None:
    config = harness("config", "--tree", "linux", cwd=project)
    assert Path(config.stdout.strip()).read_text() == "CONFIG_NET=y\n"
    kernel = harness("build", "--tree", "linux", cwd=project)
    assert Path(kernel.stdout.strip()).read_bytes().startswith(b"\x7fELF")
    packed = harness("initramfs", cwd=project)
    assert Path(packed.stdout.strip()).read_bytes().startswith(b"070701")
    listed = harness("initramfs", "--list", cwd=project).stdout
    assert re.search(r"^-rwxr-xr-x +\d+ init$", listed, re.MULTILINE)
    assert re.search(r"^crw------- +5, 1 dev/console$", listed, re.MULTILINE)
    applied = harness("apply", "--tree", "linux", cwd=project)
    assert re.fullmatch(r"[0-9a-f]{40} tree [0-9a-f]{40} in .+\n", applied.stdout)


def test_show_finds_a_run_by_any_part_of_its_name(harness: Harness, project: Project) -> None:
    result = json.loads(harness("boot", "--tree", "linux", "--json", cwd=project).stdout)
    texts = {
        harness("show", *name).stdout
        for name in ([], [result["id"]], [result["id"][-8:]], [str(runs.runs_dir() / result["id"])])
    }
    assert len(texts) == 1
    text = texts.pop()
    assert text.startswith("pass: ")
    assert "stages" in text
    assert "boot.mount" in text
    assert json.loads(harness("show", "--json").stdout) == result
    assert harness("show", "--list").stdout.startswith(f"{result['id']}  pass")


def test_out_puts_the_run_where_it_is_told(
    harness: Harness, project: Project, tmp_path: Path
) -> None:
    done = harness("boot", "--tree", "linux", "--out", tmp_path / "mine", cwd=project)
    assert done.returncode == 0
    assert (tmp_path / "mine/latest/result.json").is_file()
    assert not runs.runs_dir().exists()


def test_quiet_says_nothing_on_stderr_and_verbose_shows_the_console(
    harness: Harness, project: Project
) -> None:
    assert harness("boot", "--tree", "linux", "-q", cwd=project).stderr == ""
    done = harness("boot", "--tree", "linux", "-v", cwd=project)
    assert "Linux version 6.99.0" in done.stderr
    assert "$ " in done.stderr
    assert "Linux version" not in done.stdout


def test_parse_judges_a_stored_log(harness: Harness, project: Project) -> None:
    harness("boot", "--tree", "linux", cwd=project)
    log = runs.runs_dir() / "latest/console.log"
    done = harness("parse", log)
    assert done.returncode == 0
    assert done.stdout.startswith("pass: ")
    oops = log.read_bytes().replace(
        b"[    0.100000] harness",
        b"[    0.100000] BUG: kernel NULL pointer dereference, address: 0000000000000000\r\n"
        b"[    0.100000] harness",
        1,
    )
    done = harness("parse", "-", stdin=oops)
    assert done.returncode == 1
    assert done.stdout.startswith("oops: ")


NULL_POINTER = b"""\
Nov 25 07:00:02 host kernel: BUG: kernel NULL pointer dereference, address: 0000000000000008
Nov 25 07:00:02 host kernel: Oops: 0000 [#1] SMP
Nov 25 07:00:02 host kernel: RIP: 0010:nullfs_fill.cold+0x12/0x34
Nov 25 07:00:02 host kernel: ---[ end trace 0000000000000000 ]---
"""


def test_parse_gives_a_document_of_the_published_schema(harness: Harness) -> None:
    done = harness("parse", "--json", "-", stdin=NULL_POINTER)
    assert done.returncode == 1
    document = json.loads(done.stdout)
    schema = json.loads((ROOT / "docs/parse.schema.json").read_text())
    jsonschema.validate(document, schema)
    assert schema == json.loads(parsed.json_schema())
    assert document["schema"] == "harness.parse/1"
    assert document["verdict"]["outcome"] == "oops"
    (splat,) = document["splats"]
    assert splat["kind"] == "null-deref"
    assert splat["title"] == "oops: NULL pointer dereference in nullfs_fill"
    assert (splat["line"], splat["is_complete"], len(splat["text"])) == (1, True, 4)


def test_parse_of_a_normal_boot_of_another_has_no_report_and_no_proof(harness: Harness) -> None:
    boot = b"[    0.000000] Linux version 6.1.0 (a@b) #1 SMP\n[    1.000000] Run /init\n"
    done = harness("parse", "--json", "-", stdin=boot)
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["splats"] == []
    assert document["verdict"]["outcome"] == "fail"


def test_parse_says_if_vmlinux_tells_nothing(harness: Harness, tmp_path: Path) -> None:
    stranger = tmp_path / "vmlinux"
    stranger.write_bytes(b"no ELF file")
    done = harness("parse", "--vmlinux", stranger, "-", stdin=NULL_POINTER)
    assert done.returncode == 1
    assert "no DWARF" in done.stderr


def test_doctor_says_what_is_here_and_what_is_not(harness: Harness, tmp_path: Path) -> None:
    done = harness("doctor", env={"COLUMNS": "200"})
    assert done.returncode == 0, done.stdout
    assert "QEMU emulator version" in done.stdout
    assert "ready: yes" in done.stdout
    gone = ("flex", "qemu-system-x86_64", "ld.lld", "aarch64-linux-gnu-gcc")
    done = harness(
        "doctor",
        env={"COLUMNS": "200", "PATH": path_without(tmp_path, *gone)},
    )
    assert done.returncode == 128
    # What only an option needs has a line of its own.
    lines = dict(re.findall(r"(?m)^(to get .*|for --.*): apt-get install (.*)$", done.stdout))
    assert set(lines["to get what is missing"].split()) >= {"flex", "qemu-system-x86"}
    assert "lld" not in lines["to get what is missing"]
    assert "lld" in lines["for --toolchain llvm"].split()
    assert "gcc-aarch64-linux-gnu" in lines["for --arch arm64"].split()
    assert "ready: no" in done.stdout


def test_gc_frees_what_is_old(harness: Harness, project: Project, tmp_path: Path) -> None:
    harness("boot", "--tree", "linux", cwd=project)
    done = harness("gc", "--max-age", "0", "--dry-run")
    assert done.returncode == 0
    assert "would delete kernel " in done.stdout
    assert list((tmp_path / "cache/harness/store/kernel").iterdir())
    done = harness("gc", "--max-age", "0")
    assert "deleted kernel " in done.stdout
    assert not list((tmp_path / "cache/harness/store/kernel").iterdir())
    assert harness("boot", "--tree", "linux", cwd=project).returncode == 0


def test_the_installed_wheel_works_outside_the_checkout(
    harness: Harness, tmp_path: Path, clone: Path
) -> None:
    wheel = tmp_path / "wheel"
    subprocess.run(
        [sys.executable, "-m", "build", "-w", "-n", "-o", wheel, ROOT],
        check=True,
        capture_output=True,
    )
    site = tmp_path / "site"
    shutil.unpack_archive(next(wheel.glob("*.whl")), site, "zip")
    done = harness("initramfs", "--scenario", "nullfs", "--list", env={"PYTHONPATH": str(site)})
    assert done.returncode == 0, done.stderr
    names = subprocess.run(
        ["find", site, "-name", "*.patch", "-o", "-name", "*.config.j2", "-o", "-name", "probe"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert names.count("patches/nullfs/") == 4
    assert "tiny.config.j2" in names
    assert clone.exists()
