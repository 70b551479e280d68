"""Takes a folder of patches or a maildir, gives its mails in order and what series.toml says."""

import re
from pathlib import Path

import msgspec

from harness import thread
from harness.errors import UsageError
from harness.mail import Mail, read_all, read_mail, split_mbox

_SUFFIXES = frozenset({".patch", ".diff", ".mbox", ".eml"})
_NUMBERED = re.compile(r"(?:v(?P<version>\d+)-)?(?P<number>\d+)\D")


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """What series.toml, or the mails themselves, say of a series."""

    title: str = ""
    bases: tuple[str, ...] = ()
    scenario: str | None = None
    base_commit: str | None = None
    message_id: str | None = None
    cmdlines: tuple[str, ...] = ()
    since: tuple[tuple[str, int], ...] = ()


def is_maildir(path: Path) -> bool:
    """Whether the folder `path` is a maildir."""
    return (path / "cur").is_dir() and (path / "new").is_dir()


def read_maildir(path: Path) -> list[Mail]:
    """Return all mails of a maildir, in the order of their names."""
    files = sorted(file for part in ("cur", "new") for file in (path / part).iterdir())
    return [read_mail(_read(file), str(file)) for file in files]


def read_folder(path: Path) -> tuple[list[Mail], Info]:
    """Return the patches of a folder, in the order of its `series` file or of their numbers.

    Raises:
        UsageError: it has no patch, one is missing, two have one number, a file cannot be read.
    """
    info = _read_info(path / "series.toml")
    order = path / "series"
    files = _in_quilt_order(order) if order.is_file() else _in_number_order(path)
    mails = []
    for file in files:
        mail = _read_one(file)
        if not thread.is_patch(mail):
            raise thread.no_diff(mail)
        mails.append(mail)
    if not order.is_file():
        _check_total(mails, path)
    return mails, info


def _read_one(file: Path) -> Mail:
    letters = split_mbox(_read(file))
    if len(letters) > 1:
        raise UsageError(
            f"{file}: {len(letters)} mails in it, expected one patch a file",
            hint=f"`--series {file}` reads it as an mbox",
        )
    return read_mail(letters[0], str(file))


def _in_quilt_order(order: Path) -> list[Path]:
    files = []
    for number, line in enumerate(_read(order).decode(errors="replace").splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        name, options = words[0], words[1:]
        where = f"{order}:{number}"
        if options not in ([], ["-p1"]):
            raise UsageError(f"{where}: {name} {' '.join(options)}: only -p1 is understood")
        if not (order.parent / name).is_file():
            raise UsageError(f"{where}: it names {name}, which is not in {order.parent}")
        files.append(order.parent / name)
    if not files:
        raise UsageError(f"{order}: it names no patch")
    return files


def _in_number_order(folder: Path) -> list[Path]:
    try:
        found = sorted(file for file in folder.iterdir() if file.suffix in _SUFFIXES)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror}") from error
    if not found:
        raise UsageError(
            f"{folder}: no patch in it, expected files such as 0001-subject.patch",
            hint="`git format-patch -o DIR BASE..TIP` writes them",
        )
    if len(found) == 1:
        return found
    return _by_number(found, folder)


def _by_number(found: list[Path], folder: Path) -> list[Path]:
    numbered = {file: match for file in found if (match := _NUMBERED.match(file.name))}
    bare = next((file for file in found if file not in numbered), None)
    if bare:
        raise UsageError(
            f"{bare}: no number in its name, so its place in the series is not known",
            hint=f"number the patches, or list them in {folder / 'series'}",
        )
    newest = max(int(match["version"] or 1) for match in numbered.values())
    by_number: dict[int, Path] = {}
    for file, match in numbered.items():
        if int(match["version"] or 1) != newest:
            continue
        other = by_number.setdefault(int(match["number"]), file)
        if other != file:
            raise UsageError(
                f"{folder}: two patches are number {match['number']}: {other.name} and {file.name}",
                hint="delete the stale one",
            )
    by_number.pop(0, None)  # the cover letter
    last = max(by_number, default=0)
    missing = [number for number in range(1, last + 1) if number not in by_number]
    if missing:
        raise UsageError(f"{folder}: {thread.missing_words(missing)} missing (the last is {last})")
    return [by_number[number] for number in sorted(by_number)]


def _check_total(mails: list[Mail], folder: Path) -> None:
    """Hold the number of files against the `n/m` the patches say they are."""
    total = max((mail.tag.total or 0 for mail in mails), default=0)
    missing = list(range(len(mails) + 1, total + 1))
    if missing:
        raise UsageError(
            f"{folder}: {thread.missing_words(missing)} of {total} missing",
            hint=f"if that is meant, list those that count in {folder / 'series'}",
        )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = read_all(stream, str(path))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if not data.strip():
        raise UsageError(f"{path}: empty, expected a patch")
    return data


def _read_info(path: Path) -> Info:
    if not path.exists():
        return Info()
    # msgspec costs time, and most folders have no series.toml.
    from harness import series_file  # noqa: PLC0415

    said = series_file.read(path)
    return Info(
        title=said.title,
        bases=said.bases,
        scenario=said.scenario,
        base_commit=said.base_commit,
        message_id=said.message_id,
        cmdlines=said.cmdlines,
        since=tuple(said.since.items()),
    )
