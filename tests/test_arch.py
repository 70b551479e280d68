import msgspec
import pytest
import virtme.architectures

from harness import arch, paths
from harness.errors import UsageError


def test_an_unknown_architecture_lists_the_known() -> None:
    with pytest.raises(UsageError, match="'pdp11'") as caught:
        arch.load("pdp11")
    assert "x86_64" in str(caught.value.hint)


@pytest.mark.parametrize("name", arch.names())
def test_every_row_is_whole(name: str) -> None:
    row = arch.load(name)
    for field in msgspec.structs.fields(row):
        assert type(getattr(row, field.name)).__name__ == getattr(
            field.type, "__name__", field.type
        )
    assert row.name == name


@pytest.mark.parametrize("name", arch.names())
def test_the_console_is_the_one_virtme_ng_knows(name: str) -> None:
    row = arch.load(name)
    assert virtme.architectures.get(row.virtme).serial_console_args() == [row.console]


def test_a_cross_compiler_is_for_another_architecture_only(monkeypatch: pytest.MonkeyPatch) -> None:
    row = arch.load("x86_64")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert row.cross_compile == ""
    assert list(row.make_variables) == ["ARCH=x86_64"]
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert list(row.make_variables) == ["ARCH=x86_64", "CROSS_COMPILE=x86_64-linux-gnu-"]


@pytest.mark.parametrize(
    ("name", "targets", "booted"),
    [
        (
            "x86_64",
            {"vmlinux": "vmlinux", "bzImage": "arch/x86/boot/bzImage"},
            "vmlinux",
        ),
        ("arm64", {"vmlinux": "vmlinux", "Image": "arch/arm64/boot/Image"}, "Image"),
    ],
)
def test_where_a_build_leaves_its_images(name: str, targets: dict[str, str], booted: str) -> None:
    row = arch.load(name)
    assert {target: row.image_for(target) for target in row.targets} == targets
    assert row.target == booted
    with pytest.raises(UsageError, match=f"there is no zImage for {name}") as caught:
        row.image_for("zImage")
    assert booted in str(caught.value.hint)


@pytest.mark.parametrize(
    ("machine", "name"), [("x86_64", "x86_64"), ("aarch64", "arm64"), ("pdp11", "x86_64")]
)
def test_this_machine_has_a_row(monkeypatch: pytest.MonkeyPatch, machine: str, name: str) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert arch.of_this_machine().name == name


@pytest.mark.parametrize("name", arch.names())
def test_a_row_has_its_files(name: str) -> None:
    row = arch.load(name)
    assert (paths.shipped("kconfigs") / f"arch/{name}.config").is_file()
    assert row.probe_path.is_file()
    assert row.probe_path.with_suffix(".ld").is_file()
