"""Takes kernel command lines as text, gives their parameters as the kernel tells them apart.

Pure. Composing a command line is `cmdline`'s work.
"""

import re

_WORD = re.compile(r'(?:[^\s"]|"[^"]*"?)+')


def words(cmdline: str) -> tuple[str, ...]:
    """Split at spaces outside double quotes. An unclosed quote goes on to the end."""
    return tuple(_WORD.findall(cmdline))


def parameters(cmdline: str) -> tuple[str, ...]:
    """Return the words that are the kernel's: what follows `--` is init's, not looked at."""
    found = words(cmdline)
    ends = [at for at, word in enumerate(found) if _unquoted(word) == "--"]
    return found[: ends[0]] if ends else found


def normal(word: str) -> str:
    """Return a parameter in one form: in a name a dash is an underscore, in a value it is not."""
    name, equals, value = word.partition("=")
    return name.replace("-", "_") + equals + value


def name_of(word: str) -> str:
    """Return a parameter's name as it is written, without value and quotes."""
    text = _unquoted(word)
    # A parameter that begins with `=` has a name that does.
    return text[:1] + text[1:].partition("=")[0]


def _unquoted(word: str) -> str:
    """Return a word without the quotes around all of it; the last may be missing."""
    return word[1:].removesuffix('"') if word.startswith('"') else word
