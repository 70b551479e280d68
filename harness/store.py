"""Content-addressed folders in the cache: look up, lock, make, verify, publish, explain a miss.

An entry is complete or absent: it is made in a scratch folder and renamed into place, and every
file of it is held against its digest before it is used.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from harness import log
from harness.errors import HostError
from harness.lock import Lock

_MANIFEST, _NEW = "manifest.json", ".new"
_NOTES = ("last", "toolchain", "downloads", "lanes/*", "lanes/*/out", "*/harness/*")  # of notes
_README = """\
This is the cache of `harness`. Everything in it can be made again: delete it when you like,
or bound it with `harness gc`.
"""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A published folder. `why` says what made it new (empty when it was cached)."""

    path: Path
    key: str
    cached: bool
    why: str


def digest_of(data: bytes) -> str:
    """Return the sha256 of `data`, in hex."""
    return hashlib.sha256(data).hexdigest()


def digest_of_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def key_of(kind: str, inputs: Mapping[str, str]) -> str:
    """Return the key of an entry: 32 hex digits over its kind and its named inputs."""
    text = json.dumps([kind, dict(inputs)], sort_keys=True)
    return digest_of(text.encode())[:32]


def write_atomically(path: Path, data: bytes, *, is_durable: bool = False) -> None:
    """Write a file whose reader sees old or new bytes; `is_durable`: after a power cut too."""
    # Always the same name: what a killed process left is used by the next one.
    scratch = path.with_name(f".{path.name}{_NEW}")
    lock = Lock(scratch)
    lock.acquire(what=f"it writes {path.name}")
    try:
        with scratch.open("wb", buffering=0) as stream:
            stream.write(data)
            if is_durable:
                os.fsync(stream.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    finally:
        lock.release()


def _verify(path: Path) -> None:
    """Hold an entry against its manifest, and that against the entry's name.

    Raises:
        OSError, ValueError, KeyError, TypeError, AttributeError: it is not what was published.
    """
    manifest = json.loads((path / _MANIFEST).read_bytes())
    kind, files = manifest["kind"], manifest["files"]
    if kind != path.parent.name or key_of(kind, manifest["inputs"]) != path.name:
        raise ValueError(_MANIFEST)
    for name, digest in files.items():
        if digest_of_file(path / name) != digest:
            raise ValueError(name)
    # A manifest that has lost a line would let that file be anything.
    for name in _files_in(path):
        if name not in files and name != _MANIFEST:
            raise ValueError(name)


def _files_in(folder: Path) -> Iterator[str]:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield str(file.relative_to(folder))


class Store:
    """The cache at `root`. What it hands out stays locked against `gc` until the process ends."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._held: dict[str, Lock] = {}
        self._is_swept = False

    # --- entries ------------------------------------------------------------------------

    def get_or_make(
        self,
        kind: str,
        inputs: Mapping[str, str],
        make: Callable[[Path], None],
        *,
        why: Callable[[], str] | None = None,
    ) -> Entry:
        """Return the entry for `inputs`; `make` fills an empty folder if there is none.

        `inputs` maps each name to a digest or a short word. `why` may say better than a
        comparison of the inputs what made this entry new. Whatever `make` raises goes on to the
        caller, and nothing is published.
        """
        key = key_of(kind, inputs)
        if not self._is_swept:
            self.sweep()
        found = self.get(kind, key)
        if found:
            return Entry(path=found, key=key, cached=True, why="")
        lock = self._lock(kind, key)
        # An exclusive lock would wait for every process that uses the entry, a shared one waits
        # only for the one that makes it.
        while not lock.acquire(blocking=False):
            lock.acquire(shared=True, what=f"it is making the same {kind}")
            if self._is_sound(self._path(kind, key)):
                return self._hold(kind, key, lock, why="")
            lock.release()
        try:
            # Another process may have made it between the look and the lock.
            if self._is_sound(self._path(kind, key)):
                return self._hold(kind, key, lock, why="")
            reason = why() if why else self._first_difference(kind, inputs)
            self._make(kind, self._path(kind, key), inputs, make)
        except BaseException:
            lock.release()
            raise
        return self._hold(kind, key, lock, why=reason)

    def _hold(self, kind: str, key: str, lock: Lock, *, why: str) -> Entry:
        lock.acquire(shared=True)
        self._held[f"{kind}-{key}"] = lock
        return Entry(path=self._path(kind, key), key=key, cached=not why, why=why)

    def get(self, kind: str, key: str) -> Path | None:
        """Return a sound entry's folder, or None. An unsound one is set aside, and said."""
        path = self._path(kind, key)
        name = f"{kind}-{key}"
        if name in self._held:
            return path
        if not path.is_dir():
            return None
        lock = self._lock(kind, key)
        lock.acquire(shared=True, what=f"it is making the same {kind}")
        if not self._is_sound(path):
            lock.release()
            return None
        self._held[name] = lock
        os.utime(path)
        return path

    def _make(
        self, kind: str, path: Path, inputs: Mapping[str, str], make: Callable[[Path], None]
    ) -> None:
        with self.scratch(kind) as scratch:
            make(scratch)
            files = {name: digest_of_file(scratch / name) for name in _files_in(scratch)}
            manifest = {"kind": kind, "inputs": dict(inputs), "files": files}
            (scratch / _MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                scratch.rename(path)
            except OSError:
                # Two processes made it after a damaged one was set aside; either will do.
                if not path.is_dir():
                    raise
        # It only explains the next miss.
        with suppress(OSError):
            write_atomically(self.root / "last" / kind, json.dumps(dict(inputs)).encode())

    def _is_sound(self, path: Path) -> bool:
        try:
            _verify(path)
        except FileNotFoundError as error:
            if not path.is_dir():
                return False
            reason = f"{Path(str(error.filename)).name} is missing"
        except OSError as error:
            reason = f"it cannot be read ({error.strerror})"
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"it does not match its digest ({error})"
        else:
            return True
        log.warn(f"{path}: {reason}; set aside, and made again")
        self._set_aside(path)
        return False

    def forget(self, kind: str, inputs: Mapping[str, str]) -> None:
        """Make that there is no such entry; one that is in use elsewhere stays there."""
        path = self._path(kind, key_of(kind, inputs))
        self._held.pop(f"{kind}-{path.name}", None)
        self._set_aside(path)

    def _set_aside(self, path: Path) -> None:
        bad = self.root / "bad" / f"{path.name}-{secrets.token_hex(4)}"
        bad.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another process was quicker
            path.rename(bad)
        # A process that still uses the bad entry keeps its lock; the new one gets a new lock.
        self._lock_path(path.parent.name, path.name).unlink(missing_ok=True)

    def _first_difference(self, kind: str, inputs: Mapping[str, str]) -> str:
        try:
            last: dict[str, str] = json.loads((self.root / "last" / kind).read_bytes())
            for name, value in inputs.items():
                if last.get(name) != value:
                    return f"{name} differs"
        except (OSError, ValueError, AttributeError):
            return "first of its kind"
        return "no longer in the cache"

    # --- folders ------------------------------------------------------------------------

    @contextmanager
    def scratch(self, what: str) -> Iterator[Path]:
        """Yield an empty folder that is gone afterwards, unless it was renamed away.

        Folders that a killed process left behind are swept on the way.
        """
        top = self.root / "tmp"
        self._prepare(top)
        self.sweep()
        name = f"{what}-{os.getpid()}-{secrets.token_hex(4)}"
        lock = Lock(top / f"{name}.lock")
        lock.acquire()
        path = top / name
        try:
            path.mkdir()
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            lock.remove()

    def sweep(self) -> None:
        """Delete what processes that were killed left in `tmp`, and files they had half written."""
        self._is_swept = True
        for pattern in ("tmp/*.lock", *(f"{folder}/.*{_NEW}" for folder in _NOTES)):
            for lock_path in self.root.glob(pattern):
                lock = Lock(lock_path)
                if lock_path.exists() and lock.acquire(blocking=False):
                    if lock_path.suffix != _NEW:
                        shutil.rmtree(lock_path.with_suffix(""), ignore_errors=True)
                    lock.remove()

    @contextmanager
    def locked(self, name: str, what: str) -> Iterator[Lock]:
        """Hold the lock `name` for a while; `what` tells a waiting user who has it."""
        self._prepare(self.root)
        lock = Lock(self.root / "locks" / f"{name}.lock")
        lock.acquire(what=what)
        try:
            yield lock
        finally:
            lock.release()

    def hold(self, name: str) -> None:
        """Keep what the lock `name` guards from `gc` until the process ends."""
        if name not in self._held:
            lock = Lock(self.root / "locks" / f"{name}.lock")
            lock.acquire(shared=True)
            self._held[name] = lock

    def _prepare(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            hint = "set XDG_CACHE_HOME to a folder that can be written"
            message = f"cannot write the cache {self.root}: {error.strerror}"
            raise HostError(message, hint=hint) from error
        readme = self.root / "README"
        if not readme.exists():
            readme.write_text(_README)

    def _path(self, kind: str, key: str) -> Path:
        return self.root / "store" / kind / key

    def _lock(self, kind: str, key: str) -> Lock:
        return Lock(self._lock_path(kind, key))

    def _lock_path(self, kind: str, key: str) -> Path:
        return self.root / "locks" / f"{kind}-{key}.lock"
