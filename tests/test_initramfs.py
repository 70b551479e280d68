import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import arch, cpio, initramfs, paths
from harness.errors import HostError, UsageError
from harness.job import Initramfs, Scenario
from harness.store import Entry, Store

SHIPPED = paths.shipped("initramfs")
X86_64 = arch.load("x86_64")

pytestmark = pytest.mark.skipif(not X86_64.is_native, reason="needs a compiler for x86_64")

FLOW = """\
#include "harness.h"
#include "value.h"

FLOW(demo)
{
	observe_u64("demo.value", VALUE);
}
"""


def scenario_at(path: Path) -> Scenario:
    return Scenario(
        name="demo",
        path=path,
        title="demo",
        sources=tuple(sorted(path.glob("*.c"))),
        flows=("demo",),
        default_flows=("demo",),
        variants=(),
        expectations=(),
    )


def write_demo(path: Path) -> Path:
    path.mkdir()
    (path / "demo.c").write_text(FLOW)
    (path / "value.h").write_text("#define VALUE 1\n")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_demo(tmp_path / "demo")


def build(path: Path, store: Store) -> tuple[Initramfs, Entry]:
    return initramfs.build(scenario_at(path), arch=X86_64, store=store)


def members(made: Initramfs) -> dict[str, cpio.Member]:
    return {member.name: member for member in cpio.read(made.path.read_bytes())}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Initramfs:
    """One initramfs for all tests that only look at it."""
    top = tmp_path_factory.mktemp("made")
    return build(write_demo(top / "demo"), Store(top / "cache"))[0]


@pytest.fixture
def extract(made: Initramfs, tmp_path: Path) -> Callable[[str], Path]:
    def extract(name: str) -> Path:
        data = members(made)[name].data
        assert isinstance(data, bytes)
        path = tmp_path / "extracted"
        path.write_bytes(data)
        path.chmod(0o755)
        return path

    return extract


