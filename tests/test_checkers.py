"""Checks of files as they are in a tree: comments, documents, headers for userspace."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import commit
from test_kselftest import X86_64, take

from harness import blobs, checkers, checkpatch, filecheck, paths, rst, series, toolchain
from harness import tree as trees
from harness.filecheck import Request, Said
from harness.job import Tree
from harness.limits import DEFAULT
from harness.store import Store

Ask = Callable[..., Said]

OUT_OF_PLACE = """\
/**
 * answer - say so
 * @a: one
 */
int answer(int a, int b)
{
	return a + b;
}
"""
BROKEN_RST = """\
.. SPDX-License-Identifier: GPL-2.0

======
A heap
======

It is *bold, see :ref:`heap` and :c:func:`kfree`.

.. kernel-doc:: fs/answer.c
   :internal:

.. not:: one that Sphinx has

- one
  - two
 three
"""
SOUND_RST = """\
.. SPDX-License-Identifier: GPL-2.0
.. include:: <isonum.txt>

======
A heap
======

:Author: Nobody |copy| 2026

See :ref:`heap`, :c:func:`kfree` and `below`_.

.. flat-table:: what is read
   :header-rows: 1

   * - one
     - two

.. kernel-render:: DOT
   digraph foo {
     a -> b;
   }

Below
-----

.. c:function:: int answer(int a)

   The answer::

     code * here
"""
LONE_UAPI = """\
/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _UAPI_LINUX_ANSWER_H
#define _UAPI_LINUX_ANSWER_H
#include <linux/compiler.h>

struct answer {
	u32 value;
};

