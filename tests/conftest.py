"""Fixtures for all tests: no test reads or writes the user's own folders, unless it says so."""

import os
import pty
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.store import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HERE = Path(__file__).parent
ROOT = HERE.parent

Harness = Callable[..., subprocess.CompletedProcess[str]]


# A shell starts what runs in its background with ^C ignored, and that would be inherited by the
# tool that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update", action="store_true", help="rewrite golden files, and what corpus logs expect"
    )


@pytest.fixture
def is_update(request: pytest.FixtureRequest) -> bool:
    """Whether what is expected shall be made what is found."""
    return bool(request.config.getoption("--update"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes minutes and packages of its own, unless it is asked for by name."""
    if "slow" in config.option.markexpr:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


@pytest.fixture(autouse=True)
def _own_folders(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    # Where KVM is there and does not work, finding that out takes 3 s for each empty cache.
    monkeypatch.setenv("HARNESS_ACCEL", "tcg")
    # Kernels are content-addressed and take minutes: tests of real ones share the user's cache.
    if request.node.get_closest_marker("kernel") is None:
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache" / "harness")


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    """Run the tool as a user does: (arguments) → its exit code, stdout and stderr."""

    def run(
        *arguments: str | Path,
        cwd: Path = tmp_path,
        env: dict[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "harness", *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            input=stdin,
            capture_output=True,
            timeout=1800,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args,
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )

    return run


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A git clone of the stand-in kernel (tests/fakelinux), with one commit."""
    path = tmp_path / "linux"
    shutil.copytree(HERE / "fakelinux", path)
    git(path, "init", "-q", "-b", "main")
    commit(path, "stand-in: first")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium; a page is opened with `browsing.opened`."""
    import browsing  # noqa: PLC0415 - few tests have a page

    yield from browsing.launch()


@pytest.fixture
def project(tmp_path: Path, clone: Path) -> Path:
    """A user's folder: a harness.toml, a profile of their own, and a kernel clone beside it."""
    path = tmp_path / "project"
    (path / "kconfigs").mkdir(parents=True)
    (path / "kconfigs/mini.config.j2").write_text("# enough\nCONFIG_NET=y\n")
    (path / "harness.toml").write_text(
        'series = "none"\nprofile = "mini"\nscenario = "boot"\ntimeout = 20.0\n'
    )
    (path / "linux").symlink_to(clone)
    return path


def on_a_terminal(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> bytes:
    """Run the tool with a terminal of 30 lines by 100 as stderr: what it shows there. It passes."""
    main, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (30, 100))
    child = subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm", **(env or {})},
    )
    os.close(terminal)
    shown = b""
    try:
        while block := os.read(main, 4096):
            shown += block
    except OSError:  # the other end has gone
        pass
    finally:
        os.close(main)
    assert child.wait(timeout=60) == 0
    return shown


def git(path: Path, *arguments: str) -> str:
    """Run git as somebody, and give what it printed."""
    done = subprocess.run(
        ["git", "-c", "user.name=tester", "-c", "user.email=tester@harness.invalid", *arguments],
        cwd=path,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def commit(path: Path, subject: str) -> str:
    """Commit all that is in the clone, and give the commit."""
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", subject)
    return git(path, "rev-parse", "HEAD")
