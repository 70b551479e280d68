"""Mails that a person sends: what strangers wrote stays in its place."""

import email
from email.policy import default

import pytest

from harness import mailtext


@pytest.mark.parametrize(
    ("person", "to"),
    [
        ("A. B. Hacker <a@harness.invalid>", "a@harness.invalid"),
        ("Doe, John <j@harness.invalid>", "j@harness.invalid"),
        (". <dot@harness.invalid>", "dot@harness.invalid"),
        ("g: x; <g@harness.invalid>", "g@harness.invalid"),
        ("Иван <i@harness.invalid>", "i@harness.invalid"),
        ("x <a@[>", None),
        ("nobody", None),
        ("=?utf-8?q?=0ABcc:_evil=40harness.invalid?= <e@harness.invalid>", "e@harness.invalid"),
    ],
)
def test_an_odd_name_is_one_addressee_or_none(person: str, to: str | None) -> None:
    made = mailtext.compose(["words"], subject="s", to=person, cc=[person])
    read = email.message_from_bytes(made, policy=default)
    for name in ("To", "Cc"):
        found = [each.addr_spec for each in read[name].addresses] if read[name] else []
        assert found == ([to] if to else [])
    assert "Bcc" not in read


def test_a_subject_begins_no_header_and_no_body() -> None:
    made = mailtext.compose(["words"], subject="=?utf-8?q?=0ABcc:_evil=40x.org=0A=0A?= fs: hi")
    read = email.message_from_bytes(made, policy=default)
    assert read.keys()[0] == "Subject"
    assert "Bcc" not in read
    assert read["Subject"].endswith(" fs: hi")
    assert read.get_content() == "words\n"
