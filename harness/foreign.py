"""Takes what --kernel says, gives the `Kernel`.

That is an image, a compressed one, a package that holds one, or the name of such a package.
"""

import re
from pathlib import Path

import msgspec

from harness import image, log, needs, packages, unpack
from harness.arch import Arch
from harness.errors import UsageError
from harness.job import Kernel
from harness.store import Store

_TITLE = re.compile(r"^# Linux/\S+ (\S+) Kernel Configuration$", re.MULTILINE)


class _Image(msgspec.Struct, frozen=True, kw_only=True):
    """A file that may be a kernel, what errors call it, and its name in the package it is of."""

    shown: str
    path: Path
    member: str = ""


def split(word: str) -> tuple[str, str]:
    """Return (FILE, MEMBER) of `FILE` or `FILE:MEMBER`; MEMBER is "" where none is given."""
    parts = word.split(":")
    for count in range(len(parts), 0, -1):
        file = ":".join(parts[:count])
        if _is_file(file):
            return file, ":".join(parts[count:])
    return word, ""


def absolute(word: str) -> str:
    """Return the word with its file's path made absolute, so that the job runs from anywhere."""
    if word.startswith(packages.PREFIX):
        return word
    file, member = split(word)
    return f"{Path(file).absolute()}{':' if member else ''}{member}"


def check(word: str) -> None:
    """Check what can be checked without fetching or reading anything.

    Raises:
        UsageError: it names no file.
    """
    if not word.startswith(packages.PREFIX) and not _is_file(split(word)[0]):
        raise UsageError(f"--kernel {word}: there is no such file")


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # a name too long for any file
        return False


def find(word: str, arch: Arch, store: Store) -> Kernel:
    """Return the kernel that `word` names: FILE, FILE:MEMBER or deb:PACKAGE[=VERSION].

    Its `config` is that of the package or of the folder, if there is one of the same release;
    `lacks` are the symbols of data/lacks.toml that this .config does not have built in.

    Raises:
        UsageError: there is no such file or package, or not exactly one kernel for `arch` in it.
        HostError: a package cannot be fetched, or a program that unpacks it is missing.
    """
    if word.startswith(packages.PREFIX):
        found = packages.fetch(word.removeprefix(packages.PREFIX), arch, store)
        given = [_Image(shown=package.name, path=package.path) for package in found]
        member = ""
    else:
        file, member = split(word)
        given = [_Image(shown=file, path=Path(file))]
    images = [each for one in given for each in _unpacked(one, store)]
    configs = [each.path for each in images if _is_config(each.path)]
    kernel = _choose(word, member, [each for each in images if not _is_config(each.path)], arch)
    config = _config_of(kernel, [*configs, *_beside(given[0].path)])
    lacks = needs.lacking(config, arch) if config else ()
    for each in lacks:
        say = log.warn if each.is_fatal else log.note
        say(f"{kernel.release} has no {each.symbol} built in: {each.means}")
    return msgspec.structs.replace(
        kernel, config=config, lacks=tuple(each.symbol for each in lacks)
    )


def _unpacked(given: _Image, store: Store) -> list[_Image]:
    """Return the images in a file, through all its layers; the file itself if it is not packed."""
    try:
        is_packed = given.path.is_file() and unpack.is_packed(given.path)
    except OSError as error:
        raise UsageError(f"--kernel {given.shown}: {error.strerror}") from error
    if not is_packed:
        return [given]
    found = unpack.contents(given.path, given.shown, store)
    return [
        each
        for name, path in found.items()
        for each in _unpacked(
            _Image(shown=f"{given.shown}:{name}", path=path, member=given.member or name), store
        )
    ]


def _choose(word: str, member: str, images: list[_Image], arch: Arch) -> Kernel:
    chosen = [each for each in images if _is_named(each, member)]
    if not chosen:
        what = f"no kernel image named {member}" if member else "no kernel image"
        names = ", ".join(each.member for each in images if each.member)
        raise UsageError(f"--kernel {word}: it holds {what}", hint=names and f"it holds {names}")
    kernels: dict[str, tuple[_Image, Kernel]] = {}
    refusals = []
    for each in chosen:
        try:
            kernel = image.inspect(each.path, arch, shown=each.shown)
            # The same image may be there under two names.
            kernels.setdefault(kernel.digest, (each, kernel))
        except UsageError as error:
            refusals.append(error)
    if not kernels:
        raise refusals[0]
    if len(kernels) > 1:
        names = ", ".join(each.member for each, _ in kernels.values())
        raise UsageError(
            f"--kernel {word}: it holds {len(kernels)} kernels: {names}",
            hint=f"choose one: --kernel {word}:{next(iter(kernels.values()))[0].member}",
        )
    return next(iter(kernels.values()))[1]


def _is_named(each: _Image, member: str) -> bool:
    return member in {"", each.member, Path(each.member).name}


def _is_config(path: Path) -> bool:
    return path.name.startswith("config")


def _beside(path: Path) -> list[Path]:
    """Return where the .config of an image in this folder would be, as distributions have it."""
    names = (path.name.replace("vmlinuz", "config").replace("vmlinux", "config"), "config")
    return [path.with_name(name) for name in names if name != path.name]


def _config_of(kernel: Kernel, candidates: list[Path]) -> Path | None:
    """Return the first .config that says it is of the kernel's version.

    Only major and minor are compared: a release need not have the third number, or has an ABI's.
    """
    for path in candidates:
        title = _TITLE.search(path.read_text(errors="replace")) if path.is_file() else None
        if title and image.version_of(title[1]) == image.version_of(kernel.release):
            return path
    return None
