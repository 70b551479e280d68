"""Takes mails as bytes, gives their parts: who, when, why, and the diff byte for byte.

Does for a patch mail what `git mailsplit` and `git mailinfo` do, without starting them.
"""

import re
from typing import Protocol

import msgspec

from harness.errors import UsageError

MOST = 64 << 20
"""The bytes of the largest file or mail that is read: the largest series have a fifth of it."""

# Bounded, since a line may be made to be gone over for ever.
_SEPARATOR = re.compile(rb"^From \S.{0,400}?\d\d:\d\d.{0,80}? \d{4}.{0,80}\n", re.MULTILINE)
# Characters of a header's value.
_LONGEST = 4000
_HEADER = re.compile(rb"[!-9;-~]+:")
# A header block that says none of this needs no decoding.
_ENCODED = re.compile(
    rb"=\?"
    rb"|^content-transfer-encoding:[ \t]*(?!7bit|8bit|binary)"
    rb"|^content-type:[ \t]*(?!text/plain)"
    rb"|charset=\"?(?!utf-8|us-ascii)",
    re.IGNORECASE | re.MULTILINE,
)
_FOLD = re.compile(r"\n[ \t]+")
# Where git takes a mail's text to end and its patch to begin.
_PATCH_START = re.compile(rb"^(?:diff -|Index: |---[ \t]*$|--- \S)", re.MULTILINE)
# git format-patch --base writes it below the patch, b4 at the end of the cover letter.
_BASE_COMMIT = re.compile(rb"^base-commit: ([0-9a-f]{12,40})\s*$", re.MULTILINE)
_IN_BODY = re.compile(r">?(From|Subject|Date): *(.*)")
_TAGS = re.compile(r"\s*((?:\[[^\]]*\]\s*)+)")
_REPLY = re.compile(r"\s*(?:re|aw|fwd?)\s*:", re.IGNORECASE)
_VERSION = re.compile(r"(?:^|PATCH)v(\d+)$", re.IGNORECASE)
_OF = re.compile(r"(\d+)/(\d+)$")
_AUTHOR = re.compile(r'\s*"?(.*?)"?\s*<([^<>]*)>')
_DATE = re.compile(
    r"(?:0?[1-9]|[12]\d|3[01]) (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) "
    r"(?:19[7-9]|20\d)\d [012]\d:[0-5]\d(?::[0-6]\d)? [+-]\d{4}"
)