def fake_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """Put a script named gcc first on PATH; the real one is $REAL in it. Return its log."""
    real = shutil.which("gcc")
    log = tmp_path / "gcc.log"
    tools = tmp_path / "tools"
    tools.mkdir(exist_ok=True)
    script = tools / "gcc"
    script.write_text(f'#!/bin/sh\nREAL={real}\necho "$*" >>{log}\n{body}\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    return log


# --- what is in it --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["boot", "nullfs"])
def test_a_shipped_scenario_is_less_than_a_megabyte(name: str, store: Store) -> None:
    found, _ = build(SHIPPED / name, store)
    assert found.path.stat().st_size < 1_000_000


def test_pid_1_is_a_static_program_without_a_build_id_or_a_path_of_this_machine(
    made: Initramfs, extract: Callable[[str], Path]
) -> None:
    program = extract("init")
    argv = ["readelf", "-lSW", str(program)]
    headers = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert "INTERP" not in headers
    assert "build-id" not in headers
    assert ".debug" not in headers
    assert stat.S_IMODE(members(made)["init"].mode) == 0o755
    for folder in (SHIPPED, made.path.parents[4]):
        assert str(folder).encode() not in program.read_bytes()


def test_pid_1_refuses_to_run_anywhere_but_as_pid_1(extract: Callable[[str], Path]) -> None:
    done = subprocess.run([extract("init")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "PID 1 of a guest" in done.stderr


def test_the_small_program_runs_without_a_c_library_set_up(
    extract: Callable[[str], Path],
) -> None:
    program = extract("bin/alive")
    assert program.stat().st_size < 20_000
    assert subprocess.run([program], check=False).returncode == 0


def test_nodes_for_console_and_kmsg_are_there(made: Initramfs) -> None:
    found = members(made)
    assert found["dev/console"].device == (5, 1)
    assert found["dev/kmsg"].device == (1, 11)
    assert all(stat.S_ISCHR(found[name].mode) for name in ("dev/console", "dev/kmsg", "dev/null"))


def test_the_listing_names_kind_size_and_device_of_each_member(made: Initramfs) -> None:
    lines = initramfs.list_contents(made.path)
    assert "crw-------       5, 1 dev/console" in lines
    init = next(line for line in lines if line.endswith(" init"))
    assert init.split() == ["-rwxr-xr-x", str(members(made)["init"].size), "init"]


def test_a_listing_of_no_file_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        initramfs.list_contents(tmp_path / "none")


# --- the key --------------------------------------------------------------------------------


def test_equal_sources_elsewhere_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "demo"
    shutil.copytree(folder, other)
    first, _ = build(folder, Store(tmp_path / "one"))
    second, _ = build(other, Store(tmp_path / "two"))
    assert first.path != second.path
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.digest == second.digest


def test_a_second_build_runs_no_compiler(
    folder: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = fake_compiler(tmp_path, monkeypatch, 'exec $REAL "$@"')
    first, made = build(folder, store)
    calls = log.read_text()
    second, found = build(folder, Store(store.root))
    assert not made.cached
    assert found.cached
    assert first == second
    assert "--version" in calls
    assert log.read_text() == calls


@pytest.mark.parametrize("name", ["demo.c", "value.h", "new.inc"])
def test_a_change_of_any_source_is_named_as_the_reason(
    name: str, folder: Path, store: Store
) -> None:
    build(folder, store)
    with (folder / name).open("a") as stream:
        stream.write("/* more */\n")
    _, entry = build(folder, store)
    assert not entry.cached
    assert entry.why == f"demo/{name} differs"


@pytest.mark.parametrize("name", ["expect.toml", "README.md", ".demo.c.swp"])
def test_what_is_no_code_needs_no_new_initramfs(name: str, folder: Path, store: Store) -> None:
    build(folder, store)
    (folder / name).write_text("# more\n")
    assert build(folder, store)[1].cached


def test_a_new_compiler_makes_a_new_initramfs(
    folder: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(folder, store)
    fake_compiler(
        tmp_path, monkeypatch, '[ "$1" = --version ] && echo "gcc 99.1" && exit; exec $REAL "$@"'
    )
    _, entry = build(folder, store)
    assert entry.why == "compiler differs"


# --- whose fault it is ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("FLOW(demo)\n{\n\tnonsense;\n}\n", r"bad\.c:4:\d+: error: .*nonsense"),
        ("FLOW(demo)\n{\n\textern void gone(void);\n\tgone();\n}\n", r"bad\.c:.*`gone'"),
        ('#include "none.h"\n', r"bad\.c:2:\d+: fatal error: none\.h"),
        ("void step(const char *name)\n{\n\t(void)name;\n}\n", r"bad\.c:.*multiple.*`step'"),
    ],
    ids=["error", "undefined", "no-header", "defined-twice"],
)
def test_a_scenario_that_does_not_compile_is_the_users_error_with_its_line(
    code: str, said: str, folder: Path, store: Store
) -> None:
    (folder / "bad.c").write_text('#include "harness.h"\n' + code)
    with pytest.raises(UsageError, match=rf"^scenario demo does not compile: .*{said}"):
        build(folder, store)


def test_a_warning_in_a_scenario_does_not_stop_it(folder: Path, store: Store) -> None:
    (folder / "more.c").write_text("static int unused;\n")
    build(folder, store)


def test_a_failed_build_is_not_kept(folder: Path, store: Store) -> None:
    (folder / "value.h").write_text("#define VALUE nonsense\n")
    for _ in range(2):
        with pytest.raises(UsageError, match="does not compile"):
            build(folder, store)


def test_no_compiler_is_the_hosts_fault_and_the_hint_names_the_package(
    folder: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="gcc is not on PATH") as caught:
        build(folder, store)
    assert "Debian: gcc" in str(caught.value.hint)


def test_no_static_c_library_is_the_hosts_fault_and_the_hint_names_who_knows_it(
    folder: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "/usr/bin/ld: cannot find -lc: No such file or directory"
    fake_compiler(
        tmp_path,
        monkeypatch,
        f'[ "$1" = --version ] && exec $REAL "$@"; echo "{words}" >&2; exit 1',
    )
    with pytest.raises(HostError, match="no C library") as caught:
        build(folder, store)
    assert "harness doctor" in str(caught.value.hint)


def test_a_broken_compiler_is_the_hosts_fault_and_the_hint_repeats_the_command(
    folder: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_compiler(
        tmp_path,
        monkeypatch,
        '[ "$1" = --version ] && exec $REAL "$@"; echo "gcc: cannot execute cc1" >&2; exit 1',
    )
    with pytest.raises(HostError, match="cannot execute cc1") as caught:
        build(folder, store)
    assert "-static" in str(caught.value.hint)


# --- the user's own -------------------------------------------------------------------------


def test_an_own_program_takes_the_place_of_pid_1(tmp_path: Path, store: Store) -> None:
    (tmp_path / "init").write_bytes(b"\x7fELF, or so")
    made, _ = build(tmp_path, store)
    assert members(made)["init"].data == b"\x7fELF, or so"
    assert stat.S_IMODE(members(made)["init"].mode) == 0o755
    assert "bin/sh" not in members(made)


@pytest.mark.skipif(not shutil.which("busybox"), reason="needs busybox-static")
def test_an_own_script_comes_with_a_shell(tmp_path: Path, store: Store) -> None:
    (tmp_path / "init").write_text("#!/bin/sh\necho hello\n")
    found = members(build(tmp_path, store)[0])
    assert found["bin/sh"].data == b"busybox"
    assert found["bin/busybox"].size > 100_000


def test_an_own_init_beside_flows_is_refused(folder: Path, store: Store) -> None:
    (folder / "init").write_text("#!/bin/sh\n")
    with pytest.raises(UsageError, match="nothing would run"):
        build(folder, store)


def test_a_rootfs_folder_is_laid_over_the_rest(folder: Path, store: Store) -> None:
    top = folder / "rootfs"
    (top / "bin").mkdir(parents=True)
    (top / "bin/tool").write_text("tool")
    (top / "bin/tool").chmod(0o750)
    (top / "bin/alive").write_text("another")
    (top / "etc").symlink_to("bin")
    found = members(build(folder, store)[0])
    assert found["bin/tool"].data == b"tool"
    assert stat.S_IMODE(found["bin/tool"].mode) == 0o755
    assert found["bin/alive"].data == b"another"
    assert found["etc"].data == b"bin"
    assert "init" in found


@pytest.mark.parametrize("change", ["chmod", "symlink", "mkdir"])
def test_a_change_of_a_rootfs_folder_that_no_digest_of_bytes_shows_is_seen(
    change: str, folder: Path, store: Store
) -> None:
    top = folder / "rootfs"
    top.mkdir()
    (top / "file").write_text("x")
    (top / "link").symlink_to("file")
    build(folder, store)
    if change == "chmod":
        (top / "file").chmod(0o755)
    elif change == "symlink":
        (top / "link").unlink()
        (top / "link").symlink_to("nowhere")
    else:
        (top / "empty").mkdir()
    assert not build(folder, store)[1].cached
