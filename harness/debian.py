"""Takes a kernel version, gives its upstream tarball from a Debian mirror, held to apt's index."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness import apt, proc
from harness.store import digest_of
from harness.tarball import Miss, Tarball

_ORIG = re.compile(
    r"^ (?P<sha256>[0-9a-f]{64}) \d+ (?P<name>linux_(?P<version>.+)\.orig\.tar\.\w+)$"
)


class _Orig(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream tarball that an index lists."""

    version: str
    name: str
    sha256: str
    folder: str


def fetch(version: str, folder: Path) -> Tarball | list[Miss]:
    """Download the tarball of `version` to `folder`, or say what every suite answered."""
    if not apt.is_here():
        return [Miss(source="Debian", answer="this machine has no apt", is_no=False)]
    misses = []
    # A security mirror has no other suites.
    for mirror in (mirror for mirror in apt.mirrors() if not mirror.is_security):
        for suite in dict.fromkeys((*apt.NEWEST, *mirror.suites)):
            answer = _ask(version, mirror, suite, folder)
            if isinstance(answer, Tarball):
                return answer
            misses.append(answer)
    if not misses:
        why = "apt on this machine has no Debian mirror configured"
        return [Miss(source="Debian", answer=why, is_no=False)]
    return misses


def _ask(version: str, mirror: apt.Mirror, suite: str, folder: Path) -> Tarball | Miss:
    source = f"Debian {suite}"
    top = folder.parent / "apt" / f"{digest_of(mirror.uri.encode())[:8]}-{suite}"
    options = apt.prepare(top, mirror.line("deb-src", suite))
    failures = apt.update(options, source)
    listed = list(_origs(proc.run(["apt-cache", *options, "showsrc", "--only-source", "linux"])))
    # Debian writes 6.19~rc1, which sorts before 6.19.
    wanted = version.replace("-rc", "~rc")
    orig = next((orig for orig in listed if orig.version == wanted), None)
    if orig:
        return _download(orig, mirror, source, folder)
    if failures:
        return Miss(source=source, answer=failures[0], is_no=apt.is_no_suite(failures[0]))
    has = tuple(orig.version.replace("~", "-") for orig in listed)
    return Miss(source=source, answer="no such version", is_no=True, has=has)


def _origs(shown: proc.Completed) -> Iterator[_Orig]:
    """Yield the upstream tarballs that `apt-cache showsrc` lists."""
    for stanza in shown.text.split("\n\n"):
        folder = re.search(r"^Directory: (\S+)$", stanza, re.MULTILINE)
        for line in stanza.splitlines():
            match = _ORIG.match(line)
            if match and folder:
                yield _Orig(**match.groupdict(), folder=folder[1])


def _download(orig: _Orig, mirror: apt.Mirror, source: str, folder: Path) -> Tarball | Miss:
    path = folder / orig.name
    url = f"{mirror.uri.rstrip('/')}/{orig.folder}/{orig.name}"
    failure = apt.download(url, path, orig.sha256)
    if failure:
        return Miss(source=source, answer=failure, is_no=False)
    origin = f"{source.lower()} {orig.name} sha256:{orig.sha256}"
    return Tarball(path=path, source=origin, sha256=orig.sha256)
