"""Takes headers for userspace, gives what a compiler says of each where it stands alone.

As `make headers` exports it, twice in one file, in C90 and in C++: what userspace may do with it.
"""

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from harness import blobs, filecheck, kselftest_build, proc, sandbox
from harness.errors import SubjectError
from harness.filecheck import Request, Said
from harness.job import CompilerWarning

_TOP = re.compile(r"(?:arch/(?P<arch>\w+)/)?include/uapi/(?P<name>.+\.h)")
_LANGUAGES = (("c", "c90"), ("c++", "c++98"))
_SAID = re.compile(
    r"(?P<file>[^\s:]+):(?P<line>\d+):(?:\d+:)? (?P<level>warning|(?:fatal )?error): "
    r"(?P<text>.*?)(?: \[(?P<flag>-W[^\]]+)\])?"
)
_NO_CXX = re.compile(r"cc1plus")
_KEPT = 8


def wants(file: str) -> bool:
    """Whether a file is a header for userspace."""
    return bool(_TOP.fullmatch(file))


def run(request: Request) -> Said:
    """Return what is said of some headers; those of other architectures are left out."""
    files = [name for name in blobs.names(request.tree, request.files) if _exported(name, request)]
    if not files:
        return Said(version=request.toolchain.identity)
    maker = kselftest_build.Maker(
        tree=request.tree, arch=request.arch, toolchain=request.toolchain, store=request.store,
        limits=request.limits,
    )  # fmt: skip
    try:
        headers = kselftest_build.headers(maker)
    except SubjectError as error:
        return Said(why_not=error.message)
    inputs = {
        "headers": headers.parent.name,
        "toolchain": request.toolchain.identity,
        "files": "\n".join(files),
    }
    return filecheck.once("uapi", inputs, request.store, lambda: _run(request, files, headers))


def _exported(file: str, request: Request) -> str:
    """Return what userspace calls a header; "" if it is not this architecture's."""
    match = _TOP.fullmatch(file)
    is_ours = match and match["arch"] in (None, request.arch.srcarch)
    return match["name"] if match and is_ours else ""


def _run(request: Request, files: Iterable[str], headers: Path) -> Said:
    found: list[CompilerWarning] = []
    languages = dict(_LANGUAGES)
    with tempfile.TemporaryDirectory(prefix="harness-") as name:
        for file in files:
            if not (headers / _exported(file, request)).is_file():
                # Its Kbuild keeps it from userspace.
                continue
            for language, standard in list(languages.items()):
                text = _compile(
                    request, _exported(file, request), headers, (language, standard), name
                )
                if _NO_CXX.search(text):
                    del languages[language]
                    continue
                said = _parsed(text, headers, request)
                found += _unsaid(said, found)
    return Said(
        warnings=tuple(found),
        version=f"{request.toolchain.identity}, {' and '.join(languages.values())}",
    )


def _compile(
    request: Request, name: str, headers: Path, language: tuple[str, str], folder: str
) -> str:
    done = sandbox.run(
        [
            proc.which(request.toolchain.compiler), "-fsyntax-only", "-Wall", "-Wundef",
            f"-std={language[1]}", "-I", str(headers),
            "-include", f"{headers}/{name}", "-include", f"{headers}/{name}",
            "-x", language[0], "/dev/null",
        ],
        read=[headers], write=[Path(folder)], limits=request.limits,
    )  # fmt: skip
    return done.error_text


def _parsed(text: str, headers: Path, request: Request) -> list[CompilerWarning]:
    lines = text.replace(f"{headers}/", "").splitlines()
    sources: dict[str, tuple[str, list[str]]] = {}
    found = []
    for number, line in enumerate(lines):
        match = _SAID.fullmatch(line)
        if not match:
            continue
        exported = headers / match["file"]
        shown = ""
        if exported.is_file():
            shown = exported.read_text(errors="replace").splitlines()[int(match["line"]) - 1]
        if match["file"] not in sources:
            sources[match["file"]] = _source(match["file"], request)
        path, source = sources[match["file"]]
        found.append(
            CompilerWarning(
                file=path, flag=match["flag"] or "error", message=match["text"], function="",
                # `make headers` leaves lines out.
                line=source.index(shown) + 1 if source.count(shown) == 1 else 0,
                text=(line, *_block(lines[number + 1 :])),
            )
        )  # fmt: skip
    return found


def _source(name: str, request: Request) -> tuple[str, list[str]]:
    """Return the path in the tree of an exported header, and its lines."""
    for top in (f"arch/{request.arch.srcarch}/include/uapi", "include/uapi"):
        data = blobs.read(request.tree, f"{top}/{name}")
        if data is not None:
            return f"{top}/{name}", data.decode(errors="replace").splitlines()
    return name, []


def _block(lines: list[str]) -> list[str]:
    end = next((n for n, line in enumerate(lines) if not line.startswith(" ")), len(lines))
    return lines[: min(end, _KEPT)]


def _unsaid(
    said: Iterable[CompilerWarning], known: Iterable[CompilerWarning]
) -> list[CompilerWarning]:
    keys = {each.key for each in known}
    return [each for each in said if each.key not in keys]
