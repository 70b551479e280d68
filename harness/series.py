"""Takes what a user calls a series, gives its patches in order, checked before anything runs.

A folder, an mbox or maildir, stdin, a git range or a lore thread; `:N` takes its first N patches,
`:1-2,5` those.
"""

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from harness import diffpaths, mail, subset, thread
from harness.errors import HostError, UsageError
from harness.folder import Info, is_maildir, read_folder, read_maildir
from harness.job import Patch, Series
from harness.mail import Mail
from harness.store import digest_of

_CUT = re.compile(r"(?P<spec>.+):(?P<count>\d[\d,-]*)")
_RANGE = re.compile(r"(?P<old>[^./][^:]*?)\.\.(?P<new>[^./:][^:]*)?")
LORE = "HARNESS_LORE"
"""Names the public-inbox that threads come from, in place of lore.kernel.org's."""
_UNKNOWN = "unknown <unknown@invalid>"


def load(
    spec: str, *, search: Sequence[Path], stdin: BinaryIO | None = None, tree: Path | None = None
) -> Series:
    """Return the series that `spec` names.

    `spec` is `none`, a NAME (a folder in one of `search`, the first that has it), a folder, a
    file (mbox or patch), a maildir, `-` (`stdin`), `A..B` in the clone `tree`, or `lore:MSGID`;
    with `:N` after it, the first N patches: `:0` is what the series applies to. With `:N-M` or
    `:N,M` it is those patches, without what stands between them.

    Raises:
        UsageError: it is not there, is no series, has a gap, or reaches outside the tree.
        HostError: `lore:` without b4, or b4 failed.
    """
    whole = _read(spec, search, stdin, tree)
    if whole is not None:
        return whole
    match = _CUT.fullmatch(spec)
    whole = _read(match["spec"], search, stdin, tree) if match else None
    if match is None or whole is None:
        raise _not_found(spec, search)
    if not whole.patches:
        raise UsageError(f"--series {spec}: {whole.name} has no patches to take any of")
    return _take(whole, match["count"], spec)


def _take(whole: Series, words: str, spec: str) -> Series:
    is_first = words.isdigit()
    try:
        part = tuple(range(int(words))) if is_first else subset.part_of(words)
    except ValueError:
        raise UsageError(
            f"--series {spec}: {words} is no list of patches", hint="expected N, N-M or N,M"
        ) from None
    if part and part[-1] >= len(whole.patches):
        raise UsageError(
            f"--series {spec}: {whole.name} has {len(whole.patches)} patches, "
            f"so N in {whole.name}:N is from {0 if is_first else 1} to {len(whole.patches)}"
        )
    return _with(whole, tuple(whole.patches[index] for index in part), spec)


def cut(whole: Series, count: int, *, name: str) -> Series:
    """Return the first `count` patches of a series; none at all is its base."""
    return _with(whole, whole.patches[:count], name)


def _with(whole: Series, patches: tuple[Patch, ...], name: str) -> Series:
    return msgspec.structs.replace(whole, name=name, patches=patches, digest=_digest(patches))


def owner(series: Series, *, own: Sequence[Path]) -> str:
    """Return a digest for whose code a series is; "" if it is in one of the folders `own`, or none.

    The same file, folder, range or thread has the same; what came by stdin has it by its bytes.
    """
    if not series.patches or (series.path and series.path.parent in own):
        return ""
    name = series.digest if series.name.startswith(("stdin", "-")) else series.name
    return digest_of(str(series.path or name).encode())[:8]


def _read(
    spec: str, search: Sequence[Path], stdin: BinaryIO | None, tree: Path | None
) -> Series | None:
    """Return the series `spec`, or None if there is nothing of that name."""
    if spec == "none":
        return _make("none", (), Info(title="no patches"), None)
    if spec == "-":
        data = mail.read_all(stdin or sys.stdin.buffer, "stdin")
        return _from_mbox("stdin", data, "stdin", None)
    if spec.startswith("lore:"):
        return None if _CUT.fullmatch(spec) else _from_lore(spec)
    path = _find(spec, search)
    if path:
        return _from_path(path)
    found = _RANGE.fullmatch(spec)
    return _from_range(spec, tree) if found else None


def _find(spec: str, search: Sequence[Path]) -> Path | None:
    """Return the folder or file `spec` means: a bare NAME is looked up in `search` first."""
    if not spec or "\0" in spec:
        return None
    is_name = re.fullmatch(r"[^/.][^/]*", spec)
    candidates = [folder / spec for folder in search if is_name and folder.is_dir()]
    try:
        found = next((path for path in candidates if path.is_dir()), Path(spec).expanduser())
        return found.absolute() if found.exists() else None
    except (OSError, RuntimeError):  # a name longer than any file's; a ~user who is not here
        return None


def _from_path(path: Path) -> Series:
    if not path.is_dir():
        return _from_mbox(path.stem, _read_file(path), str(path), path)
    if is_maildir(path):
        mails = thread.choose(read_maildir(path), str(path))
        return _from_mails(path.name, mails, path)
    mails, info = read_folder(path)
    return _make(path.name, _patches(mails), info, path)


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = mail.read_all(stream, str(path))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if data[:2] == b"\x1f\x8b":  # lore gives t.mbox.gz
        import gzip  # noqa: PLC0415 - seldom
        import io  # noqa: PLC0415
        import zlib  # noqa: PLC0415

        try:
            return mail.read_all(gzip.open(io.BytesIO(data)), str(path))
        except (OSError, EOFError, zlib.error) as error:
            raise UsageError(f"{path}: not a sound gzip file: {error}") from error
    return data


