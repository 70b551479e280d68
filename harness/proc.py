"""The only module that starts other programs, QEMU aside (that is `boot`, through pexpect).

Every child has its own process group and dies with the tool, whatever kills the tool. Of the
tool's own environment it gets what `environment` lists.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NoReturn

import msgspec

from harness import environment, processes
from harness.errors import HostError

_TERMINATE_GRACE_S = 5.0


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """A command that ended. With `log_path`, `stdout` and `stderr` are empty: read the log."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Its standard output, decoded and without the last newline."""
        return self.stdout.decode(errors="replace").rstrip("\n")

    @property
    def error_text(self) -> str:
        """Its standard error, decoded and stripped."""
        return self.stderr.decode(errors="replace").strip()


def quote(argv: Sequence[str]) -> str:
    """Return `argv` as a line that a shell reads back as the same words."""
    return shlex.join(argv)


def find(name: str) -> str | None:
    """Return the absolute path of a program, or None."""
    # mke2fs is where a user's PATH does not lead, and needs no administrator.
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def which(name: str, *, hint: str | None = None) -> str:
    """Return the absolute path of a program.

    Raises:
        HostError: it is not on PATH; the hint says how to get it.
    """
    found = find(name)
    if found is None:
        raise HostError(
            f"{name} is not on PATH",
            hint=hint or "`harness doctor` says which package has it",
        )
    return found


class Breach(HostError):  # noqa: N818 - what it is: whose fault, the caller knows
    """A confined program went over a limit; the message completes `the build …`."""


class Confined(msgspec.Struct, frozen=True, kw_only=True):
    """How to run what may be hostile: `watch` is given its pid with every tick, and may raise.

    With `has_namespace` the child is the parent of a PID namespace's init.
    """

    watch: Callable[[int], None]
    has_namespace: bool


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout_s: float | None = None,
    log_path: Path | None = None,
    out_path: Path | None = None,
    err_path: Path | None = None,
    on_tick: Callable[[], None] | None = None,
    confined: Confined | None = None,
    keep_fds: Sequence[int] = (),
) -> Completed:
    """Run a command to its end; a non-zero exit is for the caller to judge.

    `env` is laid over what `environment` lets it have, with LC_ALL=C. `log_path` takes stdout
    and stderr together, in order; `out_path` and `err_path` take one alone. `on_tick` is called
    about ten times a second while it runs. A lock among `keep_fds` is held until all has ended.

    Raises:
        HostError: the program cannot be started, or ran over `timeout_s`.
        Breach: it is `confined`, and went over a limit.
    """
    own = environment.of_stranger() if confined else environment.of_child()
    with ExitStack() as files:
        out, err = (
            files.enter_context(path.open("wb")) if path else subprocess.PIPE
            for path in (log_path or out_path, err_path)
        )
        try:
            with processes.uninterrupted():
                child = subprocess.Popen(
                    list(argv),
                    cwd=cwd,
                    env={**own, **(env or {})},
                    stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT if log_path else err,
                    start_new_session=True,
                    pass_fds=tuple(keep_fds),
                    preexec_fn=processes.die_with_parent(_death_of(confined)),  # noqa: PLW1509 - only prctl
                )
        except OSError as error:
            raise HostError(f"cannot start {argv[0]}: {error.strerror}") from error
    with child:
        stdout, stderr = _supervise(child, stdin, timeout_s, on_tick, confined)
    return Completed(
        argv=tuple(argv), returncode=child.returncode, stdout=stdout or b"", stderr=stderr or b""
    )


def _death_of(confined: Confined | None) -> int:
    # The init of a PID namespace heeds no other signal; make tidies up on a gentler one.
    return signal.SIGKILL if confined and confined.has_namespace else signal.SIGTERM


def _supervise(
    child: "subprocess.Popen[bytes]",
    stdin: bytes | None,
    timeout_s: float | None,
    on_tick: Callable[[], None] | None,
    confined: Confined | None,
) -> tuple[bytes, bytes]:
    def tick() -> None:
        if confined:
            confined.watch(child.pid)
        if on_tick:
            on_tick()

    try:
        return _wait(child, stdin, timeout_s, tick if confined or on_tick else None)
    except BaseException as error:
        is_breach = isinstance(error, Breach)
        inits = (
            processes.descendants(child.pid, at_most=0)
            if confined and confined.has_namespace
            else []
        )
        if inits and not is_breach:
            # What starts a namespace would not pass the signal on.
            processes.terminate(processes.descendants(child.pid))
            with suppress(subprocess.TimeoutExpired):
                child.wait(_TERMINATE_GRACE_S)
        kill_group(child.pid, grace_s=0.0 if is_breach else _TERMINATE_GRACE_S)
        processes.wait_for_end(inits, within_s=_TERMINATE_GRACE_S)
        raise


def _wait(
    child: "subprocess.Popen[bytes]",
    stdin: bytes | None,
    timeout_s: float | None,
    on_tick: Callable[[], None] | None,
) -> tuple[bytes, bytes]:
    deadline = time.monotonic() + timeout_s if timeout_s else None
    while True:
        left = deadline - time.monotonic() if deadline else None
        if left is not None and left <= 0:
            raise HostError(f"`{quote(child.args)}` ran over {timeout_s:g} s")  # type: ignore[arg-type]
        step = min(0.1 if on_tick else 3600.0, left if left is not None else 3600.0)
        try:
            return child.communicate(stdin, timeout=step)
        except subprocess.TimeoutExpired:
            # It has its input; communicate() goes on from where it was, and takes no other.
            stdin = None
            if on_tick:
                on_tick()


def check(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout_s: float | None = None,
) -> Completed:
    """Run a command whose failure is this machine's fault.

    Raises:
        HostError: it exited non-zero; the message quotes the command and its last words.
    """
    done = run(argv, cwd=cwd, env=env, stdin=stdin, timeout_s=timeout_s)
    if done.returncode != 0:
        words = done.error_text or done.text
        raise HostError(
            f"`{quote(argv)}` exited {done.returncode}: {words.splitlines()[-1] if words else ''}"
        )
    return done


def become(argv: Sequence[str]) -> NoReturn:
    """Give this process, its terminal with it, to another program; does not return.

    Raises:
        HostError: the program cannot be started.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(argv[0], list(argv), environment.of_child())  # noqa: S606 - no shell is wanted
    except OSError as error:
        raise HostError(f"cannot start {argv[0]}: {error.strerror}") from error


def kill_group(pid: int, *, grace_s: float = _TERMINATE_GRACE_S) -> None:
    """Ask the process group that `pid` leads to end, then make it; no error if it has gone."""
    for sig, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 1.0)):
        try:
            os.killpg(pid, sig)
        except (ProcessLookupError, PermissionError):
            return
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            try:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    # The leader is gone; what is left of its group goes too.
                    _kill_rest(pid)
                    return
            except ChildProcessError:
                _kill_rest(pid)
                return
            time.sleep(0.01)


def _kill_rest(pgid: int) -> None:
    try:
        os.killpg(pgid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def remove_tree(path: Path) -> None:
    """Delete a folder and all in it; no error if it is not there."""
    shutil.rmtree(path, ignore_errors=True)
