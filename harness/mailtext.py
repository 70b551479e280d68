"""Makes the text of a mail that a person reads, changes and sends. Pure: the tool sends no mail."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from email.message import EmailMessage
from email.policy import SMTPUTF8

# No line of a mail may be longer (RFC 5322).
_LINE_MAX = 900
_PROSE = 72
_PERSON = re.compile(r"([^<>]*)<([\w.+=~-]+@[\w.-]+)>")
_BARE = re.compile(r"[\w.+=~-]+@[\w.-]+")
_POLICY = SMTPUTF8.clone(linesep="\n", max_line_length=None)


def compose(
    lines: Iterable[str],
    *,
    subject: str,
    to: str = "",
    cc: Sequence[str] = (),
    message_id: str | None = None,
) -> bytes:
    """Return a mail of these lines; `message_id` is of the mail that it replies to."""
    message = EmailMessage(policy=_POLICY)
    parent = f"<{message_id.strip('<>')}>".replace(" ", "") if message_id else ""
    copies = ", ".join(filter(None, map(_address, cc)))
    for name, value in (
        ("To", _address(to)), ("Cc", copies), ("Subject", subject),
        ("In-Reply-To", parent), ("References", parent),
    ):  # fmt: skip
        if value:
            # A word that another would decode may hold lines of its own.
            message[name] = " ".join(value.replace("=?", "= ?").split())
    message.set_content("\n".join(line[:_LINE_MAX] for line in lines) + "\n", cte="8bit")
    return message.as_bytes()


def _address(text: str) -> str:
    """Return `Name <address>` quoted as a header wants it; empty if there is no address in it."""
    match = _PERSON.fullmatch(" ".join(text.split()))
    if match is None:
        return text if _BARE.fullmatch(text) else ""
    name = match[1].strip().strip('"').replace("\\", "").replace('"', "")
    plain = re.fullmatch(r"[\w .'-]*", name) and not name.startswith(".")
    quoted = name if plain and "." not in name else f'"{name}"'
    return f"{quoted} <{match[2]}>" if name else f"<{match[2]}>"


def prose(text: str) -> list[str]:
    """Return a sentence in lines as wide as a mail's, with no word broken."""
    return textwrap.wrap(text, _PROSE, break_long_words=False, break_on_hyphens=False)
