"""Makes the guest's initramfs: PID 1 and a scenario's flows, compiled and packed.

Takes a scenario and an architecture, gives a newc archive in the store; it boots nothing. A
scenario may bring an `init` of its own instead, and a `rootfs` folder to lay over it all.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness import buildlog, cpio, paths, proc, sandbox
from harness.arch import Arch
from harness.errors import HarnessError, HostError, UsageError
from harness.job import Initramfs, Scenario
from harness.store import Entry, Store, digest_of_file
from harness.toolchain import toolchain_id

# Bump when the same inputs should give other bytes.
SCHEMA = 1

_NAME = "initramfs.cpio"
_BALLAST = "ballast"
_HEAD_SIZE = 128

# A new expectation or a word of documentation is no reason to make it anew.
_NO_CODE = frozenset({".toml", ".md"})

# Neither debug information nor a build id nor a path: the same sources give the same bytes.
# Warnings do not stop it, since a newer compiler has new ones; a test compiles with -Werror.
_FLAGS = (
    "-std=gnu11", "-Os", "-Wall", "-Wextra", "-ffunction-sections", "-fdata-sections",
    "-static", "-s", "-Wl,--gc-sections", "-Wl,--build-id=none",
)  # fmt: skip

_NO_LIBC = re.compile(r"cannot find -l|cannot find crt\w*\.o")
_ERROR = re.compile(r": (fatal )?error: |undefined reference|multiple definition")

# What PID 1 needs before it can mount or make anything.
_SKELETON = (
    cpio.folder("bin"),
    cpio.folder("dev"),
    cpio.character_device("dev/console", 5, 1),
    cpio.character_device("dev/kmsg", 1, 11),
    cpio.character_device("dev/null", 1, 3, mode=0o666),
    cpio.folder("proc", 0o555),
    cpio.folder("sys", 0o555),
    cpio.folder("tmp", 0o1777),
)


def build(scenario: Scenario, *, arch: Arch, store: Store) -> tuple[Initramfs, Entry]:
    """Return the scenario's initramfs for `arch`, from the store or made now.

    Raises:
        UsageError: the scenario's own C does not compile or link, or its files cannot be packed.
        HostError: there is no compiler, it lacks a static C library, or there is no busybox.
    """
    own_init = scenario.path / "init"
    inputs = {"schema": str(SCHEMA), "arch": arch.name, **_digests(scenario.path, scenario.name)}
    if own_init.is_file():
        entry = _pack_own(scenario, own_init, inputs, arch=arch, store=store)
    else:
        entry = _compile_and_pack(scenario, inputs, arch=arch, store=store)
    path = entry.path / _NAME
    return Initramfs(path=path, digest=digest_of_file(path)), entry


def with_ballast(plain: Initramfs, size_mib: int, *, store: Store) -> Initramfs:
    """Return the archive with a file `/ballast` of zeros, to weigh what holding it costs."""
    return with_members(
        plain,
        lambda: [cpio.file(_BALLAST, bytes(size_mib << 20))],
        {"ballast": f"{size_mib} MiB"},
        store=store,
    )


def with_members(
    plain: Initramfs,
    added: Callable[[], Sequence[cpio.Member]],
    inputs: dict[str, str],
    *,
    store: Store,
) -> Initramfs:
    """Return the archive with more members; `inputs` name what decides them."""

    def make(scratch: Path) -> None:
        members = [*cpio.read(plain.path.read_bytes(), where=plain.path), *added()]
        with (scratch / _NAME).open("wb") as stream:
            cpio.write(stream, members)

    inputs = {"schema": str(SCHEMA), "plain": plain.digest, **inputs}
    path = store.get_or_make("initramfs", inputs, make).path / _NAME
    return Initramfs(path=path, digest=digest_of_file(path))


def list_contents(path: Path) -> tuple[str, ...]:
    """Return a line for each member of the archive at `path`, much as `cpio -itv` prints them.

    Raises:
        UsageError: it cannot be read, or is no newc archive.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    return tuple(_describe(member) for member in cpio.read(data, where=path))


def _describe(member: cpio.Member) -> str:
    mode = member.mode
    is_device = stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
    extent = "{}, {}".format(*member.device) if is_device else str(member.size)
    target = ""
    if stat.S_ISLNK(mode) and isinstance(member.data, bytes):
        target = f" -> {os.fsdecode(member.data)}"
    return f"{stat.filemode(mode)} {extent:>10} {member.name}{target}"


# --- from C ---------------------------------------------------------------------------------


def _compile_and_pack(
    scenario: Scenario, inputs: dict[str, str], *, arch: Arch, store: Store
) -> Entry:
    common = paths.shipped("initramfs") / "common"
    compiler = _find_compiler(arch)
    inputs |= {
        "compiler": toolchain_id(compiler, store),
        "flags": " ".join(_FLAGS),
        "sources": " ".join(str(path.relative_to(scenario.path)) for path in scenario.sources),
        **_digests(common, "common"),
    }

    def make(scratch: Path) -> None:
        with store.scratch("guest") as folder:
            built = _compile_all(compiler, common, scenario, folder)
            programs = [cpio.file(name, path, 0o755) for name, path in built.items()]
            _pack(scratch, [*_SKELETON, *programs], scenario)

    return store.get_or_make("initramfs", inputs, make)


def _find_compiler(arch: Arch) -> str:
    suffix = "" if arch.is_native else f"-{arch.triplet.replace('_', '-')}"
    hint = f"install a C compiler for {arch.name} (Debian: gcc{suffix})"
    return proc.which(f"{arch.cross_compile}gcc", hint=hint)