class Stream(Protocol):
    """What bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`."""


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """What `[PATCH v2 3/4]` says; `number` and `total` are None where it says no n/m."""

    version: int = 1
    number: int | None = None
    total: int | None = None
    is_patch: bool = False
    is_reply: bool = False


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail, decoded. `diff` is empty if there is none; `origin` is where it came from.

    `base_commit` is what its `base-commit:` line says, `message_id` is without its brackets; both
    are empty where it has none.
    """

    tag: Tag
    subject: str
    author: str
    date: str
    message: str
    diff: bytes
    origin: str
    message_id: str = ""
    base_commit: str = ""


def read_all(stream: Stream, where: str) -> bytes:
    """Return all of a stream of mails or patches; `where` names it in messages.

    Raises:
        UsageError: there is more than `MOST`, of which no more than that is held.
    """
    data = stream.read(MOST + 1)
    if len(data) > MOST:
        raise UsageError(
            f"{where}: more than {MOST >> 20} MiB, expected patches",
            hint="a thread's large attachments are no part of a series: leave them out",
        )
    return data


def split_mbox(data: bytes) -> list[bytes]:
    """Return the mails of an mbox, or `data` as the only one if it is none."""
    starts = [match.start() for match in _SEPARATOR.finditer(data)]
    if not starts or data[: starts[0]].strip():
        starts.insert(0, 0)
    ends = [*starts[1:], len(data)]
    return [mail for a, b in zip(starts, ends, strict=True) if (mail := data[a:b]).strip()]


def is_mail(data: bytes) -> bool:
    """Whether `data` begins as a mail or an mbox does."""
    return bool(_SEPARATOR.match(data) or _HEADER.match(data))


def read_mail(raw: bytes, origin: str) -> Mail:
    """Return the parts of a mail, or of a bare patch with no header at all.

    `origin` is where it came from, for messages.
    """
    raw = _without_cr(_SEPARATOR.sub(b"", raw, count=1) if raw.startswith(b"From ") else raw)
    headers: dict[str, str] = {}
    body = raw
    if _HEADER.match(raw):
        headers, body = _split_plain(raw) or _split_encoded(raw)
    start = _PATCH_START.search(body)
    text = (body[: start.start()] if start else body).decode(errors="replace")
    mail = Mail(
        tag=_tag(headers.get("subject", "")),
        subject=_clean_subject(headers.get("subject", "")),
        author=_author(headers.get("from", "")),
        date=_date(headers.get("date", "")),
        message=text,
        diff=body[start.start() :] if start else b"",
        origin=origin,
        message_id=headers.get("message-id", "").strip("<> "),
        base_commit=base[1].decode() if (base := _BASE_COMMIT.search(body)) else "",
    )
    return _with_in_body_headers(mail)


def _without_cr(data: bytes) -> bytes:
    """Undo CRLF if every line ends so: then it is the transport's, not the file's."""
    if b"\r\n" in data and data.count(b"\r\n") == data.count(b"\n"):
        return data.replace(b"\r\n", b"\n")
    return data


def _split_plain(raw: bytes) -> tuple[dict[str, str], bytes] | None:
    """Return headers and body if nothing in them is encoded, as `git format-patch` writes it.

    The same as `_split_encoded`, without the tenth of a second that `email` costs a cold start.
    """
    head, _, body = raw.partition(b"\n\n")
    if _ENCODED.search(head):
        return None
    headers: dict[str, str] = {}
    for line in _FOLD.sub(" ", head.decode(errors="replace")).split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.lower(), value.strip()[:_LONGEST])
    return headers, body


def _split_encoded(raw: bytes) -> tuple[dict[str, str], bytes]:
    from email import message_from_bytes  # noqa: PLC0415 - slow, and most patches are plain
    from email.header import decode_header, make_header  # noqa: PLC0415

    mail = message_from_bytes(raw)
    headers: dict[str, str] = {}
    for name, value in mail.items():
        try:
            text = str(make_header(decode_header(value)))
        except (LookupError, ValueError):
            text = str(value)
        headers.setdefault(name.lower(), re.sub(r"\s*\n\s*", " ", text[:_LONGEST]).strip())
    texts = [part for part in mail.walk() if part.get_content_maintype() == "text"]
    body = b""
    for part in texts:
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            body += _text_in_utf8(_without_cr(payload), part.get_content_charset("utf-8"))
    return headers, body


def _text_in_utf8(body: bytes, charset: str) -> bytes:
    """Return `body` with its text in UTF-8; the patch keeps its bytes, whatever they mean."""
    start = _PATCH_START.search(body)
    at = start.start() if start else len(body)
    try:
        text = body[:at].decode(charset)
    except (LookupError, ValueError):
        text = body[:at].decode("latin-1")
    return text.encode() + body[at:]


def _tag(subject: str) -> Tag:
    reply = _REPLY.match(subject)
    match = _TAGS.match(subject, reply.end() if reply else 0)
    words = re.findall(r"[^\s\[\],]+", match[1]) if match else []
    version = next((int(m[1]) for word in words if (m := _VERSION.search(word))), 1)
    of = next((m for word in words if (m := _OF.search(word))), None)
    return Tag(
        version=version,
        number=int(of[1]) if of else None,
        total=int(of[2]) if of else None,
        is_patch=bool(of) or any("PATCH" in word.upper() for word in words),
        is_reply=bool(reply),
    )


def _author(value: str) -> str:
    """Return `Name <address>` however the header puts it; empty if there is none."""
    match = _AUTHOR.match(value)
    if match:
        return f"{match[1]} <{match[2]}>".strip()
    address, _, comment = value.partition("(")
    if not address.strip():
        return ""
    return f"{comment.rstrip(') ')} <{address.strip()}>".strip()


def _date(value: str) -> str:
    """Return a date that git reads the same everywhere; empty if the mail has none."""
    value = re.sub(r"\s+", " ", value).replace(" GMT", " +0000").replace(" UTC", " +0000")
    match = _DATE.search(value)
    return match[0] if match else ""


def _with_in_body_headers(mail: Mail) -> Mail:
    """Let `From:`, `Subject:`, `Date:` that open the text stand for the mail's own."""
    lines = mail.message.lstrip("\n").split("\n")
    while lines and (match := _IN_BODY.match(lines[0])):
        name, value = match.groups()
        if name == "From":
            mail = msgspec.structs.replace(mail, author=_author(value))
        elif name == "Date":
            mail = msgspec.structs.replace(mail, date=_date(value))
        else:
            mail = msgspec.structs.replace(mail, subject=_clean_subject(value))
        lines.pop(0)
    return msgspec.structs.replace(mail, message=_strip_space("\n".join(lines)))


def _strip_space(text: str) -> str:
    """Return `text` as `git stripspace` leaves it."""
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip("\n")


def _clean_subject(subject: str) -> str:
    match = _TAGS.match(subject)
    return re.sub(r"\s+", " ", subject[match.end() :] if match else subject).strip()
