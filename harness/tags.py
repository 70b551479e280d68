"""Takes a patch, gives what is wrong with the tags that end its message. Pure, but for `Fixes:`.

Documentation/process/submitting-patches.rst says what they should be.
"""

import re
from collections.abc import Callable

from harness.job import CompilerWarning, Patch

_TAG = re.compile(r"^(?P<name>[A-Z][A-Za-z-]+): *(?P<value>.*)$", re.MULTILINE)
_FIXES = re.compile(r'(?P<commit>[0-9a-f]{12,40}) \("(?P<subject>.+)"\)')
_ADDRESS = re.compile(r"<([^<>]+)>")
_URLS = frozenset({"Link", "Closes"})
_ONCE = frozenset({"Signed-off-by", "Reviewed-by", "Acked-by", "Tested-by", "Fixes"})

Subject = Callable[[str], str | None]
"""Takes a commit, gives its subject, or None if it is not known whether there is such a one."""


def run(patch: Patch, subject_of: Subject) -> list[CompilerWarning]:
    """Return what is wrong with the tags of a patch."""
    found = [(match["name"], match["value"].strip()) for match in _TAG.finditer(patch.message)]
    wrong = [words for name, value in found for words in _one(name, value, subject_of)]
    wrong += [
        f"{name}: {value}: it is there twice"
        for name, value in dict.fromkeys(found)
        if name in _ONCE and found.count((name, value)) > 1
    ]
    author = _ADDRESS.search(patch.author)
    signers = [value for name, value in found if name == "Signed-off-by"]
    if author and not any(author[1] in value for value in signers):
        wrong.append(f"no Signed-off-by of its author, {patch.author}")
    return [
        CompilerWarning(file="", flag="tags", message=words, function="", text=(words,))
        for words in wrong
    ]


def _one(name: str, value: str, subject_of: Subject) -> list[str]:
    if name in _URLS and not re.match(r"https?://\S+", value):
        return [f"{name}: {value}: expected a URL"]
    if name != "Fixes":
        return []
    match = _FIXES.fullmatch(value)
    if not match:
        return [f'Fixes: {value}: expected 12 or more hex digits and ("the subject")']
    subject = subject_of(match["commit"])
    if subject is not None and subject != match["subject"]:
        return [f"Fixes: {value}: the subject of that commit is {subject!r}"]
    return []
