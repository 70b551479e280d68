import io
import os
import stat
import subprocess
from pathlib import Path

import pytest

from harness import cpio
from harness.cpio import Member
from harness.errors import UsageError

TREE = (
    cpio.folder("dev"),
    cpio.character_device("dev/console", 5, 1),
    cpio.file("init", b"#!/bin/sh\n", 0o755),
    cpio.folder("etc", 0o700),
    cpio.file("etc/empty", b""),
    cpio.file("etc/three", b"abc"),
    cpio.file("etc/four", b"abcd"),
    cpio.symlink("etc/link", "three"),
    cpio.file("naïve name", b"x"),
)


def packed(*members: Member) -> bytes:
    stream = io.BytesIO()
    cpio.write(stream, members)
    return stream.getvalue()


def by_name(members: tuple[Member, ...]) -> list[Member]:
    return sorted(members, key=lambda member: os.fsencode(member.name))


def test_what_is_written_is_read_back_sorted() -> None:
    assert list(cpio.read(packed(*TREE))) == by_name(TREE)


def test_the_order_of_members_does_not_change_the_bytes() -> None:
    assert packed(*TREE) == packed(*reversed(TREE))


def test_gnu_cpio_lists_the_same_members() -> None:
    done = subprocess.run(
        ["cpio", "-itv", "--quiet"], input=packed(*TREE), capture_output=True, check=True
    )
    lines = done.stdout.decode().splitlines()
    assert [line.split()[0] for line in lines] == [
        stat.filemode(member.mode) for member in by_name(TREE)
    ]
    console = next(line for line in lines if line.endswith("dev/console"))
    assert "5,   1" in console
    assert " root " in console
    assert " 1970 " in console
    assert not done.stderr


def test_gnu_cpio_unpacks_the_same_files(tmp_path: Path) -> None:
    files = [member for member in TREE if not stat.S_ISCHR(member.mode)]
    subprocess.run(
        ["cpio", "-idm", "--quiet", "--no-absolute-filenames"],
        input=packed(*files), cwd=tmp_path, check=True,
    )  # fmt: skip
    assert (tmp_path / "etc/three").read_bytes() == b"abc"
    assert (tmp_path / "etc/four").read_bytes() == b"abcd"
    assert (tmp_path / "etc/empty").read_bytes() == b""
    assert (tmp_path / "etc/link").readlink() == Path("three")
    assert (tmp_path / "naïve name").read_bytes() == b"x"
    assert stat.S_IMODE((tmp_path / "init").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "etc").stat().st_mode) == 0o700


def test_what_gnu_cpio_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_bytes(b"12345")
    done = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"],
        input=b"folder\nfolder/file\n", cwd=tmp_path, capture_output=True, check=True,
    )  # fmt: skip
    members = list(cpio.read(done.stdout))
    assert [member.name for member in members] == ["folder", "folder/file"]
    assert members[1].data == b"12345"


def test_every_header_and_every_data_starts_at_a_multiple_of_four() -> None:
    for length in range(1, 9):
        data = packed(cpio.file("n" * length, b"*" * length), cpio.file("z", b"z"))
        assert data.index(b"*") % 4 == 0
        assert data.index(b"070701", 1) % 4 == 0
        assert len(data) % 4 == 0


def test_inode_numbers_count_up_and_times_and_owners_are_zero() -> None:
    data = packed(cpio.file("a", b""), cpio.folder("b"))
    headers = [
        data[at : at + 110] for at in range(0, len(data), 4) if data[at:].startswith(b"0707")
    ]
    inodes = [int(header[6:14], 16) for header in headers]
    links = [int(header[38:46], 16) for header in headers]
    assert inodes == [1, 2, 0]
    assert links == [1, 2, 1]
    for header in headers:
        assert header[22:38] == b"0" * 16  # uid, gid
        assert header[46:54] == b"0" * 8  # mtime


def test_a_file_given_by_path_is_packed_as_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(os.urandom(3_000_001))
    assert packed(cpio.file("big", path)) == packed(cpio.file("big", path.read_bytes()))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "cannot be a name"),
        ("/etc", "absolute"),
        ("a/../b", "part"),
        ("./a", "part"),
        ("a//b", "part"),
        ("a/", "part"),
        ("a\0b", "cannot be a name"),
        ("TRAILER!!!", "cannot be a name"),
        ("n" * 4096, "4095"),
    ],
)
def test_a_bad_name_is_refused(name: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        packed(cpio.folder("a"), cpio.file(name, b""))


def test_the_longest_name_the_kernel_takes_is_packed() -> None:
    name = "n" * 4095
    assert next(iter(cpio.read(packed(cpio.file(name, b""))))).name == name


def test_a_member_that_is_there_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="twice"):
        packed(cpio.file("a", b"1"), cpio.file("a", b"2"))


def test_a_member_whose_folder_is_missing_is_refused_since_the_kernel_would_drop_it() -> None:
    with pytest.raises(UsageError, match=r"'dev/console'.*'dev' is not there"):
        packed(cpio.character_device("dev/console", 5, 1))


def test_a_member_below_a_file_is_refused() -> None:
    with pytest.raises(UsageError, match="is no folder"):
        packed(cpio.file("a", b""), cpio.file("a/b", b""))


def test_a_folder_comes_before_what_is_in_it_whatever_else_sorts_between() -> None:
    names = [member.name for member in cpio.read(packed(
        cpio.file("a/b", b""), cpio.file("a-b", b""), cpio.folder("a"), cpio.file("a.c", b""),
    ))]  # fmt: skip
    assert names.index("a") < names.index("a/b")


@pytest.mark.parametrize(
    ("member", "problem"),
    [
        (Member(name="x", mode=0o644), "no mode"),
        (Member(name="x", mode=stat.S_IFREG | 0o1000000), "no mode"),
        (Member(name="x", mode=stat.S_IFLNK | 0o777), "target"),
        (Member(name="x", mode=stat.S_IFDIR | 0o755, data=b"y"), "only files"),
        (Member(name="x", mode=stat.S_IFCHR, device=(-1, 0)), "device numbers"),
        (Member(name="x", mode=stat.S_IFCHR, device=(0, 1 << 32)), "device numbers"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(member: Member, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        packed(member)


def test_a_file_of_4_gib_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as stream:
        stream.truncate(1 << 32)
    with pytest.raises(UsageError, match="4 GiB"):
        packed(cpio.file("huge", path))


def test_archives_one_behind_the_other_are_read_as_one() -> None:
    data = packed(cpio.file("a", b"1")) + b"\0" * 508 + packed(cpio.file("b", b"2"))
    assert [member.name for member in cpio.read(data)] == ["a", "b"]


def test_padding_behind_the_last_archive_is_no_error() -> None:
    assert len(list(cpio.read(packed(*TREE) + b"\0" * 300))) == len(TREE)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "ends without"),
        (b"\x1f\x8b\x08", "no newc member at byte 0"),
        (b"070707" + b"0" * 200, "no newc member"),
        (b"070701" + b"G" * 104 + b"\0" * 16, "damaged"),
        (packed(cpio.file("a", b"12345678"))[:116], "cut short"),
        (packed(cpio.file("a", b"1"))[:116], "ends without"),
    ],
    ids=["empty", "gzip", "odc", "no-hex", "cut-in-data", "no-trailer"],
)
def test_a_damaged_archive_is_named(data: bytes, problem: str) -> None:
    with pytest.raises(UsageError, match=f"^some.cpio: .*{problem}"):
        list(cpio.read(data, where="some.cpio"))
