import msgspec
import pytest
import virtme.architectures

from harness import arch
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


def test_where_a_build_leaves_its_images() -> None:
    row = arch.load("x86_64")
    assert row.image_for("vmlinux") == "vmlinux"
    assert row.image_for("bzImage") == "arch/x86/boot/bzImage"
