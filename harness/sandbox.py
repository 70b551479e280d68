"""Runs a program that may be hostile: what is built is code from a patch, and it builds itself.

It sees the system's programs and the folders it is given, writes only where it is told it may,
has no network, and ends when it takes more than its limits. bubblewrap does that, or util-linux'
`unshare`; where neither works it is said.
"""

import os
import re
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import msgspec

from harness import limits as limits_
from harness import log, paths, proc
from harness.errors import HostError, UsageError
from harness.limits import Limits

# The user's choice.
OVERRIDE = "HARNESS_SANDBOX"
BUBBLEWRAP, UNSHARE, NONE = "bubblewrap", "unshare", "none"
_CHOICES = {
    "auto": (BUBBLEWRAP, UNSHARE, NONE),
    "require": (BUBBLEWRAP, UNSHARE),
    **{kind: (kind,) for kind in (BUBBLEWRAP, UNSHARE, NONE)},
}
_PROGRAMS = {BUBBLEWRAP: "bwrap", UNSHARE: "unshare"}

# What programs are made of. /nix and /gnu have them where /usr has not.
_SYSTEM = tuple(map(Path, (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store",
    "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
)))  # fmt: skip
# What a toolchain keeps beside its `bin`; a glob.
_BESIDE = ("lib", "lib64", "libexec", "include", "*-*-*")
_TMP_BYTES = 1 << 30
_SIGNALLED = 128
_DEADLY = (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)
# How the programs that make it begin what they say, and `mount` goes on.
_OWN_WORDS = re.compile(
    r"(bwrap|unshare|mount|mkdir|pivot_root|setpriv|prlimit|\S*sandbox\.sh): | {7}"
)


class _Walls(msgspec.Struct, frozen=True, kw_only=True):
    """What a program gets to see, read-only and to write, and where it starts."""

    read: Sequence[Path]
    write: Sequence[Path]
    behind: Mapping[Path, Path] = {}
    cwd: Path

    def folders(self) -> list[Path]:
        """Return the folders of this machine that it may write."""
        real = (self.behind.get(path, path) for path in self.write)
        return [path for path in real if path.is_dir()]

    def binds(self) -> Iterator[tuple[str, Path, Path]]:
        """Yield (`ro` or `rw`, path of this machine, path in there): outer folders first."""
        there = (path for path in (*_system(), *self.read) if os.access(path, os.F_OK))
        modes = dict.fromkeys(there, "ro")
        modes |= dict.fromkeys(self.write, "rw")
        for path in sorted(modes):
            yield modes[path], self.behind.get(path, path), path


def kind() -> str:
    """Return what confines the builds here: `bubblewrap`, `unshare` or `none`.

    Raises:
        UsageError: HARNESS_SANDBOX is none of its words.
        HostError: it asks for one that does not work here.
    """
    chosen = os.environ.get(OVERRIDE) or "auto"
    if chosen not in _CHOICES:
        raise UsageError(f"{OVERRIDE} is {chosen!r}: expected one of {', '.join(_CHOICES)}")
    obstacles: dict[str, str] = {}
    for each in _CHOICES[chosen]:
        obstacle = why_not(each)
        if not obstacle:
            if obstacles and each == NONE:
                _warn("; ".join(obstacles.values()))
            return each
        obstacles[each] = obstacle
    raise HostError(
        f"{OVERRIDE}={chosen}: no such sandbox works here: {'; '.join(obstacles.values())}",
        hint="`harness doctor` names the package of bwrap",
    )


def why_not(kind: str) -> str:
    """Return why a sandbox does not work here; "" if it does."""
    if kind == NONE:
        return ""
    program = proc.find(_PROGRAMS[kind])
    return _try(kind, program) if program else f"{_PROGRAMS[kind]} is not installed"


@cache
def _try(kind: str, program: str) -> str:
    walls = _Walls(read=(), write=(), cwd=Path("/"))
    done = proc.run(_wrapped(kind, walls, _bounded(kind, limits_.DEFAULT, ["true"])))
    words = done.error_text.splitlines()
    if done.returncode == 0:
        return ""
    return words[-1] if words else f"{program} exits {done.returncode}"


@cache
def _warn(why: str) -> None:
    log.warn(
        f"no sandbox works here ({why}): what a patch runs while it is built has all your rights; "
        f"{OVERRIDE}=none says that this is meant"
    )


