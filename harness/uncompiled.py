"""Takes the files that a patch touches and a kernel, gives those that the kernel is not made of.

And what would make it so: the symbols that kbuild's Makefiles ask for, from the file's own up to
the top of the tree.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from harness import blobs
from harness.check_result import Uncompiled
from harness.job import Kernel, Tree

_CODE = frozenset({".c", ".S", ".rs", ".h", ".dts", ".dtsi"})
# Not the kernel's, whatever is compiled.
_ELSEWHERE = ("Documentation/", "tools/", "samples/", "scripts/", "usr/")
_RULE = re.compile(r"(?P<to>[\w.-]+?)-(?P<when>y|m|objs|\$\(.+?\)+)\s*[:+]?=\s*(?P<what>.*)")
_IF = re.compile(
    r"(?:ifdef\s+(?P<set>CONFIG_\w+)"
    r"|(?P<not>ifn?eq)\s*\(\s*\$\((?P<is>CONFIG_\w+)\)\s*,\s*(?P<value>y?)\s*\))"
)
_SYMBOL = re.compile(r"CONFIG_\w+")
_PREFIXED = re.compile(r"\$\(addprefix\s+([^,\s]+),([^)]*)\)")
# What a rule is for that makes no part of another.
_GOALS = frozenset({"obj", "lib", "core", "drivers", "libs", "net", "subdir", "dtb"})
_MANY = 3

_Needs = frozenset[str]
"""Symbols that are needed together."""


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
    is_set = frozenset(line.partition("=")[0] for line in config if line.startswith("CONFIG_"))
    return [
        Uncompiled(file=name, symbols=_symbols(tree, name, is_set))
        for name in missing
        if blobs.read(tree, name) is not None
    ]


def _symbols(tree: Tree, name: str, is_set: _Needs) -> list[str]:
    """Return the symbols to set for the file and the folders above it; none if that is not told."""
    path = inner = PurePosixPath(name)
    if path.suffix == ".h":
        return []
    found: dict[str, None] = {}
    has_rule = False
    for folder in path.parents:
        text = _makefile(tree, folder)
        own = _ways(text, str(path.relative_to(folder).with_suffix(".o")))
        has_rule = has_rule or bool(own)
        ways = own or _ways(text, f"{inner.relative_to(folder)}/")
        if ways:
            # Whichever lacks least would do.
            least = min((way - is_set for way in ways), key=len)
            found.update(dict.fromkeys(sorted(least)))
            inner = folder
    return list(found)[:_MANY] if has_rule else []


def _makefile(tree: Tree, folder: PurePosixPath) -> str:
    """Return what kbuild reads in a folder."""
    read = [blobs.read(tree, str(folder / name)) for name in ("Kbuild", "Makefile")]
    return "\n".join(data.decode(errors="replace") for data in read if data)


def _ways(text: str, what: str, above: tuple[str, ...] = ()) -> list[_Needs]:
    """Return what each rule for `what`, an object or a folder, needs."""
    found: list[_Needs] = []
    for to, needs, made in _rules(text):
        if what not in made:
            continue
        if to in _GOALS:
            found.append(needs)
        elif to not in above:
            # A part of something that has rules of its own.
            parts = (*above, to)
            whole = _ways(text, f"{to}.o", parts) + _ways(text, f"$({to}-y)", parts)
            found += [needs | each for each in whole]
    return found


def _rules(text: str) -> Iterator[tuple[str, _Needs, list[str]]]:
    """Yield each rule of a Makefile: what it is for, what it needs, and what it makes."""
    around: list[_Needs] = []
    whole = _PREFIXED.sub(
        lambda match: " ".join(f"{match[1]}{name}" for name in match[2].split()),
        text.replace("\\\n", " "),
    )
    for line in whole.splitlines():
        words = line.strip()
        if words.startswith("if"):
            match = _IF.match(words)
            # `ifneq (…,)` asks for it as `ifeq (…,y)` does.
            is_asked = match and (match["set"] or (match["not"] == "ifneq") != bool(match["value"]))
            symbol = match and (match["set"] or match["is"])
            around.append(frozenset([symbol]) if symbol and is_asked else frozenset())
        elif words.startswith("else") and around:
            around[-1] = frozenset()
        elif words.startswith("endif") and around:
            around.pop()
        elif rule := _RULE.match(words):
            needs = frozenset(_SYMBOL.findall(rule["when"]))
            yield rule["to"], needs.union(*around), rule["what"].partition("#")[0].split()
