"""A stand-in for the world outside, for tests: kernel.org on loopback, a Debian mirror in a folder.

Both are real: HTTP with ranges, and an apt repository with a signed index.
"""

import hashlib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

FILES = {
    "Makefile": b"# SPDX-License-Identifier: GPL-2.0-only\nVERSION = 6\nPATCHLEVEL = 18\n",
    "Kconfig": b'mainmenu "tiny"\n',
    "empty": b"",
    "fs/namespace.c": b"".join(b"line %d\n" % n for n in range(1, 41)),
    "fs/latin.c": b"/* gr\xfc\xdfe */\r\n",
    "fs.c": b"sorts before fs/ by bytes, and after it as git sorts\n",
    "scripts/run.sh": b"#!/bin/sh\n",
    ".gitattributes": b"*.c text eol=crlf ident\n",
    "d" * 90 + "/" + "n" * 120 + ".c": b"a path too long for a plain tar header\n",
}


def make_tarball(path: Path, top: str = "linux-6.18.5", files: dict[str, bytes] = FILES) -> Path:
    """Write a kernel tarball, compressed as its suffix says, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, f"w:{path.suffix[1:]}") as tar:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size, member.mode = len(data), 0o775 if name.endswith(".sh") else 0o664
            tar.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo(f"{top}/fs/link.c")
        link.type, link.linkname = tarfile.SYMTYPE, "../fs.c"
        tar.addfile(link)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass
class KernelOrg:
    """The server: `files` by URL path; `cut_after` breaks that many bytes into a tarball, once."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut_after: int | None = None
    has_ranges: bool = True
    asked: list[str] = field(default_factory=list)

    def add(self, tarball: Path, version: str, *, sum_: str | None = None) -> None:
        self.files[f"/v6.x/linux-{version}.tar.xz"] = tarball.read_bytes()
        line = f"{sum_ or sha256(tarball)}  linux-{version}.tar.xz\n"
        sums = self.files.setdefault("/v6.x/sha256sums.asc", b"")
        self.files["/v6.x/sha256sums.asc"] = sums + line.encode()


@contextmanager
def serve() -> Iterator[KernelOrg]:
    """Yield a kernel.org that listens on loopback."""
    org = KernelOrg()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            org.asked.append(f"{self.path} {wanted}".strip())
            data = org.files.get(self.path)
            if data is None:
                self.send_error(404)
                return
            start = int(wanted[len("bytes=") : -1]) if wanted and org.has_ranges else 0
            if start and start >= len(data):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            end = len(data)
            if org.cut_after is not None and self.path.endswith(".xz"):
                end, org.cut_after = start + org.cut_after, None
            self.wfile.write(data[start:end])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    org.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield org
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_mirror(folder: Path, tarball: Path, version: str, *, debs: Sequence[Path] = ()) -> Path:
    """Make a signed apt repository that has `tarball` in sid; return an apt.conf that uses it.

    It has the binary packages `debs` too.
    Set APT_CONFIG to what is returned: then it is the only repository of this machine. Beside it
    are `key.gpg` and `sums.asc`, kernel.org's list of sums signed with that key.
    """
    pool = folder / "repo" / "pool" / "main" / "l" / "linux"
    pool.mkdir(parents=True)
    orig = pool / f"linux_{version}.orig.tar.xz"
    orig.write_bytes(tarball.read_bytes())
    dist = folder / "repo" / "dists" / "sid"
    sources = dist / "main" / "source" / "Sources"
    sources.parent.mkdir(parents=True)
    sources.write_text(
        f"Package: linux\nVersion: {version}-1\nBinary: linux-doc\nFormat: 3.0 (quilt)\n"
        f"Files:\n {'0' * 32} {orig.stat().st_size} {orig.name}\n"
        f"Checksums-Sha256:\n {sha256(orig)} {orig.stat().st_size} {orig.name}\n"
        "Directory: pool/main/l/linux\n"
    )
    packages = dist / "main" / "binary-amd64" / "Packages"
    packages.parent.mkdir(parents=True)
    packages.write_text("\n".join(_stanza(deb, folder / "repo") for deb in debs))
    release = dist / "Release"
    release.write_text(
        "Origin: Debian\nSuite: unstable\nCodename: sid\nComponents: main\nArchitectures: amd64\n"
        "Date: Mon, 12 Jan 2026 12:00:00 UTC\n"
        f"SHA256:\n {sha256(sources)} {sources.stat().st_size} main/source/Sources\n"
        f" {sha256(packages)} {packages.stat().st_size} main/binary-amd64/Packages\n"
    )
    # gpg-agent's socket does not fit into a long path.
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:
        gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", ""]
        run = [*gpg, "--quick-generate-key", "tester@harness.invalid", "rsa2048"]
        subprocess.run(run, check=True, capture_output=True)
        key = folder / "key.gpg"
        subprocess.run([*gpg, "--export", "--output", key], check=True, capture_output=True)
        run = [*gpg, "--clearsign", "--output", str(dist / "InRelease"), str(release)]
        subprocess.run(run, check=True, capture_output=True)
        run = [*gpg, "--clearsign", "--output", str(folder / "sums.asc")]
        sums = f"{sha256(orig)}  linux-{version}.tar.xz\n".encode()
        subprocess.run(run, input=sums, check=True, capture_output=True)
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)
    entry = folder / "sources.list"
    entry.write_text(f"deb [signed-by={key}] file:{folder}/repo sid main\n")
    state = folder / "state"
    (state / "lists" / "partial").mkdir(parents=True)
    config = folder / "apt.conf"
    config.write_text(
        f'Dir::Etc::sourcelist "{entry}";\nDir::Etc::sourceparts "-";\nDir::State "{state}";\n'
    )
    return config


def _stanza(deb: Path, repo: Path) -> str:
    """Put a package into the pool, and say of it what an index does."""
    pool = repo / "pool" / "main" / "l" / "linux" / deb.name
    pool.write_bytes(deb.read_bytes())
    run = ["dpkg-deb", "--field", str(deb)]
    control = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    return (
        f"{control}Filename: {pool.relative_to(repo)}\n"
        f"Size: {pool.stat().st_size}\nSHA256: {sha256(pool)}\n"
    )
