"""Takes the files that a patch touches and a kernel, gives those that the kernel is not made of.

And what would make it so: the symbols that kbuild's Makefiles ask for, from the file's own up to
the top of the tree.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from harness import blobs
from harness.check_result import Uncompiled
from harness.job import Kernel, Tree

_CODE = frozenset({".c", ".S", ".rs", ".h", ".dts", ".dtsi"})
# Not the kernel's, whatever is compiled.
_ELSEWHERE = ("Documentation/", "tools/", "samples/", "scripts/", "usr/")
_RULE = re.compile(
    r"^(?P<to>[\w.-]+?)-(?:\$\((?P<symbol>CONFIG_\w+)\)|y|m|objs)\s*[:+]?=\s*(?P<what>.*)$",
    re.MULTILINE,
)
_MANY = 3


def code_of(files: Iterable[str]) -> list[str]:
    """Return those of some files that a kernel can be made of."""
    return [
        name for name in files
        if PurePosixPath(name).suffix in _CODE and not name.startswith(_ELSEWHERE)
    ]  # fmt: skip


def of(files: Sequence[str], tree: Tree, kernel: Kernel) -> list[Uncompiled]:
    """Return the code among `files` that the kernel of `tree` was not compiled from.

    Nothing, if what it was compiled from is not known.
    """
    sources = frozenset(kernel.sources.read_text().splitlines()) if kernel.sources else frozenset()
    if not sources:
        return []
    missing = [name for name in code_of(files) if name not in sources]
    config = kernel.config.read_text().splitlines() if kernel.config else []
    is_set = {line.partition("=")[0] for line in config if line.startswith("CONFIG_")}
    return [
        Uncompiled(file=name, symbols=[s for s in _symbols(tree, name) if s not in is_set])
        for name in missing
        if blobs.read(tree, name) is not None
    ]


def _symbols(tree: Tree, name: str) -> list[str]:
    """Return the symbols that the file and the folders above it are compiled for."""
    path = PurePosixPath(name)
    if path.suffix == ".h":
        return []
    found: dict[str, None] = {}
    what = f"{path.stem}.o"
    for folder in path.parents:
        if str(folder) == "." or len(found) >= _MANY:
            break
        data = blobs.read(tree, f"{folder}/Makefile") or blobs.read(tree, f"{folder}/Kbuild") or b""
        found.update(dict.fromkeys(_rules(data.decode(errors="replace"), what)))
        what = f"{folder.name}/"
    return list(found)


def _rules(text: str, what: str) -> list[str]:
    """Return the symbols that a Makefile makes `what` for, an object or a folder."""
    joined = re.sub(r"\\\n", " ", text)
    found: list[str] = []
    for match in _RULE.finditer(joined):
        if what not in match["what"].split():
            continue
        if match["symbol"]:
            found.append(match["symbol"])
        if match["to"] not in ("obj", "lib", "core", "subdir"):
            # A part of something that is made for a symbol itself.
            found += _rules(joined, f"{match['to']}.o") if f"{match['to']}.o" != what else []
    return found