def _compile_all(compiler: str, common: Path, scenario: Scenario, folder: Path) -> dict[str, Path]:
    """Compile into `folder`; return each program by its name in the guest."""
    init = [*_c_files(common), *scenario.sources]
    commands = {"init": ["-I", str(common), *map(str, init)]}
    # Small means without the C library's start-up code.
    for path in _c_files(common / "programs"):
        commands[f"bin/{path.stem}"] = ["-nostartfiles", str(path)]
    built: dict[str, Path] = {}
    for name, arguments in commands.items():
        built[name] = folder / name.replace("/", "-")
        argv = [
            compiler, *_FLAGS,
            f"-ffile-prefix-map={common}=common",
            f"-ffile-prefix-map={scenario.path}={scenario.name}",
            "-o", str(built[name]),
            *arguments,
        ]  # fmt: skip
        try:
            done = sandbox.run(
                argv, read=[common, scenario.path], write=[folder], env={"TMPDIR": str(folder)}
            )
        except proc.Breach as breach:
            raise UsageError(
                f"scenario {scenario.name}: its compilation {breach.message}", hint=breach.hint
            ) from None
        if done.returncode != 0:
            raise _explain(argv, done.error_text, scenario)
    return built


def _c_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.c"))


def _explain(argv: Sequence[str], words: str, scenario: Scenario) -> HarnessError:
    """Tell whose fault a failed compilation is: the scenario's own C, or this machine."""
    fault = buildlog.host_fault(words)
    if fault:
        return HostError(f"cannot compile the guest's code: {fault[0]}", hint=fault[1])
    if _NO_LIBC.search(words):
        return HostError(
            f"{argv[0]} has no C library to link statically",
            hint="`harness doctor` names its package",
        )
    errors = [line for line in words.splitlines() if _ERROR.search(line)]
    # The linker names a source without its folder.
    own = re.compile("|".join(re.escape(path.name) for path in scenario.sources) or "(?!)")
    for line in errors:
        if line.startswith(f"{scenario.path}/") or own.search(line):
            return UsageError(f"scenario {scenario.name} does not compile: {line}")
    first = errors[0] if errors else (words.splitlines() or ["it does not say why"])[-1]
    return HostError(f"cannot compile the guest's PID 1: {first}", hint=f"$ {proc.quote(argv)}")


# --- the scenario's own ---------------------------------------------------------------------


def _pack_own(
    scenario: Scenario, init: Path, inputs: dict[str, str], *, arch: Arch, store: Store
) -> Entry:
    if scenario.sources:
        raise UsageError(
            f"scenario {scenario.name} has an init of its own, and C that nothing would run",
            hint="say `sources = []` in scenario.toml, or rename `init`",
        )
    members = [*_SKELETON, cpio.file("init", init, 0o755)]
    with init.open("rb") as stream:
        is_script = stream.read(_HEAD_SIZE).startswith(b"#!")
    if is_script and not (scenario.path / "rootfs/bin/sh").exists():
        busybox = static_busybox(arch)
        inputs["busybox"] = digest_of_file(busybox)
        members += [cpio.file("bin/busybox", busybox, 0o755), cpio.symlink("bin/sh", "busybox")]
    return store.get_or_make("initramfs", inputs, lambda scratch: _pack(scratch, members, scenario))


def static_busybox(arch: Arch) -> Path:
    """Return this machine's busybox, which runs a script in the guest if it is static.

    Raises:
        HostError: there is none, or it is not static, or this machine is of another architecture.
    """
    own = "put a shell in the scenario's rootfs/bin/sh"
    if not arch.is_native:
        raise HostError(f"there is no busybox for {arch.name} here to run a script", hint=own)
    hint = f"install it (Debian: busybox-static), or {own}"
    path = Path(proc.which("busybox", hint=hint))
    # A dynamic program names its interpreter near its start.
    with path.open("rb") as stream:
        if b"/ld-" in stream.read(4096):
            raise HostError(f"{path} is not statically linked", hint=hint)
    return path


def _pack(scratch: Path, members: list[cpio.Member], scenario: Scenario) -> None:
    by_name = {member.name: member for member in members}
    by_name.update((member.name, member) for member in _overlay(scenario.path / "rootfs"))
    with (scratch / _NAME).open("wb") as stream:
        cpio.write(stream, by_name.values())


def _overlay(folder: Path) -> Iterator[cpio.Member]:
    """Yield what `folder` holds; of permissions only whether a file can be run."""
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            yield cpio.symlink(name, str(path.readlink()))
        elif path.is_dir():
            yield cpio.folder(name)
        elif path.is_file():
            yield cpio.file(name, path, 0o755 if os.access(path, os.X_OK) else 0o644)
        else:
            raise UsageError(f"cannot pack {path}: neither a file nor a folder nor a symlink")


def _digests(folder: Path, label: str) -> dict[str, str]:
    """Return what stands in `folder` by name: the C code may include any of it."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0].startswith("."):  # an editor's or git's, not the scenario's
            continue
        if path.is_symlink():
            content = f"-> {path.readlink()} {digest_of_file(path) if path.is_file() else ''}"
        elif path.is_dir():
            content = "folder"
        elif path.is_file() and path.suffix not in _NO_CODE:
            content = digest_of_file(path) + (" x" if os.access(path, os.X_OK) else "")
        else:
            continue
        found[f"{label}/{name}"] = content
    return found
