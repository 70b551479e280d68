"""Takes the patches of a series, and refuses those that reach outside the tree they are for.

It reads the headers of a diff as `git apply` does, and nothing but the headers: what stands in
a hunk is content, whatever it looks like.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from harness.errors import UsageError
from harness.job import Patch

_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_MODE = re.compile(rb"(?:(?:new|deleted) file|new|old) mode (\d{6})$")
_INDEX = re.compile(rb"index [0-9a-f]+\.\.[0-9a-f]+ (\d{6})$")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)")
_ESCAPED = {
    b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v",
}  # fmt: skip
_SYMLINK, _SUBMODULE = b"120000", b"160000"
_NULL = b"/dev/null"
# header -> whether its path has a first component (a/ or b/) to take off
_HEADERS = {
    b"--- ": True,
    b"+++ ": True,
    b"rename from ": False,
    b"rename to ": False,
    b"rename old ": False,
    b"rename new ": False,
    b"copy from ": False,
    b"copy to ": False,
}


@dataclass(slots=True)
class _File:
    """What a diff says of one file. `added` are the lines it adds, for a symlink only."""

    names: list[bytes] = field(default_factory=list)
    modes: set[bytes] = field(default_factory=set)
    added: list[bytes] = field(default_factory=list)
    is_binary: bool = False
    has_hunk: bool = False


def check_paths(patches: Iterable[Patch]) -> None:
    """Check every path in every patch, in order.

    Raises:
        UsageError: a path is absolute, leaves the tree, is git's own, goes through a symlink
            that the series makes, or is a submodule; the message names patch and path.
    """
    links: set[bytes] = set()
    for patch in patches:
        for file in _files(patch.diff):
            why = _fault(file, links)
            if why:
                name = file.names[0].decode(errors="backslashreplace")
                raise UsageError(
                    f"{patch.origin}: patch {patch.number} ({patch.subject}): "
                    f"the path {name!r} {why}",
                    hint="a series may only change files inside the kernel tree",
                )
            if _SYMLINK in file.modes:
                links.update(file.names)


def touched(diff: bytes) -> tuple[str, ...]:
    """Return the paths a diff names, in order, each once."""
    names = (name for file in _files(diff) for name in file.names)
    return tuple(dict.fromkeys(name.decode(errors="surrogateescape") for name in names))


def has_diff(text: bytes) -> bool:
    """Whether `text` holds something that `git apply` would apply."""
    return any(file.names for file in _files(text))


def _fault(file: _File, links: set[bytes]) -> str | None:
    for name in list(file.names):
        why = _name_fault(name)
        if not why and any(_is_below(name, link) for link in links):
            why = "goes through a symlink that an earlier patch made"
        if why:
            file.names = [name]
            return why
    if _SUBMODULE in file.modes:
        return "is a submodule, which a kernel tree has none of"
    if _SYMLINK in file.modes and file.names:
        return _link_fault(file)
    return None


def _is_below(name: bytes, link: bytes) -> bool:
    return name.startswith(link + b"/")


def _name_fault(name: bytes) -> str | None:
    if b"\0" in name:
        return "has a NUL in it"
    if name.startswith(b"/"):
        return "is absolute"
    # What a file system that folds case, or cuts names short, takes for them counts too.
    parts = [part.lower().rstrip(b" .") if part != b".." else part for part in name.split(b"/")]
    if b".." in parts:
        return "leaves the tree through '..'"
    if any(part.partition(b":")[0] in (b".git", b"git~1") for part in parts):
        return "is inside a .git folder"
    return None


def _link_fault(file: _File) -> str | None:
    if file.is_binary:
        return "is a symlink whose target cannot be read"
    target = b"\n".join(file.added)
    if target.startswith(b"/"):
        return f"is a symlink to the absolute path {target.decode(errors='replace')!r}"
    top = posixpath.normpath(posixpath.join(posixpath.dirname(file.names[-1]), target))
    if top == b".." or top.startswith(b"../"):
        return f"is a symlink that leaves the tree, to {target.decode(errors='replace')!r}"
    return None


def _files(diff: bytes) -> Iterator[_File]:
    """Yield what a diff says of each file, from its headers."""
    file = _File()
    old_left = new_left = 0
    for line in diff.split(b"\n"):
        if old_left > 0 or new_left > 0:
            kind = line[:1]
            old_left -= kind in (b"-", b" ", b"")
            new_left -= kind in (b"+", b" ", b"")
            if kind == b"+" and _SYMLINK in file.modes:
                file.added.append(line[1:])
            continue
        hunk = _HUNK.match(line)
        if hunk:
            old_left, new_left = (int(count) if count else 1 for count in hunk.groups())
            file.has_hunk = True
        elif line.startswith(b"diff --git ") or (file.has_hunk and line.startswith(b"--- ")):
            if file.names:
                yield file
            file = _File()
            _read_header(line, file)
        else:
            _read_header(line, file)
    if file.names:
        yield file


def _read_header(line: bytes, file: _File) -> None:
    if line.startswith(b"diff --git "):
        _add(file, _common_name(line[len(b"diff --git ") :]))
        return
    if line == b"GIT binary patch":
        file.is_binary = True
        return
    mode = _MODE.match(line) or _INDEX.match(line)
    if mode:
        file.modes.add(mode[1])
        return
    for header, has_prefix in _HEADERS.items():
        if line.startswith(header):
            _add(file, _path(line[len(header) :], has_prefix=has_prefix))


def _add(file: _File, name: bytes) -> None:
    if name and name not in file.names:
        file.names.append(name)


def _path(text: bytes, *, has_prefix: bool) -> bytes:
    """Return the path in a header; what follows a tab is a time."""
    name = _unquote(text) if text.startswith(b'"') else text.partition(b"\t")[0].rstrip(b"\r")
    if name == _NULL:
        return b""
    # An absolute path stays one: it is refused, not shortened.
    return _strip_prefix(name) if has_prefix else name


def _strip_prefix(name: bytes) -> bytes:
    head, slash, rest = name.partition(b"/")
    return rest if slash and head else name


def _common_name(text: bytes) -> bytes:
    """Return the name in `a/NAME b/NAME`; nothing if they differ: other headers name them."""
    if text.startswith(b'"'):
        return _strip_prefix(_unquote(text))
    half = len(text) // 2
    old, new = _strip_prefix(text[:half]), _strip_prefix(text[half + 1 :])
    return old if old == new else b""


def _unquote(text: bytes) -> bytes:
    """Return the first C-quoted name in `text`."""
    match = re.match(rb'"((?:[^"\\]|\\.)*)"', text)
    if not match:
        return text

    def replace(escape: "re.Match[bytes]") -> bytes:
        code = escape[1]
        return bytes([int(code, 8) & 0xFF]) if code.isdigit() else _ESCAPED.get(code, code)

    return _ESCAPE.sub(replace, match[1])
