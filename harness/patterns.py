"""Takes regular expressions as text, compiles each at its first use, joins many to one. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

# A clean console needs hardly any of them.
compiled = cache(re.compile)

Replacements = Sequence[tuple[str, str]]
_NAMED_GROUP = re.compile(r"\(\?P<\w+>")
_TOKEN = re.compile(r"\\.|\(\?:|[()|]|\[(?:\\.|[^\\\]])*\]|.")


def replace(table: Replacements, text: str) -> str:
    """Apply each (expression, replacement) to `text`, in order."""
    for source, into in table:
        text = compiled(source).sub(into, text)
    return text


def any_of(sources: Iterable[str]) -> str:
    """Return one expression, without groups, for what any of `sources` matches a line with.

    Sorted by first sign, which none may repeat: nearly all lines are done with after one look
    at theirs.
    """
    by_sign: dict[str, list[str]] = {}
    for source in sources:
        for branch in _branches(_NAMED_GROUP.sub("(?:", source)):
            first = _TOKEN.match(branch)
            sign = first[0] if first else ""
            by_sign.setdefault(sign, []).append(branch[len(sign) :])
    groups = (f"{sign}(?:{'|'.join(rests)})" for sign, rests in by_sign.items())
    return f"(?m:(?=[{''.join(map(_in_set, by_sign))}])(?:{'|'.join(groups)}))"


def _in_set(token: str) -> str:
    """Return what stands for a token that matches one sign, within brackets."""
    return token[1:-1] if token.startswith("[") else re.escape(token.removeprefix("\\"))


def _branches(source: str) -> Iterator[str]:
    """Yield the alternatives of an expression, those in a group at its very beginning too."""
    for branch in _split(source):
        if not branch.startswith("(?:"):
            yield branch
            continue
        end = _close(branch)
        inner, rest = branch[3:end], branch[end + 1 :]
        if rest.startswith("?"):
            yield from _branches(rest[1:])
            rest = rest[1:]
        for head in _split(inner):
            yield from _branches(head + rest)


def _split(source: str) -> list[str]:
    """Return the alternatives at the top of an expression."""
    found: list[str] = []
    depth = begin = 0
    for token in _TOKEN.finditer(source):
        depth += token[0].startswith("(") - (token[0] == ")")
        if token[0] == "|" and depth == 0:
            found.append(source[begin : token.start()])
            begin = token.end()
    return [*found, source[begin:]]


def _close(source: str) -> int:
    """Return where the group that `source` begins with is closed."""
    depth = 0
    for token in _TOKEN.finditer(source):
        depth += token[0].startswith("(") - (token[0] == ")")
        if depth == 0:
            return token.start()
    raise ValueError(source)
