"""Takes a kernel version, gives its tarball from kernel.org, held to the sums beside it."""

import os
import re
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from harness import log, proc
from harness.store import digest_of_file
from harness.tarball import Miss, Tarball

_NAME = "kernel.org"
_DEFAULT_BASE = "https://cdn.kernel.org/pub/linux/kernel"
# Release candidates are only here: packed on demand, without sums.
_SNAPSHOTS = "https://git.kernel.org/torvalds/t"
_SUM = re.compile(r"^(?P<sha256>[0-9a-f]{64})  linux-(?P<version>\S+)\.tar\.xz$", re.MULTILINE)
_TIMEOUT_S = 8.0
_CHUNK = 1 << 18
_MAX_SUMS = 8 << 20
# A download that breaks off goes on where it was, this often without a byte of progress.
_TRIES = 3
_OK, _PARTIAL, _NOT_FOUND, _RANGE = 200, 206, 404, 416


class _NetworkError(Exception):
    """The server could not be asked, broke off, or gave something else than it listed."""


class _NoSuchFileError(Exception):
    """The server answered that it has no such file."""


def fetch(version: str, folder: Path) -> Tarball | list[Miss]:
    """Download the tarball of `version` to `folder`, or say what kernel.org answered.

    HARNESS_KERNEL_ORG names a mirror (the folder that holds v6.x/), and
    HARNESS_KERNEL_ORG_KEYRING a keyring that gpgv is to check the signature of the sums with.
    """
    base = os.environ.get("HARNESS_KERNEL_ORG", _DEFAULT_BASE).rstrip("/")
    try:
        if "-rc" in version:
            return _candidate(version, folder)
        return _release(version, f"{base}/v{version.partition('.')[0]}.x", folder)
    except _NoSuchFileError:
        return [Miss(source=_NAME, answer="no such version", is_no=True)]
    except _NetworkError as error:
        return [Miss(source=_NAME, answer=str(error), is_no=False)]


def _release(version: str, url: str, folder: Path) -> Tarball | list[Miss]:
    sums_path = folder / "sha256sums.asc"
    with _get(f"{url}/sha256sums.asc") as response:
        sums_path.write_bytes(_read(response, _MAX_SUMS))
    text, proof = _signed_text(sums_path, url)
    sums = {match["version"]: match["sha256"] for match in _SUM.finditer(text)}
    if version not in sums:
        return [Miss(source=_NAME, answer="no such version", is_no=True, has=tuple(sums))]
    name = f"linux-{version}.tar.xz"
    path = _download(f"{url}/{name}", folder / name, sums[version])
    source = f"{_NAME} {name} sha256:{sums[version]} ({proof})"
    return Tarball(path=path, source=source, sha256=sums[version])


def _candidate(version: str, folder: Path) -> Tarball | list[Miss]:
    if "HARNESS_KERNEL_ORG" in os.environ:
        answer = "a mirror has no release candidates"
        return [Miss(source=_NAME, answer=answer, is_no=True)]
    name = f"linux-{version}.tar.gz"
    path = _download(f"{_SNAPSHOTS}/{name}", folder / name, None)
    sha256 = digest_of_file(path)
    source = f"git.kernel.org {name} sha256:{sha256} (over https; there are no sums for it)"
    return Tarball(path=path, source=source, sha256=sha256)


def _signed_text(sums: Path, url: str) -> tuple[str, str]:
    """Return the sums, and how they were proved: by a signature, or by the connection alone."""
    keyring = os.environ.get("HARNESS_KERNEL_ORG_KEYRING")
    if not keyring:
        proof = f"sums over {url.partition(':')[0]}, signature not checked"
        return sums.read_text(errors="replace"), proof
    gpgv = proc.which("gpgv", hint="gpgv checks HARNESS_KERNEL_ORG_KEYRING; install it")
    # Only what gpgv prints is signed: a file may hold more, before and after.
    done = proc.run([gpgv, "--keyring", keyring, "--output", "-", str(sums)])
    if done.returncode != 0:
        words = done.error_text.splitlines()
        raise _NetworkError(f"the signature of {url}/sha256sums.asc is bad: {words[-1]}")
    return done.text, "sums signed"


def _download(url: str, path: Path, sha256: str | None) -> Path:
    """Fetch `url` to `path`, which is there only once it is whole and has the right sum."""
    partial = path.with_name(f"{path.name}.part")
    tries_left = _TRIES
    with log.progress(f"download {path.name}") as line:
        while True:
            had = _size(partial)
            try:
                _continue(url, partial, line)
                break
            except _NetworkError:
                tries_left = _TRIES if _size(partial) > had else tries_left - 1
                if tries_left == 0:
                    raise
    found = digest_of_file(partial)
    if sha256 and found != sha256:
        partial.unlink()
        raise _NetworkError(f"{path.name} has sha256 {found}, the sums say {sha256}")
    return partial.rename(path)


def _continue(url: str, partial: Path, line: log.Progress) -> None:
    """Append to `partial` what it lacks of `url`."""
    start = _size(partial)
    with _get(url, start) as response:
        if response.status == _RANGE:
            return  # it was whole; the sum tells
        is_rest = response.status == _PARTIAL
        total = int(response.headers.get("Content-Length", 0)) + (start if is_rest else 0)
        with partial.open("ab" if is_rest else "wb") as file:
            while chunk := _read(response, _CHUNK):
                file.write(chunk)
                line.update(f"{file.tell() >> 20} of {total >> 20} MiB")
    if total and _size(partial) < total:
        raise _NetworkError(f"{url}: the connection broke at {_size(partial)} of {total} bytes")


def _get(url: str, start: int = 0) -> HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "harness"})  # noqa: S310
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response: HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == _NOT_FOUND:
            error.close()
            raise _NoSuchFileError(url) from error
        if error.code == _RANGE:
            return error  # type: ignore[return-value]  # it has what a response has
        error.close()
        raise _NetworkError(f"{url}: HTTP {error.code} {error.reason}") from error
    except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise _NetworkError(f"{url}: {getattr(reason, 'strerror', None) or reason}") from error
    return response


def _read(response: HTTPResponse, size: int) -> bytes:
    try:
        return response.read(size)
    except (HTTPException, OSError) as error:
        raise _NetworkError(f"{response.url}: {error or 'the connection broke'}") from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
