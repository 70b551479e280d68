"""kernelchange: what differs between two images that were built here."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import kernelchange
from harness.check_result import Changes, SizeChange
from harness.job import Kernel
from harness.store import Store, digest_of_file

OLD = """\
struct mount { char name; long id; };
struct mount first = { 'a', 1 };
int __ksymtab_old_export;
static int counted(void) { static int count; return count++; }
int gone(void) { return 1; }
int same(int a) { return a + counted(); }
int grows(int a) { return a; }
int _start(void) { return same(grows(first.id)) + gone(); }
"""
NEW = """\
struct mount { long id; char name, flag; };
struct mount first = { 1, 'a', 'b' };
int __ksymtab_new_export;
int added(void) { return 2; }
static int counted(void) { static int other, count; other++; return count++; }
int same(int a) { return a + counted(); }
int grows(int a) { return (a * 1234567) ^ (a / 7); }
int _start(void) { return same(grows(first.id)) + added(); }
"""

Built = Callable[..., Kernel]


@pytest.fixture
def built(tmp_path: Path) -> Built:
    def built(name: str, text: str, *options: str, is_elf: bool = True) -> Kernel:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "a.c").write_text(text)
        elf = folder / "linked"
        subprocess.run(
            [
                "gcc",
                "-nostdlib",
                "-static",
                "-no-pie",
                "-fno-pic",
                "-fno-inline",
                "-O1",
                *options,
                "-o",
                elf,
                "a.c",
            ],
            cwd=folder,
            check=True,
        )
        symbols = subprocess.run(["nm", "-n", elf], capture_output=True, check=True).stdout
        (folder / "System.map").write_bytes(symbols)
        image = folder / "vmlinux"
        if is_elf:
            shutil.copyfile(elf, image)
        else:
            image.write_bytes(b"MZ" + symbols)
        return Kernel(
            arch="x86_64", release="6.18.5", banner="", image=image,
            digest=digest_of_file(image), built=True,
        )  # fmt: skip

    return built


def names(found: list[SizeChange]) -> dict[str, tuple[bool, bool]]:
    """Return whether each was there, before and after."""
    return {each.name: (each.before is not None, each.after is not None) for each in found}


@pytest.mark.parametrize("options", [(), ("-m32",)], ids=["64 bits", "32 bits"])
def test_functions_symbols_and_exports_that_differ_are_named(
    built: Built, store: Store, options: tuple[str, ...]
) -> None:
    changes = kernelchange.of(built("old", OLD, *options), built("new", NEW, *options), store)
    functions = names(changes.functions)
    functions.pop("counted")
    assert functions == {"gone": (True, False), "added": (False, True), "grows": (True, True)}
    assert changes.symbols_added == ["added", "other"]
    assert changes.symbols_removed == ["gone"]
    assert (changes.exports_added, changes.exports_removed) == (["new_export"], ["old_export"])
    assert ".text" in names(changes.sections)
    assert changes.structs == []


def test_sizes_are_the_functions_own_and_not_the_way_to_the_next(
    built: Built, store: Store
) -> None:
    old = "int _start(void) { return 1; }\n"
    # Aligned, it takes as much room as before.
    new = "int _start(void) { return 1 + *(volatile int *)16; }\n"
    aligned = "-falign-functions=64"
    changes = kernelchange.of(built("old", old, aligned), built("new", new, aligned), store)
    [size] = changes.functions
    assert size.name == "_start"
    assert size.before is not None
    assert size.after is not None
    assert 0 < size.before < size.after < 64


def test_an_image_that_is_no_elf_is_read_by_its_system_map(built: Built, store: Store) -> None:
    changes = kernelchange.of(
        built("old", OLD, is_elf=False), built("new", NEW, is_elf=False), store
    )
    assert changes.symbols_added == ["added", "other"]
    assert {"gone", "added"} <= set(names(changes.functions))
    assert changes.sections == []


def test_the_same_twice_differs_in_nothing(built: Built, store: Store) -> None:
    changes = kernelchange.of(built("old", OLD), built("new", OLD), store)
    assert changes == Changes(
        sections=[], functions=[], symbols_added=[], symbols_removed=[], exports_added=[],
        exports_removed=[], structs=[],
    )  # fmt: skip


@pytest.mark.skipif(not shutil.which("pahole"), reason="pahole is not installed")
def test_a_struct_whose_layout_differs_is_shown_as_it_was_and_is(
    built: Built, store: Store
) -> None:
    changes = kernelchange.of(built("old", OLD, "-g"), built("new", NEW, "-g"), store)
    [layout] = changes.structs
    assert layout.name == "mount"
    assert layout.before is not None
    assert layout.after is not None
    assert layout.before.splitlines()[0] == "struct mount {"
    assert "hole" in layout.before
    assert "flag;" in layout.after
