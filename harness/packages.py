"""Takes the name of a Debian package, gives the .deb files that make up its kernel, verified.

The suites that are asked need not be enabled on this machine. apt checks the signature of each
index, and what is downloaded is held to the sum that the index gives.
"""

import difflib
import re
import time
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from harness import apt, log, notes, proc
from harness.arch import Arch
from harness.errors import HarnessError, HostError, UsageError
from harness.lock import Lock
from harness.store import Store, digest_of

PREFIX = "deb:"
# In which suites, besides the machine's own, kernels are looked for.
_SUITES = ("bookworm-backports", "trixie", *apt.NEWEST)
_SECURITY_SUITES = ("bookworm-security", "trixie-security")
# A kernel's package has its version in its name, so an index of yesterday is as good as today's.
_FRESH_S = 86400.0
_WORD = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?:=(?P<version>[\w.+~:-]+))?")
# Debian splits a kernel: from 6.19 on linux-image depends on linux-binary, which has the image,
# and on linux-base, which has the .config. `linux-base` itself is something else.
_PARTS = re.compile(r"\b(?P<name>linux-(?:image|binary|base)-[a-z0-9][a-z0-9+.-]*)")
_EXACT = re.compile(r"\(= (?P<version>[^)]+)\)")
_URI = re.compile(
    r"^'(?P<url>[^']+)' (?P<name>\S+) \d+ SHA256:(?P<sha256>[0-9a-f]{64})$", re.MULTILINE
)
_FIELD = re.compile(r"^(\S+): (.*)$", re.MULTILINE)


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A .deb in the store, and the sum that a signed index gives for it."""

    name: str
    path: Path
    sha256: str


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """Where a .deb is, and the sum that a signed index gives for it."""

    url: str
    name: str
    sha256: str


class _Stanza(msgspec.Struct, frozen=True, kw_only=True):
    """What the index says of a package."""

    name: str
    version: str
    parts: tuple[str, ...]
    """Other packages of the same kernel that it depends on, as NAME or NAME=VERSION."""


def fetch(word: str, arch: Arch, store: Store) -> tuple[Package, ...]:
    """Return the package `NAME` or `NAME=VERSION`, and those its kernel is split into.

    Raises:
        UsageError: no suite has it; the hint gives the nearest there are.
        HostError: the mirror cannot be asked, or the download fails.
    """
    match = _WORD.fullmatch(word)
    if match is None:
        raise UsageError(
            f"--kernel {PREFIX}{word}: not a package",
            hint="expected deb:PACKAGE or deb:PACKAGE=VERSION",
        )
    top = store.root / "apt" / f"packages-{arch.debian}"
    note = top / "answers" / f"{digest_of(word.encode())[:16]}.json"
    files = _noted(note, word)
    if not files:
        lock = Lock(top.with_name(f"{top.name}.lock"))
        lock.acquire(what="it asks Debian for a package")
        try:
            files = _ask(match["name"], match["version"], _Index(top, arch))
        finally:
            lock.release()
        notes.write(note, word, {"files": msgspec.json.encode(files).decode()})
    try:
        return tuple(_download(file, store) for file in files)
    except HostError:
        # The mirror may have moved on: it is asked anew the next time.
        note.unlink(missing_ok=True)
        raise


def names(pattern: str, arch: Arch, store: Store) -> list[str]:
    """Return the packages whose names a pattern of the shell's matches, those of symbols left out.

    Raises:
        HostError: the mirror cannot be asked.
    """
    top = store.root / "apt" / f"packages-{arch.debian}"
    lock = Lock(top.with_name(f"{top.name}.lock"))
    lock.acquire(what="it asks Debian for a package")
    try:
        found = _Index(top, arch).cache("pkgnames", "linux-image-").splitlines()
    finally:
        lock.release()
    return sorted(
        name for name in found if fnmatchcase(name, pattern) and not name.endswith("-dbg")
    )


def _noted(path: Path, word: str) -> list[_File]:
    """Return the answer of an earlier run, if it is not too old."""
    known = notes.read(path, word) if _is_fresh(path) else None
    try:
        return msgspec.json.decode(known["files"], type=list[_File]) if known else []
    except (KeyError, msgspec.DecodeError):
        return []


def _is_fresh(path: Path) -> bool:
    try:
        # What is of the future was written before the clock was set back: nobody knows when.
        return 0 <= time.time() - path.stat().st_mtime < _FRESH_S
    except FileNotFoundError:
        return False


class _Index:
    """The packages of all suites that are asked, refreshed once a day."""

    def __init__(self, top: Path, arch: Arch) -> None:
        if not apt.is_here():
            raise HostError(
                "this machine has no apt to find a package with",
                hint="download the package by other means, and give --kernel its file",
            )
        sources = "".join(_sources())
        if not sources:
            raise HostError("apt on this machine has no Debian mirror configured")
        self.options = apt.prepare(top, sources, debian_arch=arch.debian)
        self.failures: list[str] = []
        self._stamp = top / f"asked-{digest_of(sources.encode())[:8]}"
        self._is_new = False
        if not _is_fresh(self._stamp):
            self.refresh()

    def refresh(self) -> bool:
        """Ask the mirror; return False if that was done just now."""
        if self._is_new:
            return False
        self.failures = apt.update(self.options, "Debian's mirror for packages")
        self._is_new = True
        if all(apt.is_no_suite(failure) for failure in self.failures):
            self._stamp.touch()
        return True

    def show(self, words: Iterable[str], *, all_versions: bool = False) -> list[_Stanza]:
        """Return what there is of each NAME (apt's choice, or all versions) or NAME=VERSION."""
        which = "--all-versions" if all_versions else "--no-all-versions"
        done = self.cache(which, "show", *words)
        fields = [dict(_FIELD.findall(stanza)) for stanza in done.split("\n\n") if stanza]
        return [
            _Stanza(name=f["Package"], version=f["Version"], parts=tuple(_parts(f))) for f in fields
        ]

    def cache(self, *arguments: str) -> str:
        """Return what apt-cache prints, nothing if it found nothing."""
        return proc.run(["apt-cache", *self.options, *arguments]).text


def _sources() -> Iterable[str]:
    for mirror in apt.mirrors():
        more = _SECURITY_SUITES if mirror.is_security else _SUITES
        for suite in dict.fromkeys((*mirror.suites, *more)):
            yield mirror.line("deb", suite)


def _parts(fields: dict[str, str]) -> Iterable[str]:
    for clause in fields.get("Depends", "").split(", "):
        name, version = _PARTS.match(clause), _EXACT.search(clause)
        if name:
            yield f"{name['name']}={version['version']}" if version else name["name"]


def _ask(name: str, version: str | None, index: _Index) -> list[_File]:
    word = f"{name}={version}" if version else name
    stanzas = _closure(index, word)
    if not stanzas and index.refresh():
        stanzas = _closure(index, word)
    if not stanzas:
        raise _not_found(index, name, version)
    words = [f"{stanza.name}={stanza.version}" for stanza in stanzas]
    done = proc.check(["apt-get", *index.options, "-qq", "--print-uris", "download", *words])
    return [_File(**match.groupdict()) for match in _URI.finditer(done.text)]


def _closure(index: _Index, word: str) -> list[_Stanza]:
    """Return the package and all parts of its kernel."""
    found: dict[str, _Stanza] = {}
    wanted = [word]
    while wanted:
        stanzas = index.show(wanted)
        found |= {stanza.name: stanza for stanza in stanzas}
        parts = dict.fromkeys(part for stanza in stanzas for part in stanza.parts)
        wanted = [part for part in parts if part.partition("=")[0] not in found]
    return list(found.values())


def _not_found(index: _Index, name: str, version: str | None) -> HarnessError:
    word = f"{PREFIX}{name}" + (f"={version}" if version else "")
    broken = [failure for failure in index.failures if not apt.is_no_suite(failure)]
    if broken:
        return HostError(f"--kernel {word}: cannot ask the mirror: {broken[0]}")
    versions = [stanza.version for stanza in index.show([name], all_versions=True)]
    if versions:
        return UsageError(
            f"--kernel {word}: no suite has this version of it",
            hint=f"there is {', '.join(dict.fromkeys(versions))}",
        )
    lines = index.cache("search", "--names-only", "^linux-(image|binary)-").splitlines()
    names = [line.partition(" - ")[0] for line in lines]
    near = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
    return UsageError(
        f"--kernel {word}: no suite has this package",
        hint=f"the nearest are {', '.join(near)}" if near else None,
    )


def _download(file: _File, store: Store) -> Package:
    def make(folder: Path) -> None:
        failure = apt.download(file.url, folder / file.name, file.sha256)
        if failure:
            raise HostError(f"cannot download {file.name}: {failure}", hint="run it again")

    entry = store.get_or_make("package", {"sha256": file.sha256}, make)
    log.note(f"package {file.name} sha256:{file.sha256}")
    return Package(name=file.name, path=next(entry.path.glob("*.deb")), sha256=file.sha256)
