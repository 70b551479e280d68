"""uncompiled: what of a patch this config leaves out, and what would put it in."""

from pathlib import Path

import pytest
from conftest import commit
from test_kselftest import take

from harness import uncompiled
from harness.job import Kernel
from harness.store import Store

_MAKEFILES = {
    "Kbuild": "obj-y += fs/\nobj-$(CONFIG_NET) += net/\n",
    "fs/Makefile": (
        "obj-$(CONFIG_PLAIN) += plain.o\n"
        "obj-$(CONFIG_ONE)\t+= either.o\nobj-$(CONFIG_OTHER) += either.o\n"
        "obj-$(subst m,y,$(CONFIG_PAIR)) += pair.o\npair-y := first.o \\\n\tsecond.o # both\n"
        "pair-$(CONFIG_MORE) += third.o\npair-y += $(rest-y)\nrest-y := fourth.o\n"
        "pair-y += $(addprefix deep/, fifth.o)\n"
        "ifdef CONFIG_AROUND\nobj-y += inner.o\nelse\nobj-y += outer.o\nendif\n"
        "ifneq ($(CONFIG_NOT),y)\nobj-$(CONFIG_PLAIN) += without.o\nendif\n"
        "loop-y := loop.o\n"
    ),
    "net/Makefile": "obj-$(CONFIG_RING) += ring.o\n",
}
_SET = "CONFIG_OTHER=y\nCONFIG_EMPTY=\n# CONFIG_NET is not set\n"


@pytest.mark.parametrize(
    ("file", "symbols"),
    [
        ("fs/plain.c", ["CONFIG_PLAIN"]),
        ("fs/either.c", []),  # one way is open already
        ("fs/first.c", ["CONFIG_PAIR"]),
        ("fs/second.S", ["CONFIG_PAIR"]),
        ("fs/third.c", ["CONFIG_MORE", "CONFIG_PAIR"]),
        ("fs/fourth.c", ["CONFIG_PAIR"]),
        ("fs/deep/fifth.c", ["CONFIG_PAIR"]),
        ("fs/inner.c", ["CONFIG_AROUND"]),
        ("fs/outer.c", []),
        ("fs/without.c", ["CONFIG_PLAIN"]),
        ("fs/loop.c", []),
        ("net/ring.c", ["CONFIG_RING", "CONFIG_NET"]),
        ("net/nobodys.c", []),  # CONFIG_NET alone would not compile it
        ("net/ring.h", []),
    ],
)
def test_what_would_compile_a_file_is_what_the_makefiles_ask_for(
    clone: Path, store: Store, tmp_path: Path, file: str, symbols: list[str]
) -> None:
    for name, text in {**_MAKEFILES, file: "\n"}.items():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text(text)
    commit(clone, "stand-in: makefiles")
    (tmp_path / "config").write_text(_SET)
    (tmp_path / "sources.txt").write_text("init/main.c\n")
    kernel = Kernel(
        arch="x86_64", release="6.99.0", banner="", image=tmp_path / "vmlinux", digest="0",
        built=True, config=tmp_path / "config", sources=tmp_path / "sources.txt",
    )  # fmt: skip
    [found] = uncompiled.of([file, "init/main.c", "Kconfig", "gone.c"], take(clone, store), kernel)
    assert (found.file, found.symbols) == (file, symbols)
