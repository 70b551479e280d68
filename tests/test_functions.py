"""The name of the function that an address is in."""

from pathlib import Path

import pytest

from harness import functions
from harness.functions import Functions
from harness.job import Kernel

KERNEL = 0xFFFFFFFF81000000

SYSTEM_MAP = f"""\
0000000000000000 A fixed_percpu_data
{KERNEL:016x} T _text
{KERNEL:016x} T _stext
{KERNEL + 0x100:016x} t __pfx_spin.isra.0
{KERNEL + 0x110:016x} t spin.isra.0
{KERNEL + 0x200:016x} T do_one_initcall
{KERNEL + 0x300:016x} T _etext
{KERNEL + 0x400:016x} D some_data
{KERNEL + 0x500:016x} T _sinittext
{KERNEL + 0x510:016x} t hang_init
{KERNEL + 0x600:016x} T _einittext
"""


def kernel_in(folder: Path, *, config: str = "", system_map: str = SYSTEM_MAP) -> Kernel:
    image = folder / "bzImage"
    image.write_bytes(b"MZ")
    (folder / "System.map").write_text(system_map)
    (folder / "config").write_text(config)
    return Kernel(
        arch="x86_64", release="", banner="", image=image, digest="", built=True,
        config=folder / "config",
    )  # fmt: skip


@pytest.fixture
def names(tmp_path: Path) -> Functions:
    found = functions.load(kernel_in(tmp_path))
    assert found
    return found


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (KERNEL + 0x110, "spin"),
        (KERNEL + 0x1FF, "spin"),
        (KERNEL + 0x200, "do_one_initcall"),
        (KERNEL + 0x300, ""),
        (KERNEL + 0x400, ""),
        (KERNEL + 0x520, "hang_init"),
        (KERNEL + 0x600, ""),
        (KERNEL - 1, ""),
        (0, ""),
    ],
)
def test_an_address_has_the_name_of_the_function_it_is_in(
    names: Functions, address: int, name: str
) -> None:
    assert names.at(address) == name


@pytest.mark.parametrize(
    ("config", "cmdline", "is_known"),
    [
        ("", "", True),
        ("# CONFIG_RANDOMIZE_BASE is not set\n", "", True),
        ("CONFIG_X=y\nCONFIG_RANDOMIZE_BASE=y\n", "quiet", False),
        ("CONFIG_RANDOMIZE_BASE=y\n", "quiet nokaslr", True),
        ("CONFIG_RANDOMIZE_BASE=y\n", "quiet -- nokaslr", False),
    ],
)
def test_a_kernel_that_moves_itself_has_no_names(
    tmp_path: Path, config: str, cmdline: str, *, is_known: bool
) -> None:
    found = functions.load(kernel_in(tmp_path, config=config), cmdline)
    assert (found is not None) == is_known


@pytest.mark.parametrize("table", ["", "no table\n", "zz T x\n"])
def test_a_table_that_cannot_be_read_tells_nothing(tmp_path: Path, table: str) -> None:
    assert functions.load(kernel_in(tmp_path, system_map=table)) is None
