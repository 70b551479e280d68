"""What a gate says of the sources: each checker once, through `harness check`."""

from pathlib import Path

from conftest import commit
from test_check import OLD, Check, Topic, check, read, topic
from test_checkers import BROKEN_RST, LONE_UAPI, SOUND_RST

from harness import toolchain

__all__ = ["check", "topic"]

_KERNEL_DOC = """\
#!/usr/bin/env python3
import sys
for name in sys.argv[2:]:
    for number, line in enumerate(open(name), 1):
        if "@" in line and "described" not in line:
            print(f"Warning: {name}:{number} not described")
"""
# gcc has nothing to say of it.
_SELF = "\nint same(int a);\nint same(int a)\n{\n\ta = a;\n\treturn a;\n}\n"
_BAD = {
    "fs/namespace.c": f"/**\n * @one: x\n */\n{OLD}{_SELF}",
    "Documentation/heap.rst": BROKEN_RST,
    "include/uapi/linux/answer.h": LONE_UAPI,
}
_GOOD = {
    "fs/namespace.c": OLD,
    "Documentation/heap.rst": SOUND_RST,
    "include/uapi/linux/answer.h": LONE_UAPI.replace("u32", "int"),
}


def test_what_each_check_of_the_sources_finds_is_of_the_patch_that_brings_it(
    topic: Topic, check: Check, clone: Path, project: Path
) -> None:
    has_clang = toolchain.newest_llvm() is not None
    (clone / "scripts/kernel-doc").write_text(_KERNEL_DOC)
    commit(clone, "scripts: kernel-doc")
    with (project / "harness.toml").open("a") as file:
        file.write('[checks]\nclang = "warning"\nuapi = "warning"\n"W=1" = "off"\nsparse = "off"\n')
    topic(("fs: do it badly", _BAD), ("fs: do it well", _GOOD))
    done = check("--json")
    assert done.returncode == 1, done.stderr
    found = read(done)
    names = {"kernel-doc", "rst", "uapi", *(["clang"] if has_clang else [])}
    said = [patch["warnings_new"] for patch in found["patches"]]
    own = [[w for w in new if w["check"] in names] for new in said]
    assert {each["check"]: each["severity"] for each in own[0]} == {
        name: "error" if name in ("kernel-doc", "rst") else "warning" for name in names
    }
    assert own[1] == []
    assert {each["check"] for each in found["patches"][1]["warnings_fixed"]} == names
    lines = {each["check"]: each["source"] for each in reversed(own[0])}
    assert lines["kernel-doc"] == " * @one: x"
    assert lines["rst"].startswith("It is *bold")
    assert lines["uapi"] == "\tu32 value;"
    if has_clang:
        assert lines["clang"] == "\ta = a;"
    checks = {each["name"]: each for each in found["checks"]}
    assert {name for name in names if checks[name]["ran"]} == names
    assert checks["kernel-doc"]["version"] == "scripts/kernel-doc"
    assert {"W=1", "sparse"} & set(checks) == set()
    if not has_clang:
        assert checks["clang"]["why"] == "clang is not installed"


def test_a_check_that_has_nothing_to_look_at_is_said_not_to_have_been_made(
    topic: Topic, check: Check
) -> None:
    topic(("readme: say so", {"README": "x\n"}))
    found = read(check("--json"))
    checks = {each["name"]: each for each in found["checks"]}
    for name in ("W=1", "sparse", "kernel-doc", "rst", "uapi"):
        assert (checks[name]["ran"], checks[name]["why"]) == (
            False, "no patch touches what it is for"
        )  # fmt: skip
    assert "clang" not in checks
    # Nobody need be told of them.
    assert "not checked: rst" not in check().stdout
