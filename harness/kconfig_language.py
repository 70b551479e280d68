"""Takes a tree's Kconfig files, gives every symbol's definitions. It decides nothing.

It reads the language only as far as an explanation needs
(Documentation/kbuild/kconfig-language.rst).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_TYPES = ("bool", "tristate", "string", "int", "hex")
_STATEMENT = re.compile(r"(?P<word>[a-z_]+)\b\s*(?P<rest>.*)")


@dataclass(slots=True)
class Definition:
    """One `config` block. Conditions include those of the blocks around it."""

    where: str
    depends: list[str] = field(default_factory=list)
    prompt: str | None = None
    """The prompt's own condition; "" for an unconditional one, None for no prompt at all."""
    choice: int | None = None
    kind: str = "bool"


@dataclass(slots=True)
class Language:
    """All definitions by symbol, who selects whom (with the condition), and the choices."""

    symbols: dict[str, list[Definition]] = field(default_factory=dict)
    selected_by: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    choices: dict[int, list[str]] = field(default_factory=dict)


# --- reading --------------------------------------------------------------------------------


class _Reader:
    def __init__(self, source: Path, srcarch: str) -> None:
        self._source = source
        self._variables = {"SRCARCH": srcarch, "srctree": str(source)}
        self.language = Language()
        # One list of conditions per open `if`, `menu` or `choice`.
        self._around: list[list[str]] = []
        self._choices: list[int] = []
        self._symbol = ""
        self._definition: Definition | None = None

    def read(self, name: str) -> None:
        path = self._source / name
        if not path.is_file():
            return
        for number, line in _statements(path.read_text(errors="replace")):
            match = _STATEMENT.match(line)
            if match:
                self._statement(match["word"], match["rest"].strip(), f"{name}:{number}")

    def _statement(self, word: str, rest: str, where: str) -> None:
        if word in ("config", "menuconfig"):
            self._begin(rest, where)
        elif word in ("if", "menu", "choice"):
            self._open(word, rest)
        elif word in ("endif", "endmenu", "endchoice"):
            self._close(word)
        elif word in ("source", "rsource", "osource"):
            self._definition = None
            self.read(self._expand(rest.strip("\"'")))
        elif word in ("comment", "mainmenu"):
            # Its `depends on` says nothing of the symbols that follow.
            self._definition = Definition(where=where)
        else:
            self._attribute(word, rest)

    def _begin(self, symbol: str, where: str) -> None:
        self._symbol = symbol
        self._definition = Definition(
            where=where,
            depends=[condition for level in self._around for condition in level],
            choice=self._choices[-1] if self._choices else None,
        )
        self.language.symbols.setdefault(symbol, []).append(self._definition)
        if self._choices:
            self.language.choices[self._choices[-1]].append(symbol)

    def _open(self, word: str, rest: str) -> None:
        self._definition = None
        self._around.append([rest] if word == "if" else [])
        if word == "choice":
            number = len(self.language.choices)
            self.language.choices[number] = []
            self._choices.append(number)

    def _close(self, word: str) -> None:
        self._definition = None
        if self._around:
            self._around.pop()
        if word == "endchoice" and self._choices:
            self._choices.pop()

    def _attribute(self, word: str, rest: str) -> None:
        if word == "depends":
            condition = rest.removeprefix("on").strip()
            if self._definition:
                self._definition.depends.append(condition)
            elif self._around:
                self._around[-1].append(condition)
        elif self._definition is None:
            return
        elif word == "select":
            target, _, condition = rest.partition(" if ")
            self.language.selected_by.setdefault(target.strip(), []).append(
                (self._symbol, condition.strip())
            )
        elif word in _TYPES or word == "prompt":
            self._definition.kind = word if word in _TYPES else self._definition.kind
            prompt = re.match(r"""(["']).*?\1(?:\s+if\s+(?P<condition>.*))?""", rest)
            if prompt:
                self._definition.prompt = (prompt["condition"] or "").strip()

    def _expand(self, text: str) -> str:
        return re.sub(r"\$\((\w+)\)", lambda match: self._variables.get(match[1], ""), text)


def read(source: Path, srcarch: str) -> Language:
    """Read all Kconfig files of the tree `source` that the arch folder `srcarch` brings in."""
    reader = _Reader(source, srcarch)
    reader.read("Kconfig")
    return reader.language


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, statement) with continuations joined, comments and help texts out."""
    lines = iter(enumerate(text.splitlines(), 1))
    help_indent: int | None = None
    in_help = False
    for number, raw in lines:
        line = raw.expandtabs()
        stripped = line.strip()
        if in_help:
            if not stripped:
                continue
            indent = len(line) - len(line.lstrip())
            if help_indent is None:
                help_indent = indent
            if indent >= help_indent and indent > 0:
                continue
            in_help = False
        while stripped.endswith("\\"):
            _, following = next(lines, (0, ""))
            stripped = f"{stripped[:-1].rstrip()} {following.strip()}"
        if stripped in ("help", "---help---"):
            in_help, help_indent = True, None
        elif stripped and not stripped.startswith("#"):
            yield number, re.sub(r"\s+#\s.*$", "", stripped)
