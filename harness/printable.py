"""Makes what a patch, a compiler or a guest has said harmless to print: it is shown, not obeyed."""

import re
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import msgspec

# What a terminal obeys (all controls but newline and tab), what turns the direction of text
# around, and what cannot be encoded.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# What begins something else than text in Markdown: HTML first of all.
_MARKUP = re.compile(r"[\\`<&|\[\]]")

S = TypeVar("S", bound="msgspec.Struct")


def text(value: str) -> str:
    r"""Return `value` with each such character as `\x1b` or `\u202e`."""
    return _CONTROL.sub(_escape, value)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004 - a byte


def struct(value: S) -> S:
    """Return `value` with all its strings so, whatever its depth."""
    import msgspec  # noqa: PLC0415 - `--help` need not pay for it

    data = _clean(msgspec.json.decode(msgspec.json.encode(value)))
    return msgspec.json.decode(msgspec.json.encode(data), type=type(value))


def _clean(data: object) -> object:
    if isinstance(data, str):
        return text(data)
    if isinstance(data, dict):
        return {_clean(key): _clean(each) for key, each in data.items()}
    return [_clean(each) for each in data] if isinstance(data, list) else data


def prose(value: str) -> str:
    """Return `value` as a cell of a Markdown table, shown as it is."""
    return _MARKUP.sub(r"\\\g<0>", text(value).replace("\n", " "))


def code(value: str) -> str:
    """Return `value` as code in a cell of a Markdown table."""
    inner = text(value).replace("\n", " ").replace("`", "'").replace("|", "\\|")
    return f"`{inner}`"
