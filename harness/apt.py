"""Asks the Debian mirrors of this machine's own apt, and believes what they sign.

apt works in private roots under the cache: it needs no privilege, and the machine's own lists
stay as they are.
"""

import os
import platform
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness import log, proc
from harness.store import digest_of_file

_HELPER = Path("/usr/lib/apt/apt-helper")
_KEYRINGS = tuple(
    Path("/usr/share/keyrings") / f"debian-archive-keyring.{suffix}" for suffix in ("pgp", "gpg")
)
# Where the newest kernels are, whatever release the machine runs.
NEWEST = ("trixie-backports", "sid", "experimental")
_TARGET_FORMAT = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SOURCESENTRY)"
_SIGNED_BY = re.compile(r"signed-by\s*[:=]\s*(?P<path>/[^\s\],]+)", re.IGNORECASE)
_TIMEOUTS = ("-o", "Acquire::http::Timeout=15", "-o", "Acquire::Retries=2")
# What apt says of a mirror that answers but does not have the suite.
_NO_SUITE = ("does not have a Release file", "404")


class Mirror(msgspec.Struct, frozen=True, kw_only=True):
    """A repository of the machine's apt configuration, and the key that signs it."""

    uri: str
    suites: tuple[str, ...]
    keyring: Path | None

    @property
    def is_security(self) -> bool:
        """Whether it holds security updates alone: it has no suites but those."""
        return all(suite.endswith("-security") for suite in self.suites)

    def line(self, kind: str, suite: str) -> str:
        """Return the sources.list line for a suite; `kind` is deb or deb-src."""
        signed = f"[signed-by={self.keyring}] " if self.keyring else ""
        return f"{kind} {signed}{self.uri} {suite} main\n"


def is_here() -> bool:
    """Whether this machine has apt at all."""
    return _HELPER.exists()


def mirrors() -> list[Mirror]:
    """Return the repositories that this machine's apt has for its own release."""
    done = proc.run(["apt-get", "indextargets", "--no-release-info", "--format", _TARGET_FORMAT])
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    suites: dict[tuple[str, str], list[str]] = {}
    for line in done.text.splitlines():
        uri, suite, component, entry = line.split("|")
        # Another component has no kernel.
        if component == "main":
            known = suites.setdefault((uri, entry.rpartition(":")[0]), [])
            if suite not in known:
                known.append(suite)
    wanted = {release, f"{release}-security", *NEWEST, "stable", "testing", "unstable"}
    return [
        Mirror(uri=uri, suites=tuple(names), keyring=_keyring(Path(entry)))
        for (uri, entry), names in suites.items()
        if set(names) & wanted
    ]


def _keyring(entry: Path) -> Path | None:
    """Return the key for a repository: what its own entry says, or Debian's."""
    try:
        match = _SIGNED_BY.search(entry.read_text())
    except OSError:
        match = None
    candidates = [*([Path(match["path"])] if match else []), *_KEYRINGS]
    return next((path for path in candidates if path.exists()), None)


def prepare(top: Path, sources: str, *, debian_arch: str = "") -> list[str]:
    """Make a root of apt's own in `top`, with these sources; return apt's options for it."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (top / name).mkdir(parents=True, exist_ok=True)
    path = top / "sources.list"
    # A newer file would make apt parse all lists anew, which takes seconds.
    if not path.exists() or path.read_text() != sources:
        path.write_text(sources)
    # `harness gc` goes by it.
    os.utime(top)
    return [
        "-o", f"Dir::State={top}/state",
        "-o", f"Dir::Cache={top}/cache",
        # Images of containers turn the first off. The second only helps to make the first.
        "-o", "Dir::Cache::pkgcache=pkgcache.bin",
        "-o", "Dir::Cache::srcpkgcache=",
        "-o", f"Dir::Etc::sourcelist={top}/sources.list",
        "-o", "Dir::Etc::sourceparts=-",
        *(["-o", f"APT::Architecture={debian_arch}", "-o", f"APT::Architectures={debian_arch}"]
          if debian_arch else []),

        # The _apt user cannot reach a cache in somebody's home.
        "-o", "APT::Sandbox::User=root",
        "-o", "Acquire::Languages=none",
        *_TIMEOUTS,
    ]  # fmt: skip


def update(options: Sequence[str], what: str) -> list[str]:
    """Refresh the indexes of a root; return what failed, in apt's words."""
    with log.progress(f"ask {what}") as line:
        line.update("apt-get update")
        done = proc.run(["apt-get", *options, "update"])
    errors = [x for x in done.error_text.splitlines() if x.startswith(("E: ", "W: Failed"))]
    return [error.partition(": ")[2] for error in errors]


def is_no_suite(failure: str) -> bool:
    """Whether a failure of `update` says that the mirror answered and has no such suite."""
    return any(words in failure for words in _NO_SUITE)


def download(url: str, path: Path, sha256: str) -> str:
    """Fetch `url` to `path` if it has this sum; return what failed, "" if nothing."""
    argv = [
        str(_HELPER),
        "-o", "APT::Sandbox::User=root",
        *_TIMEOUTS,
        "download-file", url, str(path), f"SHA256:{sha256}",
    ]  # fmt: skip
    with log.progress(f"download {path.name}") as line:
        # apt goes on where a partial file ends, if the mirror can.
        done = proc.run(argv, on_tick=lambda: line.update(_size(path)))
    if path.is_symlink() and path.exists():
        # What apt makes for a mirror in a folder: what is there may change.
        shutil.copyfile(path.resolve(), path.with_suffix(".copy"))
        path.with_suffix(".copy").replace(path)
    if done.returncode == 0 and digest_of_file(path) == sha256:
        return ""
    path.with_name(f"{path.name}.FAILED").unlink(missing_ok=True)
    words = [x for x in done.error_text.splitlines() if x.startswith("E: ")]
    return words[0].removeprefix("E: ") if words else "the download failed"


def _size(path: Path) -> str:
    try:
        return f"{path.stat().st_size >> 20} MiB"
    except FileNotFoundError:
        return "connecting"
