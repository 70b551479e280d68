"""What the store keeps of a kernel: filled from an O= folder, and read back."""

import json
import mmap
import re
import shutil
from pathlib import Path

import msgspec

from harness import compiled, complaints, proc, products, sandbox
from harness.arch import Arch
from harness.job import CompilerWarning, Kernel

_LINE = 4096


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What kernel.json holds."""

    release: str
    banner: str
    sandbox: str
    warnings: tuple[CompilerWarning, ...]


def load(folder: Path, arch: Arch, target: str) -> Kernel:
    """Return the kernel that a store entry holds."""
    facts = msgspec.json.decode((folder / "kernel.json").read_bytes(), type=_Facts)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    return Kernel(
        arch=arch.name,
        release=facts.release,
        banner=facts.banner,
        image=folder / target,
        digest=manifest["files"][target],
        built=True,
        sandbox=facts.sandbox,
        config=folder / "config",
        log=folder / "build.log",
        warnings=facts.warnings,
        sources=folder / "sources.txt",
    )


def fill(folder: Path, *, out: Path, source: Path, log_path: Path) -> None:
    """Copy what is kept beside the image: copies, since make rewrites its own files in place.

    Raises:
        Breach: what the build has made is not what a kernel's build makes.
    """
    shutil.copyfile(products.take(out, "System.map"), folder / "System.map")
    shutil.copyfile(log_path, folder / "build.log")
    release = products.take(out, "include/config/kernel.release", most=_LINE)
    facts = _Facts(
        release=release.read_text(errors="replace").strip(),
        banner=_banner(products.take(out, "vmlinux")),
        sandbox=sandbox.kind(),
        warnings=complaints.of(out),
    )
    (folder / "kernel.json").write_bytes(msgspec.json.encode(facts))
    sources = compiled.sources(out, source)
    (folder / "sources.txt").write_text("".join(f"{name}\n" for name in sources))


def _banner(vmlinux: Path) -> str:
    """Return the image's `Linux version …` line, which the kernel prints first."""
    with vmlinux.open("rb") as stream:
        if not vmlinux.stat().st_size:
            raise proc.Breach("made vmlinux empty")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            match = re.search(rb"Linux version [^\n\0]{1,400}\n", data)
            if not match:
                raise proc.Breach("made a vmlinux that has no version banner")
            return match[0].decode(errors="replace").rstrip("\n")
