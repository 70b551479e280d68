"""Takes documents of a tree, gives what docutils says of their structure, without Sphinx."""

import json
import tempfile
from importlib import metadata
from pathlib import Path

from harness import blobs, filecheck, paths, sandbox
from harness.filecheck import Request, Said
from harness.job import CompilerWarning
from harness.store import digest_of

_READER = paths.PACKAGE_DIR / "rst_reader.py"
_NAMES = paths.PACKAGE_DIR / "data" / "sphinx.toml"


def wants(file: str) -> bool:
    """Whether a file is a document of the kernel's."""
    return file.startswith("Documentation/") and file.endswith(".rst")


def run(request: Request) -> Said:
    """Return what is said of the structure of some documents."""
    files = blobs.names(request.tree, request.files)
    version = f"docutils {metadata.version('docutils')}"
    inputs = {
        "reader": digest_of(_READER.read_bytes() + _NAMES.read_bytes()),
        "docutils": version,
        "files": filecheck.digest(files),
    }
    return filecheck.once("rst", inputs, request.store, lambda: _run(request, files, version))


def _run(request: Request, files: dict[str, str], version: str) -> Said:
    with tempfile.TemporaryDirectory(prefix="harness-") as name:
        folder = Path(name)
        blobs.export(request.tree, files, folder)
        done = sandbox.run(
            [*filecheck.PYTHON, "-I", str(_READER), *files],
            read=[_READER, _NAMES, *filecheck.PYTHON_PARTS],
            write=[folder],
            limits=request.limits,
        )
    if done.returncode != 0:
        return Said(why_not=f"docutils fails: {done.error_text.rpartition(chr(10))[2]}")
    rows = [json.loads(line) for line in done.text.splitlines()]
    return Said(
        warnings=tuple(
            CompilerWarning(
                file=file, flag="rst", message=message, function="", line=line,
                text=(f"{file}:{line}: {message}",),
            )
            for file, line, message in rows
        ),
        version=version,
    )  # fmt: skip
