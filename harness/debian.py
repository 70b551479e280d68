"""Takes a kernel version, gives its upstream tarball from a Debian mirror, held to apt's index.

The mirror is the one this machine's own apt uses. apt works in a private root under the cache:
it needs no privilege, and the machine's own lists stay as they are.
"""

import platform
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness import log, proc
from harness.store import digest_of, digest_of_file
from harness.tarball import Miss, Tarball

_HELPER = Path("/usr/lib/apt/apt-helper")
_KEYRINGS = tuple(
    Path("/usr/share/keyrings") / f"debian-archive-keyring.{suffix}" for suffix in ("pgp", "gpg")
)
# Where the newest kernels are; the machine's own suites come after them.
_SUITES = ("trixie-backports", "sid", "experimental")
_TARGET_FORMAT = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SOURCESENTRY)"
_ORIG = re.compile(
    r"^ (?P<sha256>[0-9a-f]{64}) \d+ (?P<name>linux_(?P<version>.+)\.orig\.tar\.\w+)$"
)
_SIGNED_BY = re.compile(r"signed-by\s*[:=]\s*(?P<path>/[^\s\],]+)", re.IGNORECASE)
_TIMEOUTS = ("-o", "Acquire::http::Timeout=15", "-o", "Acquire::Retries=2")
# What apt says of a mirror that answers but does not have the suite.
_NO_SUITE = ("does not have a Release file", "404")


class _Mirror(msgspec.Struct, frozen=True, kw_only=True):
    """A repository of the machine's apt configuration, and the key that signs it."""

    uri: str
    suites: tuple[str, ...]
    keyring: Path | None


class _Orig(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream tarball that an index lists."""

    version: str
    name: str
    sha256: str
    folder: str


def fetch(version: str, folder: Path) -> Tarball | list[Miss]:
    """Download the tarball of `version` to `folder`, or say what every suite answered."""
    if not _HELPER.exists():
        return [Miss(source="Debian", answer="this machine has no apt", is_no=False)]
    misses = []
    for mirror in _mirrors():
        for suite in (*_SUITES, *(name for name in mirror.suites if name not in _SUITES)):
            answer = _ask(version, mirror, suite, folder)
            if isinstance(answer, Tarball):
                return answer
            misses.append(answer)
    if not misses:
        why = "apt on this machine has no Debian mirror configured"
        return [Miss(source="Debian", answer=why, is_no=False)]
    return misses


def _ask(version: str, mirror: _Mirror, suite: str, folder: Path) -> Tarball | Miss:
    source = f"Debian {suite}"
    options, failure = _update(mirror, suite, folder.parent / "apt")
    listed = list(_origs(proc.run(["apt-cache", *options, "showsrc", "--only-source", "linux"])))
    # Debian writes 6.19~rc1, which sorts before 6.19.
    wanted = version.replace("-rc", "~rc")
    orig = next((orig for orig in listed if orig.version == wanted), None)
    if orig:
        return _download(orig, mirror, source, folder)
    if failure:
        is_no = any(words in failure for words in _NO_SUITE)
        return Miss(source=source, answer=failure, is_no=is_no)
    has = tuple(orig.version.replace("~", "-") for orig in listed)
    return Miss(source=source, answer="no such version", is_no=True, has=has)


def _mirrors() -> list[_Mirror]:
    """Return the repositories that this machine's apt has for its own release."""
    done = proc.run(["apt-get", "indextargets", "--no-release-info", "--format", _TARGET_FORMAT])
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    suites: dict[tuple[str, str], list[str]] = {}
    for line in done.text.splitlines():
        uri, suite, component, entry = line.split("|")
        # A security mirror has no other suites; another component has no kernel.
        if component == "main" and not suite.endswith("-security"):
            known = suites.setdefault((uri, entry.rpartition(":")[0]), [])
            if suite not in known:
                known.append(suite)
    return [
        _Mirror(uri=uri, suites=tuple(names), keyring=_keyring(Path(entry)))
        for (uri, entry), names in suites.items()
        if release in names or set(names) & {*_SUITES, "stable", "testing", "unstable"}
    ]


def _keyring(entry: Path) -> Path | None:
    """Return the key for a repository: what its own entry says, or Debian's."""
    try:
        match = _SIGNED_BY.search(entry.read_text())
    except OSError:
        match = None
    candidates = [*([Path(match["path"])] if match else []), *_KEYRINGS]
    return next((path for path in candidates if path.exists()), None)


def _update(mirror: _Mirror, suite: str, root: Path) -> tuple[list[str], str]:
    """Refresh the index of one suite; return apt's options for it, and what failed."""
    top = root / f"{digest_of(mirror.uri.encode())[:8]}-{suite}"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (top / name).mkdir(parents=True, exist_ok=True)
    signed = f"[signed-by={mirror.keyring}] " if mirror.keyring else ""
    (top / "sources.list").write_text(f"deb-src {signed}{mirror.uri} {suite} main\n")
    options = [
        "-o", f"Dir::State={top}/state",
        "-o", f"Dir::Cache={top}/cache",
        "-o", f"Dir::Etc::sourcelist={top}/sources.list",
        "-o", "Dir::Etc::sourceparts=-",

        # The _apt user cannot reach a cache in somebody's home.
        "-o", "APT::Sandbox::User=root",
        "-o", "Acquire::Languages=none",
        *_TIMEOUTS,
    ]  # fmt: skip
    with log.progress(f"ask Debian {suite}") as line:
        line.update("apt-get update")
        done = proc.run(["apt-get", *options, "update"])
    errors = [x for x in done.error_text.splitlines() if x.startswith(("E: ", "W: Failed"))]
    return options, errors[0].partition(": ")[2] if errors else ""


def _origs(shown: proc.Completed) -> Iterator[_Orig]:
    """Yield the upstream tarballs that `apt-cache showsrc` lists."""
    for stanza in shown.text.split("\n\n"):
        folder = re.search(r"^Directory: (\S+)$", stanza, re.MULTILINE)
        for line in stanza.splitlines():
            match = _ORIG.match(line)
            if match and folder:
                yield _Orig(**match.groupdict(), folder=folder[1])


def _download(orig: _Orig, mirror: _Mirror, source: str, folder: Path) -> Tarball | Miss:
    path = folder / orig.name
    url = f"{mirror.uri.rstrip('/')}/{orig.folder}/{orig.name}"
    argv = [
        str(_HELPER),
        "-o", "APT::Sandbox::User=root",
        *_TIMEOUTS,
        "download-file", url, str(path), f"SHA256:{orig.sha256}",
    ]  # fmt: skip
    with log.progress(f"download {orig.name}") as line:
        # apt goes on where a partial file ends, if the mirror can.
        done = proc.run(argv, on_tick=lambda: line.update(_size(path)))
    if done.returncode != 0 or digest_of_file(path) != orig.sha256:
        path.with_name(f"{path.name}.FAILED").unlink(missing_ok=True)
        words = [x for x in done.error_text.splitlines() if x.startswith("E: ")]
        return Miss(source=source, answer=(words or ["the download failed"])[0], is_no=False)
    origin = f"{source.lower()} {orig.name} sha256:{orig.sha256}"
    return Tarball(path=path, source=origin, sha256=orig.sha256)


def _size(path: Path) -> str:
    try:
        return f"{path.stat().st_size >> 20} MiB"
    except FileNotFoundError:
        return "connecting"
