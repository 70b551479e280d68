"""Makes the text of a mail that a person reads, changes and sends. Pure: the tool sends no mail."""

import textwrap
from collections.abc import Iterable, Sequence
from email.message import EmailMessage
from email.policy import SMTPUTF8

# No line of a mail may be longer (RFC 5322).
_LINE_MAX = 900
_PROSE = 72
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
    for name, value in (
        ("To", to), ("Cc", ", ".join(cc)), ("Subject", subject),
        ("In-Reply-To", parent), ("References", parent),
    ):  # fmt: skip
        if value:
            message[name] = " ".join(value.split())
    message.set_content("\n".join(line[:_LINE_MAX] for line in lines) + "\n", cte="8bit")
    return message.as_bytes()


def prose(text: str) -> list[str]:
    """Return a sentence in lines as wide as a mail's, with no word broken."""
    return textwrap.wrap(text, _PROSE, break_long_words=False, break_on_hyphens=False)