def _from_mbox(name: str, data: bytes, where: str, path: Path | None) -> Series:
    if not data.strip():
        raise UsageError(f"{where}: empty, expected an mbox or a patch")
    if b"\0" in data[:8192] or not (mail.is_mail(data) or diffpaths.has_diff(data)):
        raise UsageError(
            f"{where}: neither an mbox nor a patch",
            hint="`git format-patch --stdout BASE..TIP` writes an mbox",
        )
    raws = mail.split_mbox(data)
    only = len(raws) == 1
    mails = [
        mail.read_mail(raw, where if only else f"{where}, mail {number}")
        for number, raw in enumerate(raws, 1)
    ]
    if only and not thread.is_patch(mails[0]):
        raise thread.no_diff(mails[0])
    return _from_mails(name, thread.choose(mails, where), path, letters=mails)


def _from_mails(
    name: str, mails: Sequence[Mail], path: Path | None, letters: Sequence[Mail] = ()
) -> Series:
    version = mails[0].tag.version
    covers = (m for m in letters if m.tag.number == 0 and m.tag.version == version)
    cover = next((m for m in covers if not m.tag.is_reply), mails[0])
    info = Info(
        title=cover.subject,
        base_commit=next((m.base_commit for m in (cover, *mails) if m.base_commit), None),
        message_id=cover.message_id or None,
    )
    return _make(name, _patches(mails), info, path)


def _from_range(spec: str, tree: Path | None) -> Series:
    if tree is None:
        raise UsageError(
            f"--series {spec}: a git range needs the clone it is in",
            hint="add `--tree DIR`",
        )
    if "..." in spec:
        raise UsageError(f"--series {spec}: A...B is no list of patches, expected A..B")
    from harness import gitrepo  # noqa: PLC0415 - a range only

    done = gitrepo.read_clone(
        tree,
        [
            "format-patch", "--stdout", "--full-index", "--binary", "--no-signature",
            "--no-ext-diff", "--no-textconv",
            "--no-cover-letter", "--no-attach", "--no-thread", "--no-renames", "--no-notes", "-U3",
            "--src-prefix=a/", "--dst-prefix=b/", "--numbered", "--subject-prefix=PATCH",
            "--end-of-options", spec, "--",
        ],
    )  # fmt: skip
    if done.returncode != 0:
        words = done.error_text.splitlines()
        raise UsageError(f"--series {spec}: git in {tree}: {words[0] if words else 'failed'}")
    if not done.stdout:
        raise UsageError(f"--series {spec}: no commit in this range of {tree}")
    return _from_mbox(spec, done.stdout, f"{spec} in {tree}", None)


def _from_lore(spec: str) -> Series:
    return _from_mbox(spec, fetch_thread(spec), spec, None)


def fetch_thread(spec: str) -> bytes:
    """Return the mbox of the thread that `lore:MSGID` names.

    Raises:
        HostError: b4 is missing or failed.
    """
    import tempfile  # noqa: PLC0415 - seldom

    from harness import proc  # noqa: PLC0415

    b4 = proc.which("b4", hint="`pip install b4` gets it; or save the thread as an mbox")
    with tempfile.TemporaryDirectory(prefix="harness-b4-") as folder:
        msgid = spec.removeprefix("lore:").strip("<>")
        archive = os.environ.get(LORE)
        where = ["--config", f"b4.midmask={archive.rstrip('/')}/%s"] if archive else []
        argv = [b4, "--no-interactive", *where, "mbox", "--outdir", folder, "--", msgid]
        done = proc.run(argv, timeout_s=120)
        found = sorted(Path(folder).glob("*.mbx"))
        if done.returncode != 0 or not found:
            words = (done.error_text or done.text).splitlines()
            raise HostError(
                f"--series {spec}: b4 got no thread: {words[-1] if words else 'it said nothing'}",
                hint=f"`{proc.quote(argv)}` says more",
            )
        return _read_file(found[0])


def _patches(mails: Sequence[Mail]) -> tuple[Patch, ...]:
    return tuple(
        Patch(
            number=number,
            subject=mail.subject or f"patch {number}",
            author=mail.author or _UNKNOWN,
            date=mail.date,
            message=mail.message,
            diff=mail.diff,
            origin=mail.origin,
        )
        for number, mail in enumerate(mails, 1)
    )


def _make(name: str, patches: tuple[Patch, ...], info: Info, path: Path | None) -> Series:
    diffpaths.check_paths(patches)
    return Series(
        name=name,
        title=info.title or (patches[0].subject if patches else name),
        patches=patches,
        digest=_digest(patches),
        bases=info.bases,
        scenario=info.scenario,
        path=path,
        base_commit=info.base_commit,
        message_id=info.message_id,
        cmdlines=info.cmdlines,
        since=info.since,
    )


def _digest(patches: Sequence[Patch]) -> str:
    """Return a digest of all that decides the commits; not of where a patch came from."""
    matter = [
        [p.number, p.subject, p.author, p.date, p.message, digest_of(p.diff)] for p in patches
    ]
    return digest_of(json.dumps(matter).encode())


def _not_found(spec: str, search: Sequence[Path]) -> UsageError:
    names = sorted({path.name for folder in search if folder.is_dir() for path in folder.iterdir()})
    return UsageError(
        f"--series {spec}: no such series, folder, file or git range",
        hint=f"series here: {', '.join(names) or 'none'}; or a path, A..B, lore:MSGID, -, none",
    )
