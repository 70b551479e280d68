"""needs: what follows from a .config that was not made here."""

from pathlib import Path

import pytest

from harness import arch, needs

ALL = """\
CONFIG_PRINTK=y
CONFIG_SERIAL_8250_CONSOLE=y
CONFIG_BLK_DEV_INITRD=y
CONFIG_BINFMT_ELF=y
CONFIG_PROC_FS=y
CONFIG_TMPFS=y
CONFIG_X86_IOPL_IOPERM=y
"""


def config(folder: Path, text: str) -> Path:
    path = folder / "config"
    path.write_text(text)
    return path


def test_a_kernel_with_all_of_it_lacks_nothing(tmp_path: Path) -> None:
    assert needs.lacking(config(tmp_path, ALL), arch.load("x86_64")) == ()


def test_another_architecture_lacks_other_things(tmp_path: Path) -> None:
    (lack,) = needs.lacking(config(tmp_path, ALL), arch.load("arm64"))
    assert (lack.symbol, lack.is_fatal) == ("CONFIG_SERIAL_AMBA_PL011_CONSOLE", True)


@pytest.mark.parametrize(
    ("symbol", "is_fatal"), [("CONFIG_SERIAL_8250_CONSOLE", True), ("CONFIG_TMPFS", False)]
)
@pytest.mark.parametrize("instead", ["{}=m", "# {} is not set", "", "{}_OTHER=y"])
def test_what_is_not_built_in_is_lacking(
    tmp_path: Path, symbol: str, instead: str, *, is_fatal: bool
) -> None:
    text = ALL.replace(f"{symbol}=y", instead.format(symbol))
    (lack,) = needs.lacking(config(tmp_path, text), arch.load("x86_64"))
    assert (lack.symbol, lack.is_fatal) == (symbol, is_fatal)


def test_what_a_scenario_wants_is_held_against_it(tmp_path: Path) -> None:
    path = config(tmp_path, "CONFIG_A=y\nCONFIG_B=m\n")
    assert needs.missing(path, ["CONFIG_A=y", "CONFIG_B=y", "CONFIG_C=y"]) == (
        "CONFIG_B=y", "CONFIG_C=y",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("CONFIG_PCI=y\nCONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_BLK=y\nCONFIG_BLK_DEV_NVME=y\n",
         "/dev/vda"),
        ("CONFIG_PCI=y\nCONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_BLK=m\nCONFIG_BLK_DEV_NVME=y\n",
         "/dev/nvme0n1"),
        ("CONFIG_PCI=y\nCONFIG_VIRTIO_PCI=y\n", None),
    ],
)  # fmt: skip
def test_a_disk_that_the_kernel_can_see(tmp_path: Path, text: str, node: str | None) -> None:
    disk = needs.disk_for(config(tmp_path, text))
    assert (disk.node if disk else None) == node


def test_a_kernel_of_unknown_config_gets_the_usual_disk() -> None:
    disk = needs.disk_for(None)
    assert disk is not None
    assert disk.node == "/dev/vda"
