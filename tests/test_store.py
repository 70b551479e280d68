"""The store: complete or absent, verified, locked."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import gc
from harness.lock import Lock
from harness.store import Entry, Store, key_of, write_atomically


def put(store: Store, value: str, *, text: str = "made") -> Entry:
    return store.get_or_make("thing", {"a": value}, lambda folder: write(folder / "file", text))


def write(path: Path, text: str) -> None:
    path.write_text(text)


def test_an_entry_is_made_once(store: Store) -> None:
    first = put(store, "1")
    second = put(Store(store.root), "1", text="made again")
    assert not first.cached
    assert first.why == "first of its kind"
    assert second.cached
    assert second.path == first.path
    assert (second.path / "file").read_text() == "made"


def test_a_miss_names_the_input_that_differs(store: Store) -> None:
    put(store, "1")
    assert put(store, "2").why == "a differs"


def test_a_failed_make_leaves_nothing(store: Store) -> None:
    def fail(folder: Path) -> None:
        write(folder / "file", "half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        store.get_or_make("thing", {"a": "1"}, fail)
    assert not list(store.root.glob("store/*/*"))
    assert not list(store.root.glob("tmp/*"))
    assert not put(store, "1").cached


def drop_from_manifest(path: Path) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["files"] = {}
    (path / "manifest.json").write_text(json.dumps(manifest))


def become_another(path: Path) -> None:
    """Put a sound entry in its place, with its own manifest."""
    other = put(Store(path.parents[2]), "2", text="other").path
    shutil.rmtree(path)
    shutil.copytree(other, path)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: (path / "file").write_text("mad!"), id="flipped"),
        pytest.param(lambda path: (path / "file").write_text("ma"), id="truncated"),
        pytest.param(lambda path: (path / "file").unlink(), id="deleted"),
        pytest.param(lambda path: (path / "manifest.json").unlink(), id="no manifest"),
        pytest.param(lambda path: (path / "manifest.json").write_text("{"), id="broken manifest"),
        pytest.param(lambda path: (path / "manifest.json").write_text("[1]"), id="other manifest"),
        pytest.param(drop_from_manifest, id="a line less"),
        pytest.param(become_another, id="another entry"),
    ],
)
def test_a_damaged_entry_is_set_aside_and_made_again(
    store: Store,
    damage: Callable[[Path], object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(put(store, "1").path)
    again = put(Store(store.root), "1")
    assert not again.cached
    assert (again.path / "file").read_text() == "made"
    assert "set aside" in capsys.readouterr().err
    assert len(list((store.root / "bad").iterdir())) == 1


def test_a_damaged_entry_in_use_elsewhere_is_still_replaced(store: Store) -> None:
    put(store, "1").path.joinpath("file").write_text("mad!")
    # `store` keeps holding its entry: the newcomer must not wait for it.
    assert (put(Store(store.root), "1").path / "file").read_text() == "made"


def test_two_processes_make_an_entry_once(store: Store, tmp_path: Path) -> None:
    script = tmp_path / "make.py"
    script.write_text(
        "import sys, time\n"
        "from pathlib import Path\n"
        "from harness.store import Store\n"
        "def make(folder):\n"
        "    time.sleep(0.5)\n"
        "    (folder / 'file').write_text('made')\n"
        "entry = Store(Path(sys.argv[1])).get_or_make('thing', {'a': '1'}, make)\n"
        "print(entry.cached, flush=True)\n"
        # Holding the entry must not keep the other from it.
        "time.sleep(float(sys.argv[2]))\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, str(script), str(store.root), "20"], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    try:
        started = time.monotonic()
        answers = sorted(child.stdout.readline().strip() for child in children if child.stdout)
        assert answers == ["False", "True", "True"]
        assert time.monotonic() - started < 15
    finally:
        for child in children:
            child.kill()
            child.communicate()


def test_leftovers_of_a_killed_process_are_swept(store: Store, tmp_path: Path) -> None:
    script = tmp_path / "die.py"
    script.write_text(
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from harness.store import Store\n"
        "def make(folder):\n"
        "    (folder / 'file').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "Store(Path(sys.argv[1])).get_or_make('thing', {'a': '1'}, make)\n"
    )
    done = subprocess.run([sys.executable, str(script), str(store.root)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(store.root.glob("tmp/*"))
    assert not put(store, "1").cached
    assert not list(store.root.glob("tmp/*"))


def test_gc_spares_what_is_held_and_what_is_young(store: Store) -> None:
    held = put(store, "1")
    other = Store(store.root)
    free = put(other, "2")
    other._held.clear()
    for entry in (held, free):
        os.utime(entry.path, (0, 0))
    young = put(other, "3")
    swept = gc.sweep(Store(store.root), max_age_s=3600, max_size=1 << 40)
    assert [item.path for item in swept.deleted] == [free.path]
    assert [item.path for item in swept.busy] == [held.path]
    assert young.path.exists()
    assert held.path.exists()
    assert not free.path.exists()


def test_gc_deletes_the_least_used_until_the_size_holds(store: Store) -> None:
    paths = []
    for number in range(3):
        other = Store(store.root)
        entry = put(other, str(number), text="x" * 100_000)
        other._held.clear()
        os.utime(entry.path, (time.time() - 100 + number,) * 2)
        paths.append(entry.path)
    gc.sweep(Store(store.root), max_age_s=3600, max_size=250_000)
    assert [path.exists() for path in paths] == [False, True, True]


def test_gc_dry_run_deletes_nothing(store: Store) -> None:
    path = put(store, "1").path
    store._held.clear()
    swept = gc.sweep(Store(store.root), max_age_s=-1, max_size=0, dry_run=True)
    assert [item.path for item in swept.deleted] == [path]
    assert path.exists()


def test_keys_depend_on_kind_and_on_every_input() -> None:
    keys = {
        key_of("a", {"x": "1"}),
        key_of("b", {"x": "1"}),
        key_of("a", {"x": "2"}),
        key_of("a", {"y": "1"}),
        key_of("a", {"x": "1", "y": ""}),
    }
    assert len(keys) == 5
    assert key_of("a", {"x": "1", "y": "2"}) == key_of("a", {"y": "2", "x": "1"})


def test_write_atomically_replaces_and_leaves_no_scratch(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_lock_whose_file_was_removed_is_taken_on_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first, second = Lock(path), Lock(path)
    assert first.acquire()
    assert not second.acquire(blocking=False)
    first.remove()
    assert second.acquire(blocking=False)
    assert not Lock(path).acquire(blocking=False)


def test_manifest_says_what_made_the_entry(store: Store) -> None:
    manifest = json.loads((put(store, "1").path / "manifest.json").read_text())
    assert manifest["kind"] == "thing"
    assert manifest["inputs"] == {"a": "1"}
    assert list(manifest["files"]) == ["file"]


def test_gc_takes_a_base_with_its_packs_unless_a_job_holds_it(store: Store) -> None:
    bases, packs = store.root / "git/harness/bases", store.root / "git/objects/pack"
    bases.mkdir(parents=True)
    packs.mkdir(parents=True)
    for version in ("6.1.1", "6.2.2"):
        (bases / f"{version}.json").write_text(json.dumps({"pack": f"pack-{version}.pack"}))
        for suffix in ("pack", "idx"):
            (packs / f"pack-{version}.{suffix}").write_bytes(b"x" * 10_000)
        os.utime(bases / f"{version}.json", (0, 0))
    store.hold("base-6.1.1")
    swept = gc.sweep(Store(store.root), max_age_s=3600, max_size=1 << 40)
    assert [item.path.name for item in swept.deleted] == ["6.2.2.json"]
    assert swept.deleted[0].size > 20_000
    assert sorted(path.name for path in packs.iterdir()) == ["pack-6.1.1.idx", "pack-6.1.1.pack"]


@pytest.mark.parametrize(
    ("what", "file"),
    [
        ("matrix", "matrices/old/matrix.json"),
        ("gate", "gates/old/check.json"),
        ("bisect", "bisects/old/state.json"),
    ],
)
def test_gc_bounds_the_reports_too(store: Store, tmp_path: Path, what: str, file: str) -> None:
    page = tmp_path / "state/harness" / file
    page.parent.mkdir(parents=True)
    page.write_text("{}")
    os.utime(page.parent, (0, 0))
    swept = gc.sweep(store, max_age_s=3600, max_size=1 << 40)
    assert [(item.what, item.path) for item in swept.deleted] == [(what, page.parent)]
    assert not page.exists()