#endif
"""


def ask_of(name: str, tree: Tree, files: list[str], store: Store) -> Said:
    request = Request(
        tree=tree, files=files, arch=X86_64, toolchain=toolchain.find("gcc", X86_64, store),
        store=store, limits=DEFAULT,
    )  # fmt: skip
    return checkers.CHECKERS[name].run(request)


@pytest.fixture
def ask(clone: Path, store: Store) -> Ask:
    """Ask a check about files that are added to the stand-in: (check, text by name)."""

    def ask(name: str, files: Mapping[str, str]) -> Said:
        for path, text in files.items():
            (clone / path).parent.mkdir(parents=True, exist_ok=True)
            (clone / path).write_text(text)
        commit(clone, "stand-in: more")
        return ask_of(name, take(clone, store), list(files), store)

    return ask


def facts(said: Said) -> list[tuple[str, int, str, str]]:
    """Return (file, line, flag, message) of each."""
    return [(each.file, each.line, each.flag, each.message) for each in said.warnings]


# --- files ----------------------------------------------------------------------------------


def test_files_come_out_of_the_repository_as_they_are(clone: Path, store: Store) -> None:
    (clone / "binary").write_bytes(b"\0\n12 blob\n\xff")
    (clone / "empty").touch()
    (clone / "link").symlink_to("/etc/passwd")
    commit(clone, "stand-in: odd files")
    tree = take(clone, store)
    found = blobs.names(tree, ["fs", "empty", "link", "binary", "nonesuch"])
    assert sorted(found) == ["binary", "empty", "fs/namespace.c"]
    folder = store.root / "exported"
    blobs.export(tree, found, folder)
    for name in found:
        assert (folder / name).read_bytes() == (clone / name).read_bytes()
    assert blobs.names(tree, []) == {}


def test_what_was_asked_once_is_not_asked_again(store: Store) -> None:
    asked: list[str] = []

    def look() -> Said:
        asked.append("again")
        return Said(version="1")

    for inputs in ({"a": "1"}, {"a": "1"}, {"a": "2"}):
        assert filecheck.once("rst", inputs, store, look) == Said(version="1")
    assert len(asked) == 2


def test_each_check_wants_its_own_files() -> None:
    files = [
        "fs/namespace.c", "include/linux/fs.h", "include/uapi/linux/fs.h", "fs/Kconfig",
        "arch/x86/include/uapi/asm/stat.h", "Documentation/filesystems/vfs.rst",
        "tools/include/linux/fs.h", "README", "include/uapi/linux/Kbuild",
    ]  # fmt: skip
    wanted = {name: list(filter(row.wants, files)) for name, row in checkers.CHECKERS.items()}
    assert wanted == {
        "kernel-doc": [*files[:3], files[4]],
        "rst": [files[5]],
        "uapi": [files[2], files[4]],
    }


# --- kernel-doc -----------------------------------------------------------------------------

_PYTHON = '#!/usr/bin/env python3\nimport sys\nprint(f"Warning: {sys.argv[2]}:7 in Python")\n'
_PERL = '#!/usr/bin/env perl\nprint STDERR "$ARGV[1]:7: warning: in Perl\\n";\n'


@pytest.mark.parametrize(
    ("script", "text", "message"),
    [
        ("scripts/kernel-doc", _PERL, "in Perl"),
        ("scripts/kernel-doc", _PYTHON, "in Python"),
        ("scripts/kernel-doc.py", _PYTHON, "in Python"),
        ("tools/docs/kernel-doc", _PYTHON, "in Python"),
    ],
)
def test_kernel_doc_is_asked_wherever_and_whatever_it_is(
    ask: Ask, script: str, text: str, message: str
) -> None:
    said = ask("kernel-doc", {script: text, "fs/a.c": "int a;\n"})
    # The first file that the stand-in is asked about is the script.
    assert [each[1:] for each in facts(said)] == [(7, "kernel-doc", message)]
    assert said.version == script


def test_a_kernel_doc_that_fails_or_is_not_there_has_not_been_asked(ask: Ask) -> None:
    said = ask("kernel-doc", {"fs/a.c": "int a;\n"})
    assert said.why_not == "the tree has no scripts/kernel-doc"
    said = ask("kernel-doc", {"scripts/kernel-doc": "#!/usr/bin/perl\ndie 'not today';\n"})
    assert said.why_not.startswith("scripts/kernel-doc fails: not today")


def test_a_file_that_is_not_there_yet_says_nothing(ask: Ask, clone: Path, store: Store) -> None:
    ask("kernel-doc", {"scripts/kernel-doc": "import sys\nsys.exit('no files')\n"})
    for name, file in (("kernel-doc", "fs/new.c"), ("rst", "Documentation/new.rst"),
                       ("uapi", "include/uapi/linux/new.h")):  # fmt: skip
        said = ask_of(name, take(clone, store), [file], store)
        assert (said.why_not, said.warnings) == ("", ())


# --- documents ------------------------------------------------------------------------------


def test_what_breaks_the_structure_of_a_document_is_said_with_its_line(ask: Ask) -> None:
    said = ask("rst", {"Documentation/heap.rst": BROKEN_RST})
    assert said.version.startswith("docutils ")
    assert facts(said) == [
        ("Documentation/heap.rst", line, "rst", message)
        for line, message in (
            (7, "Inline emphasis start-string without end-string."),
            (12, 'Unknown directive type "not".'),
            (16, "Bullet list ends without a blank line; unexpected unindent."),
        )
    ]


def test_what_a_document_has_of_sphinx_is_no_fault(ask: Ask) -> None:
    said = ask("rst", {"Documentation/heap.rst": SOUND_RST})
    assert (said.why_not, said.warnings) == ("", ())


def test_a_document_reads_no_file_of_this_machine(tmp_path: Path, ask: Ask) -> None:
    secret = tmp_path / "secret"
    secret.write_text("*secret")
    text = (
        "".join(
            f".. {name}:: {secret}\n\n"
            for name in ("include", "literalinclude", "raw:: html\n  :file")
        )
        + f".. csv-table:: x\n   :file: {secret}\n"
    )
    said = ask("rst", {"Documentation/heap.rst": text})
    assert (said.why_not, said.warnings) == ("", ())


def test_names_of_sphinx_are_in_one_list_each() -> None:
    names = tomllib.loads(rst._NAMES.read_text())
    assert not set(names["read"]) & set(names["unread"])


# --- headers for userspace ------------------------------------------------------------------


def test_a_header_that_does_not_stand_alone_is_told_at_its_own_line(ask: Ask) -> None:
    said = ask("uapi", {"include/uapi/linux/answer.h": LONE_UAPI})
    # Without the line that is not exported it is the sixth; and what C++ says is the same.
    assert said.why_not == ""
    [(file, line, flag, message), *others] = facts(said)
    assert (file, line, flag) == ("include/uapi/linux/answer.h", 7, "error")
    assert message.startswith("unknown type name 'u32'")
    assert {each[1] for each in others} <= {7}
    assert any("u32 value;" in line for line in said.warnings[0].text)


def test_what_only_c_plus_plus_does_not_take_is_told(ask: Ask) -> None:
    said = ask("uapi", {"include/uapi/linux/answer.h": LONE_UAPI.replace("u32 value", "int new")})
    if "c++98" not in said.version:
        pytest.skip("there is no C++ compiler")
    assert next(each[:3] for each in facts(said)) == ("include/uapi/linux/answer.h", 7, "error")
    sound = ask("uapi", {"include/uapi/linux/answer.h": LONE_UAPI.replace("u32", "int")})
    assert (sound.why_not, sound.warnings) == ("", ())


def test_headers_that_are_not_exported_are_not_compiled(ask: Ask) -> None:
    said = ask("uapi", {"include/uapi/asm-generic/deep/x.h": "nonsense\n"})
    assert (said.why_not, said.warnings) == ("", ())
    said = ask("uapi", {"arch/arm64/include/uapi/asm/x.h": "nonsense\n"})
    assert (said.why_not, said.warnings) == ("", ())


# --- the kernel's own -----------------------------------------------------------------------

_ADDED = {
    "fs/answer.c": OUT_OF_PLACE,
    "Documentation/filesystems/heap.rst": BROKEN_RST,
    "include/uapi/linux/answer.h": LONE_UAPI,
}


def _diff(name: str, text: str) -> str:
    lines = text.splitlines()
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
    return f"{head}@@ -0,0 +1,{len(lines)} @@\n" + "".join(f"+{line}\n" for line in lines)


@pytest.mark.kernel
@pytest.mark.parametrize("version", ["6.18.5", "6.19.11"])
def test_scripts_and_headers_of_a_real_kernel_are_asked(version: str, tmp_path: Path) -> None:
    folder = tmp_path / "answer"
    folder.mkdir()
    mail = "From: A U Thor <author@example.org>\nSubject: [PATCH] fs: add an answer\n\nFor all.\n"
    diff = "".join(_diff(*each) for each in _ADDED.items())
    (folder / "0001-answer.patch").write_text(f"{mail}---\n{diff}")
    whole = series.load(str(folder), search=())
    store = Store(paths.cache_dir())
    tree, _ = trees.materialise(whole, base_name=version, clone=None, store=store)
    found = {
        name: ask_of(name, tree, list(filter(row.wants, _ADDED)), store)
        for name, row in checkers.CHECKERS.items()
    }
    assert [said.why_not for said in found.values()] == ["", "", ""]
    assert facts(found["kernel-doc"]) == [
        ("fs/answer.c", 5, "kernel-doc", "function parameter 'b' not described in 'answer'")
    ]
    assert [line for _, line, _, _ in facts(found["rst"])] == [7, 12, 16]
    assert facts(found["uapi"])[0] == (
        "include/uapi/linux/answer.h", 7, "error", "unknown type name 'u32'"
    )  # fmt: skip
    said = checkpatch.run(whole.patches[0], tree, store)
    assert "MISSING_SIGN_OFF" not in {each.flag for each in said.warnings}
    assert ("fs/answer.c", "SPDX_LICENSE_TAG") in {(w.file, w.flag) for w in said.warnings}
    assert [w.line for w in said.warnings if w.flag == "FILE_PATH_CHANGES"] == [0]
