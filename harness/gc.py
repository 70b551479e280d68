"""Bounds what the tool keeps on disk, by age and size; never what a running job holds."""

import contextlib
import json
import time
from pathlib import Path

import msgspec

from harness import bisect_state, gates, matrix_report, proc, runs
from harness.lock import Lock
from harness.store import Store

DAY_S = 86400.0
# What st_blocks counts in, whatever the file system's own block size (stat(2)).
_BLOCK = 512


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """Something that can be deleted. `used` is when it was last of use, in seconds of the epoch.

    `path` goes first, and without it `rest` is worth nothing. `lock` must be free for it to go;
    None where nothing ever holds it.
    """

    what: str
    path: Path
    rest: tuple[Path, ...] = ()
    lock: Path | None
    size: int
    used: float


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep did. `busy` were due, but a running job holds them. Sizes in bytes."""

    deleted: tuple[Item, ...]
    busy: tuple[Item, ...]
    kept_size: int


def sweep(store: Store, *, max_age_s: float, max_size: int, dry_run: bool = False) -> Swept:
    """Delete what was last used more than `max_age_s` ago, then the oldest until `max_size` holds.

    Leftovers of killed processes, and entries that were set aside as bad, always go.
    """
    if not dry_run:
        store.sweep()
    now = time.time()
    items = sorted(_items(store), key=lambda item: item.used)
    total = sum(item.size for item in items)
    deleted, busy = [], []
    for item in items:
        is_due = item.what == "bad" or now - item.used > max_age_s or total > max_size
        if not is_due:
            continue
        if dry_run or _delete(item):
            deleted.append(item)
            total -= item.size
        else:
            busy.append(item)
    return Swept(deleted=tuple(deleted), busy=tuple(busy), kept_size=total)


def _items(store: Store) -> list[Item]:
    root = store.root
    locks = root / "locks"
    found = [
        _item(path.parent.name, path, lock=locks / f"{path.parent.name}-{path.name}.lock")
        for path in root.glob("store/*/*")
    ]
    found += [_item("bad", path) for path in root.glob("bad/*")]
    found += [_item("download", path) for path in root.glob("downloads/*")]
    found += [
        _item("index", path, lock=path.with_name(f"{path.name}.lock"))
        for path in root.glob("apt/*/")
    ]
    # A lane goes as a whole: its worktree without its builds would only cost time.
    found += [
        _item("lane", path, lock=locks / f"lane-{path.name}.lock") for path in root.glob("lanes/*")
    ]
    found += [
        _item("base", path, *_packs(root, path), lock=locks / f"base-{path.stem}.lock")
        for path in root.glob("git/harness/bases/*.json")
    ]
    kept = {
        "run": runs.all_runs(),
        "matrix": matrix_report.all_matrices(),
        "gate": runs.in_order(gates.gates_dir(), gates.RESULT),
        "bisect": runs.in_order(bisect_state.bisects_dir(), bisect_state.FILE),
    }
    return found + [_item(what, path) for what, paths in kept.items() for path in paths]


def _packs(root: Path, record: Path) -> tuple[Path, ...]:
    """Return the files that hold an imported base."""
    try:
        pack = root / "git/objects/pack" / json.loads(record.read_bytes())["pack"]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return (pack, pack.with_suffix(".idx"))


def _item(what: str, path: Path, *rest: Path, lock: Path | None = None) -> Item:
    used, size = 0.0, 0
    # Another process may delete any of it meanwhile.
    with contextlib.suppress(FileNotFoundError):
        used = path.stat().st_mtime
    for each in (path, *path.rglob("*"), *rest):
        with contextlib.suppress(FileNotFoundError):
            size += each.lstat().st_blocks * _BLOCK
    return Item(what=what, path=path, rest=rest, lock=lock, size=size, used=used)


def _delete(item: Item) -> bool:
    lock = Lock(item.lock) if item.lock else None
    if lock and not lock.acquire(blocking=False):
        return False
    try:
        # Renamed first: a reader that comes now finds nothing, rather than half of it.
        doomed = item.path.with_name(f".doomed-{item.path.name}")
        with contextlib.suppress(FileNotFoundError):
            item.path.rename(doomed)
        if doomed.is_dir():
            proc.remove_tree(doomed)
        else:
            doomed.unlink(missing_ok=True)
        for path in item.rest:
            path.unlink(missing_ok=True)
    finally:
        if lock:
            lock.remove()
    return True
