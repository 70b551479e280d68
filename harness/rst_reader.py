"""Reads reStructuredText files with docutils and prints what is wrong with them, as JSON.

A program of its own, for the sandbox: it imports nothing of the tool. What the kernel's
documentation has from Sphinx is known by name and read as text, so that only the structure
counts. Each line that is printed is `[file, line, message]`.
"""

import json
import re
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import docutils.frontend
import docutils.nodes
import docutils.parsers.rst
import docutils.readers.standalone
import docutils.utils
from docutils.parsers.rst import Directive, directives, roles
from docutils.parsers.rst.states import Inliner

_NAMES = Path(__file__).parent / "data" / "sphinx.toml"
_WARNING = 2
# It prints nothing of its own, and reads nothing but the file.
_SETTINGS = {
    "report_level": 5, "halt_level": 5, "file_insertion_enabled": False, "raw_enabled": False,
    "syntax_highlight": "none", "line_length_limit": 1_000_000,
    "docinfo_xform": False,
}  # fmt: skip
# They may be defined in what is included.
_ELSEWHERE = re.compile(r"Undefined substitution referenced|Unknown target name")
# No fault, for Sphinx; or one that is there only since something is not read.
_NONE = re.compile(r"Duplicate |Indirect hyperlink target |Transition at the ")


class _Options(dict[str, Callable[[str | None], str | None]]):
    """Any option there is."""

    def __bool__(self) -> bool:
        return True

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> Callable[[str | None], str | None]:
        return lambda value: value


class _Unread(Directive):
    """A directive whose content is none of the document's."""

    optional_arguments: ClassVar[int] = 1
    final_argument_whitespace: ClassVar[bool] = True
    option_spec: ClassVar[dict[str, Any]] = _Options()
    has_content: ClassVar[bool] = True

    def run(self) -> list[docutils.nodes.Node]:
        return []


class _Read(_Unread):
    """A directive whose content is read as what is around it."""

    def run(self) -> list[docutils.nodes.Node]:
        node = docutils.nodes.container()
        self.state.nested_parse(self.content, self.content_offset, node, match_titles=True)
        return [node]


def _role(
    _name: str,
    rawtext: str,
    text: str,
    _line: int,
    _inliner: Inliner,
    _options: Mapping[str, Any] | None = None,
    _content: Sequence[str] = (),
) -> tuple[Sequence[Any], Sequence[Any]]:
    return [docutils.nodes.literal(rawtext, text)], []


def _register() -> None:
    names = tomllib.loads(_NAMES.read_text())
    for name in names["read"]:
        directives.register_directive(name, _Read)
    for name in names["unread"]:
        directives.register_directive(name, _Unread)
    for name in names["roles"]:
        roles.register_local_role(name, _role)


def _problems(path: str) -> list[tuple[int, str]]:
    """Return (line, message) of all that docutils warns of."""
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    is_whole = ".. include::" not in text
    found: list[tuple[int, str]] = []

    def note(message: docutils.nodes.system_message) -> None:
        said = docutils.nodes.Element.astext(message).partition("\n")[0]
        is_fault = not _NONE.match(said) and (is_whole or not _ELSEWHERE.match(said))
        if message["level"] >= _WARNING and is_fault:
            found.append((int(message.get("line") or 0), said))

    parser = docutils.parsers.rst.Parser()
    reader: docutils.readers.standalone.Reader[str] = docutils.readers.standalone.Reader()
    settings = docutils.frontend.get_default_settings(parser, reader)
    vars(settings).update(_SETTINGS)
    document = docutils.utils.new_document(path, settings)
    document.reporter.attach_observer(note)
    parser.parse(text, document)
    # Whether what is referred to is there shows only now.
    document.transformer.populate_from_components((reader, parser))
    document.transformer.apply_transforms()
    return found


def main(paths: list[str]) -> None:
    """Print the problems of some files."""
    _register()
    for path in paths:
        for line, message in _problems(path):
            sys.stdout.write(json.dumps([path, line, message]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
