"""Build logs: the first error, whose fault it is, warnings by identity."""

import re
from pathlib import Path

import pytest

from harness import buildlog
from harness.job import CompilerWarning

LOGS = Path(__file__).parent / "corpus" / "build"


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("compile-error", "../fs/namespace.c: In function 'mnt_alloc_id':"),
        (
            "missing-header",
            "../fs/nullfs.c:4:10: fatal error: linux/fs/super_types.h: No such file",
        ),
        ("undefined-reference", "namespace.c:(.init.text+0x1a2): undefined reference to"),
        (
            "clang-error",
            "/src/fs/namespace.c:242:9: error: use of undeclared identifier 'treu'",
        ),
        ("lld-undefined-symbol", "ld.lld-19: error: undefined symbol: nullfs_fs_get"),
        ("no-rule", "make[4]: *** No rule to make target 'fs/nullfs.o'"),
    ],
)
def test_the_first_error_is_the_compilers_own(name: str, first: str) -> None:
    lines = (LOGS / f"{name}.log").read_text().splitlines()
    found = buildlog.first_error(lines)
    assert found[0].startswith(first)
    assert len(found) <= 6


def test_the_headline_of_an_error_in_a_function_is_the_error() -> None:
    lines = (LOGS / "compile-error.log").read_text().splitlines()
    assert buildlog.headline(buildlog.first_error(lines)) == (
        "../fs/namespace.c:178:15: error: 'res' undeclared (first use in this function)"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("killed-by-oom", "the compiler ran out of memory"),
        ("out-of-memory", "the compiler ran out of memory"),
        ("compiler-killed", "the compiler was killed"),
        ("compiler-killed-under-ccache", "the compiler was ended by a signal"),
        ("no-more-processes", "this machine's limits on processes and files are too low"),
        (
            "mapped-file-lost",
            "a program lost the file it had mapped: the disk is full or failing",
        ),
        ("output-not-writable", "the compiler cannot write its output"),
        ("disk-full", "the disk is full"),
        ("quota", "the disk quota is used up"),
        ("io-error", "the disk cannot be written"),
        ("no-flex", "a build tool is missing: flex"),
        ("compiler-too-old", "Clang 14.0.6 is too old for this kernel, which wants 15.0.0"),
        ("no-libelf", "a header of this machine is missing: gelf.h"),
    ],
)
def test_this_machines_faults_are_told_from_the_kernels(name: str, message: str) -> None:
    fault = buildlog.host_fault((LOGS / f"{name}.log").read_text())
    assert fault is not None
    assert fault[0] == message


@pytest.mark.parametrize(
    "name",
    [
        "compile-error",
        "missing-header",
        "undefined-reference",
        "no-rule",
        "clang-error",
        "lld-undefined-symbol",
    ],
)
def test_the_kernels_faults_are_not_this_machines(name: str) -> None:
    assert buildlog.host_fault((LOGS / f"{name}.log").read_text()) is None


@pytest.mark.parametrize("path", sorted(LOGS.glob("*.log")), ids=lambda path: path.stem)
def test_a_failed_make_has_the_last_word_unless_its_log_is_cut(path: Path) -> None:
    text = path.read_text()
    if "***" in text:
        assert buildlog.has_last_word(text)
        head = text.partition("***")[0].rpartition("\n")[0]
        assert not buildlog.has_last_word(head)
    assert not buildlog.has_last_word("")


def test_a_make_that_was_told_to_end_says_so_last() -> None:
    sub = "make[1]: *** [/src/Makefile:2046: .] Terminated\n"
    assert buildlog.is_interrupted(f"  CC a.o\n{sub}make: *** [Makefile:248: all] Terminated\n")
    # The one that waits for all the others has not ended.
    assert not buildlog.is_interrupted(sub)
    assert not buildlog.is_interrupted("make: *** [Makefile:248: all] Error 2\n")


def test_a_compiler_that_says_why_it_failed_was_not_killed() -> None:
    log = (LOGS / "compiler-killed-under-ccache.log").read_text()
    assert buildlog.host_fault(f"a.c:1:2: error: no such thing\n{log}") is None
    assert buildlog.host_fault(log.replace("255", "1")) is None


def test_every_host_fault_has_a_log_that_shows_it() -> None:
    logs = [path.read_text() for path in LOGS.glob("*.log")]
    unseen = [
        pattern
        for pattern, _, _ in buildlog.HOST_FAULTS
        if not any(re.search(pattern, log) for log in logs)
    ]
    assert unseen == []


def test_warnings_are_known_by_file_flag_message_and_function() -> None:
    found = buildlog.warnings((LOGS / "warnings.log").read_text(), Path("/src"))
    assert [each.key for each in found] == [
        CompilerWarning(
            file="fs/namespace.c",
            flag="-Wunused-variable",
            message="unused variable 'unused'",
            function="mnt_alloc_id",
        ).key,
        CompilerWarning(
            file="fs/namespace.c",
            flag="-Wunused-function",
            message="'lonely' defined but not used",
            function="",
        ).key,
        CompilerWarning(
            file="fs/nullfs.o",
            flag="objtool",
            message="nullfs_init+0x4: return with modified stack frame",
            function="",
        ).key,
    ]


def test_clangs_warnings_name_no_function() -> None:
    found = buildlog.warnings((LOGS / "clang-warnings.log").read_text(), Path("/src"))
    assert [each.key for each in found] == [
        CompilerWarning(
            file="fs/namespace.c",
            flag="-Wunused-variable",
            message="unused variable 'unused'",
            function="",
        ).key,
        CompilerWarning(
            file="fs/namespace.c",
            flag="-Wunused-function",
            message="unused function 'lonely'",
            function="",
        ).key,
    ]
