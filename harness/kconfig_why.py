"""Takes Kconfig definitions and a .config, says why a symbol is not what was asked for.

Whether it is, the kernel's own `conf` has decided.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from harness.kconfig_language import Definition, Language

_TOKEN = re.compile(
    r'\$\([^()]*(?:\([^()]*\)[^()]*)*\)|"[^"]*"|&&|\|\||!=|<=|>=|[!=<>()]|[^\s!=<>()&|]+'
)
_RANK = {"n": 0, "m": 1, "y": 2}
_MACRO = re.compile(r"\$\(")


# --- conditions -----------------------------------------------------------------------------


def evaluate(expression: str, values: Mapping[str, str]) -> int:
    """Return 0, 1 or 2 (n, m, y) for a condition; a macro, which only make can ask, counts as y."""
    return _Condition(_TOKEN.findall(expression), values).disjunction()


class _Condition:
    """Recursive descent over the words of one condition."""

    def __init__(self, words: list[str], values: Mapping[str, str]) -> None:
        self._words = words
        self._values = values

    def disjunction(self) -> int:
        value = self._conjunction()
        while self._accept("||"):
            value = max(value, self._conjunction())
        return value

    def _conjunction(self) -> int:
        value = self._term()
        while self._accept("&&"):
            value = min(value, self._term())
        return value

    def _term(self) -> int:
        if self._accept("!"):
            return 2 - self._term()
        if self._accept("("):
            value = self.disjunction()
            self._accept(")")
            return value
        word = self._take()
        if self._words and self._words[0] in _COMPARE:
            compare = _COMPARE[self._take()]
            holds = compare(_text(word, self._values), _text(self._take(), self._values))
            return 2 if holds else 0
        return 2 if _MACRO.match(word) else _RANK.get(_text(word, self._values), 0)

    def _take(self) -> str:
        return self._words.pop(0) if self._words else ""

    def _accept(self, word: str) -> bool:
        if self._words and self._words[0] == word:
            self._words.pop(0)
            return True
        return False


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return 0


_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: _number(left) < _number(right),
    "<=": lambda left, right: _number(left) <= _number(right),
    ">": lambda left, right: _number(left) > _number(right),
    ">=": lambda left, right: _number(left) >= _number(right),
}


def _text(word: str, values: Mapping[str, str]) -> str:
    if word.startswith('"') or word in _RANK or word.isdigit():
        return word.strip('"')
    return values.get(word, "n").strip('"')


def _conjuncts(expression: str) -> list[str]:
    """Split at the top-level `&&`; an expression with a top-level `||` is one part."""
    words = _TOKEN.findall(expression)
    if "||" in _top_level(words):
        return [expression]
    parts: list[list[str]] = [[]]
    for word, level in _with_depth(words):
        if word == "&&" and level == 0:
            parts.append([])
        else:
            parts[-1].append(word)
    return [" ".join(part).replace("! ", "!") for part in parts]


def _top_level(words: list[str]) -> list[str]:
    return [word for word, level in _with_depth(words) if level == 0]


def _with_depth(words: list[str]) -> Iterator[tuple[str, int]]:
    level = 0
    for word in words:
        level += {"(": 1, ")": -1}.get(word, 0)
        yield word, level


def _unmet(conditions: Iterable[str], values: Mapping[str, str]) -> list[str]:
    """Return each failing part of the conditions, with the values of the symbols in it."""
    found = []
    for condition in conditions:
        for part in _conjuncts(condition):
            if evaluate(part, values) == 0:
                names = [t for t in _TOKEN.findall(part) if re.fullmatch(r"[A-Z0-9_]*[A-Z]\w*", t)]
                state = ", ".join(f"{name} is {values.get(name, 'n')}" for name in names)
                found.append(f"{part} ({state})" if state else part)
    return list(dict.fromkeys(found))


# --- explaining -----------------------------------------------------------------------------


def explain(name: str, wanted: str, values: Mapping[str, str], language: Language) -> str:
    """Say in one phrase why `name` is not `wanted` in the .config `values`."""
    definitions = language.symbols.get(name)
    if not definitions:
        near = difflib.get_close_matches(name, language.symbols, n=3, cutoff=0.7)
        likely = f"; near names: {', '.join(near)}" if near else ""
        return f"no such symbol in this tree{likely}"
    got = values.get(name, "n")
    if wanted == "n":
        return _why_set(name, got, definitions, values, language)
    rival = _rival(definitions, name, values, language)
    reasons = [_why_not(definition, values) for definition in definitions]
    if rival:
        return f"its choice is taken by {rival}"
    # One definition whose conditions hold is enough, so that one is the story.
    reason = min(reasons, key=len)
    if reason:
        return reason
    if not any(definition.prompt is not None for definition in definitions):
        return _only_selected(name, language)
    return f"Kconfig made it {got}: out of its range, or not of its type ({definitions[0].kind})"


def _why_not(definition: Definition, values: Mapping[str, str]) -> str:
    unmet = _unmet(definition.depends, values)
    if unmet:
        return f"depends on {'; '.join(unmet)}"
    if definition.prompt and evaluate(definition.prompt, values) == 0:
        return f"can be set only if {'; '.join(_unmet([definition.prompt], values))}"
    return ""


def _why_set(
    name: str,
    got: str,
    definitions: list[Definition],
    values: Mapping[str, str],
    language: Language,
) -> str:
    selectors = [
        selector
        for selector, condition in language.selected_by.get(name, [])
        if values.get(selector, "n") != "n" and (not condition or evaluate(condition, values))
    ]
    if selectors:
        return f"it is {got}, selected by {', '.join(sorted(set(selectors)))}"
    for definition in definitions:
        if definition.prompt and evaluate(definition.prompt, values) == 0:
            needed = "; ".join(_unmet([definition.prompt], values))
            return f"it is {got} by default, and can be unset only if {needed}"
    if definitions[0].choice is not None:
        return f"it is {got}: its choice needs one member set"
    return f"it is {got} by default, and has no prompt to unset it"


def _only_selected(name: str, language: Language) -> str:
    selectors = sorted({selector for selector, _ in language.selected_by.get(name, [])})
    shown = ", ".join(selectors[:4]) + (", …" if len(selectors) > 4 else "")  # noqa: PLR2004
    by = f"; {shown} select it" if selectors else ""
    return f"it has no prompt, so it cannot be asked for{by}"


def _rival(
    definitions: list[Definition], name: str, values: Mapping[str, str], language: Language
) -> str | None:
    for definition in definitions:
        if definition.choice is None or _unmet(definition.depends, values):
            continue
        for other in language.choices[definition.choice]:
            if other != name and values.get(other) == "y":
                return other
    return None
