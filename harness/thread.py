"""Takes the mails of a thread, gives the patches of its newest version, in order and complete."""

import re
from collections.abc import Sequence

from harness import diffpaths, log
from harness.errors import UsageError
from harness.mail import Mail

_TRAILER = re.compile(r"[A-Z][A-Za-z-]+-by: .+|Link: .+|>.*|-- ?|\s*")


def choose(mails: Sequence[Mail], where: str) -> list[Mail]:
    """Return the patches among `mails`: no cover letter, no reply, no older version.

    `where` names the thread in messages.

    Raises:
        UsageError: there is no patch, one is missing, or two claim the same number.
    """
    letters = [mail for mail in mails if not mail.tag.is_reply]
    patches = [mail for mail in letters if is_patch(mail)]
    numbered = [mail for mail in patches if mail.tag.number is not None]
    if not patches:
        raise UsageError(
            f"{where}: no patch in it ({len(mails)} mails, none with a diff)",
            hint="`git format-patch --stdout BASE..TIP` or `b4 am MSGID` write what is expected",
        )
    if not numbered:
        return _newest([mail for mail in patches if mail.tag.is_patch] or patches)
    _note_dropped(patches, numbered)
    return _in_order(_newest(numbered), _newest(letters), where)


def is_patch(mail: Mail) -> bool:
    """Whether there is something to apply in it; a cover letter's diffstat is not."""
    return bool(mail.diff) and diffpaths.has_diff(mail.diff)


def _newest(mails: Sequence[Mail]) -> list[Mail]:
    newest = max(mail.tag.version for mail in mails)
    return [mail for mail in mails if mail.tag.version == newest]


def _note_dropped(patches: Sequence[Mail], numbered: Sequence[Mail]) -> None:
    for mail in patches:
        if mail not in numbered:
            log.note(f"{mail.origin}: not part of the series, since it has no n/m: {mail.subject}")


def _in_order(patches: Sequence[Mail], letters: Sequence[Mail], where: str) -> list[Mail]:
    by_number: dict[int, Mail] = {}
    for mail in patches:
        number = mail.tag.number or 0
        other = by_number.setdefault(number, mail)
        # The same mail twice is a thread's way; two that differ are no series.
        if other.diff.split() != mail.diff.split():
            raise UsageError(
                f"{where}: two patches are number {number}: "
                f"{other.origin} ({other.subject}) and {mail.origin} ({mail.subject})",
                hint="take one of them out, or give each series a file of its own",
            )
    totals = sorted({mail.tag.total or 0 for mail in patches})
    if len(totals) > 1:
        raise UsageError(
            f"{where}: it mixes series of {' and '.join(map(str, totals))} patches",
            hint="give each series a file of its own",
        )
    _check_gaps(by_number, totals[0], letters, where)
    return [by_number[number] for number in sorted(by_number)]


def _check_gaps(
    by_number: dict[int, Mail], total: int, letters: Sequence[Mail], where: str
) -> None:
    missing = [number for number in range(1, total + 1) if number not in by_number]
    if not missing:
        return
    for mail in letters:
        if mail.tag.number in missing and not _is_only_trailers(mail):
            raise no_diff(mail)
    raise UsageError(
        f"{where}: {missing_words(missing)} of {total} missing",
        hint=f"`:{missing[0] - 1}` takes the patches before it" if missing[0] > 1 else None,
    )


def no_diff(mail: Mail) -> UsageError:
    """Return the error for a patch mail that changes nothing."""
    return UsageError(
        f"{mail.origin}: no diff in this patch ({mail.subject})",
        hint="expected `diff --git a/FILE b/FILE` and hunks after the message",
    )


def missing_words(missing: Sequence[int]) -> str:
    """Return `patch 2 is` or `patches 2, 4 are`."""
    numbers = ", ".join(map(str, missing))
    return f"patch {numbers} is" if len(missing) == 1 else f"patches {numbers} are"


def _is_only_trailers(mail: Mail) -> bool:
    return all(_TRAILER.fullmatch(line) for line in mail.message.splitlines())