def run(
    argv: Sequence[str],
    *,
    read: Sequence[Path] = (),
    write: Sequence[Path] = (),
    behind: Mapping[Path, Path] | None = None,
    limits: Limits = limits_.DEFAULT,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    log_path: Path | None = None,
    out_path: Path | None = None,
    on_tick: Callable[[], None] | None = None,
    keep_fds: Sequence[int] = (),
) -> proc.Completed:
    """Run a command as `proc.run` does, but confined.

    `read` and `write` are the absolute paths that it may, besides the system's programs. `behind`
    has the folders of this machine that stand behind paths of `write`, where they are not the
    same; without a sandbox they must be. `cwd` is one of `write`, by default the first.

    Raises:
        Breach: it went over a limit, and was ended.
        HostError: it cannot be started.
    """
    how = kind()
    walls = _Walls(read=read, write=write, behind=behind or {}, cwd=cwd or write[0])
    # Not pipes: what it prints would have to be held, all of it. The files have no names, so
    # nothing is left of them when this process is killed.
    with tempfile.TemporaryFile() as out_file, tempfile.TemporaryFile() as err_file:
        out, err = (Path(f"/proc/self/fd/{file.fileno()}") for file in (out_file, err_file))
        watched = [log_path] if log_path else [err] if out_path else [out, err]
        if log_path:
            log_path.touch()
        watch = limits_.Watch(limits, outputs=watched, folders=walls.folders())
        done = proc.run(
            _wrapped(how, walls, _bounded(how, limits, argv)),
            cwd=cwd, env=env, stdin=stdin, log_path=log_path, on_tick=on_tick,
            out_path=None if log_path else out_path or out,
            err_path=None if log_path else err,
            confined=proc.Confined(watch=watch, has_namespace=how != NONE),
            # A namespace ends with its first process; and whoever has a lock can let it go.
            keep_fds=keep_fds if how == NONE else (),
        )  # fmt: skip
        if done.returncode != 0 and how != NONE:
            _check_started(log_path or err)
        said = {"stdout": out.read_bytes(), "stderr": err.read_bytes()}
        status = _status(done.returncode, how)
        return msgspec.structs.replace(done, argv=tuple(argv), returncode=status, **said)


def _status(returncode: int, how: str) -> int:
    """Return how a program ended, negative for a signal: bwrap says it as a shell does."""
    sig = returncode - _SIGNALLED
    return -sig if how != NONE and sig in _DEADLY else returncode


def _check_started(errors: Path) -> None:
    """Raise a HostError if all that was said is the sandbox's own, and says that it failed."""
    with errors.open("rb") as stream:
        lines = stream.read(4096).decode(errors="replace").splitlines()
    if lines and all(_OWN_WORDS.match(line) for line in lines):
        raise HostError(
            f"the sandbox does not start: {lines[0].strip()}",
            hint=f"`harness doctor` looks at it; {OVERRIDE} chooses another",
        )


# --- the wrapping -----------------------------------------------------------------------------


def _bounded(kind: str, limits: Limits, argv: Sequence[str]) -> list[str]:
    """Return `argv` under those limits that the kernel itself enforces."""
    prlimit = proc.find("prlimit")
    if prlimit is None and kind == NONE:
        return list(argv)
    bounds = [f"--fsize={limits.disk_bytes}", "--core=0"]
    if kind != NONE:
        # Counted in the namespace alone. Above what the watch allows: it has the better words.
        bounds.append(f"--nproc={limits.processes * 2}")
    return [prlimit or "prlimit", *bounds, "--", *argv]


def _wrapped(kind: str, walls: _Walls, argv: Sequence[str]) -> list[str]:
    """Return `argv` within the walls."""
    if kind == NONE:
        return list(argv)
    return _WRAP[kind](proc.which(_PROGRAMS[kind]), walls, argv)


def _with_bubblewrap(program: str, walls: _Walls, argv: Sequence[str]) -> list[str]:
    tmpfs = ("--size", str(_TMP_BYTES), "--tmpfs")
    binds = [
        word
        for mode, source, path in walls.binds()
        for word in ("--bind" if mode == "rw" else "--ro-bind", str(source), str(path))
    ]
    return [
        program,
        "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent",
        # With an init of its own it would end before the last of what it has started does.
        "--as-pid-1",
        *tmpfs, "/tmp",  # noqa: S108 - its own
        "--proc", "/proc",
        "--dev", "/dev",
        *tmpfs, "/dev/shm",  # noqa: S108 - its own
        *binds,
        "--remount-ro", "/dev",
        # root of the machine may write to /proc/sys, with no capability at all.
        "--remount-ro", "/proc",
        "--remount-ro", "/",
        "--chdir", str(walls.cwd),
        "--", *argv,
    ]  # fmt: skip


def _with_unshare(program: str, walls: _Walls, argv: Sequence[str]) -> list[str]:
    return [
        program,
        "--map-root-user", "--mount", "--net", "--ipc", "--uts", "--pid", "--fork",
        "--kill-child=KILL",
        "--", "/bin/sh", str(paths.PACKAGE_DIR / "data" / "sandbox.sh"), str(_TMP_BYTES),
        *(word for bind in walls.binds() for word in map(str, bind)),
        "--", str(walls.cwd), *argv,
    ]  # fmt: skip


_WRAP = {BUBBLEWRAP: _with_bubblewrap, UNSHARE: _with_unshare}


def _system() -> Iterator[Path]:
    """Yield what holds the programs: the system's folders, and those of PATH outside them."""
    yield from _SYSTEM
    private = (Path.home(), paths.cache_dir(), paths.state_dir())
    for name in os.environ.get("PATH", "").split(os.pathsep):
        folder = Path(name)
        is_system = any(folder.is_relative_to(each) for each in _SYSTEM)
        if is_system or not folder.is_absolute() or not os.access(folder, os.R_OK | os.X_OK):
            continue
        beside = (path for glob in _BESIDE for path in folder.parent.glob(glob))
        for path in (folder, *(beside if folder.name == "bin" else ())):
            # Not a home that is on PATH, nor anything around it.
            if not any(each.is_relative_to(path) for each in private):
                yield path
