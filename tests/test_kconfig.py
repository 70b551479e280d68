"""Layers, survival, and why a symbol was lost."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import arch, kconfig, kconfig_language, kconfig_why
from harness.errors import Outcome, SubjectError, UsageError
from harness.job import Tree
from harness.lane import Worktree
from harness.store import Store
from harness.toolchain import Toolchain

X86 = arch.load("x86_64")
NO_COMPILER = Toolchain(identity="", compiler="")

KCONFIG = """\
mainmenu "Test"

config EXPERT
	bool "Expert"

config NET
	bool "Networking"
	help
	  if this were read as a statement,
	  the words below would be lost
	  endif

if NET

config NET_9P
	tristate "Plan 9"
	depends on PCI || \\
		MMIO

config NET_CORE
	bool

config VIA_9P
	bool "Via"
	select NET_CORE if EXPERT

endif # NET

menu "Bus"
	depends on EXPERT

config PCI
	bool "PCI"

endmenu

config MMIO
	bool "MMIO"
	depends on !PCI && $(success,true)

choice
	prompt "Timer"

config HZ_100
	bool "100 Hz"

config HZ_250
	bool "250 Hz"

endchoice

config BUG
	bool "BUG() support" if EXPERT
	default y

config LOG_SHIFT
	int "Log size" if EXPERT && NET
	range 12 25

source "arch/$(SRCARCH)/Kconfig"
"""

ARCH_KCONFIG = """\
config X86_ONLY
	bool "Only here"
	depends on NET && (PCI || MMIO) && LOG_SHIFT > 12
"""


@pytest.fixture
def language(tmp_path: Path) -> kconfig_language.Language:
    (tmp_path / "Kconfig").write_text(KCONFIG)
    (tmp_path / "arch/x86").mkdir(parents=True)
    (tmp_path / "arch/x86/Kconfig").write_text(ARCH_KCONFIG)
    return kconfig_language.read(tmp_path, "x86")


@pytest.mark.parametrize(
    ("name", "wanted", "values", "reason"),
    [
        pytest.param("NET9P", "y", {},
                     "no such symbol in this tree; near names: NET_9P, NET", id="misspelt"),
        pytest.param("ZEBRA", "y", {}, "no such symbol in this tree", id="unknown"),
        pytest.param("NET_9P", "y", {},
                     "depends on NET (NET is n); PCI || MMIO (PCI is n, MMIO is n)",
                     id="if-block and continued line"),
        pytest.param("NET_9P", "y", {"NET": "y"}, "depends on PCI || MMIO (PCI is n, MMIO is n)",
                     id="disjunction"),
        pytest.param("PCI", "y", {}, "depends on EXPERT (EXPERT is n)", id="menu"),
        pytest.param("MMIO", "y", {"PCI": "y"}, "depends on !PCI (PCI is y)", id="negation"),
        pytest.param("NET_CORE", "y", {"NET": "y"},
                     "it has no prompt, so it cannot be asked for; VIA_9P select it",
                     id="no prompt"),
        pytest.param("HZ_100", "y", {"HZ_250": "y"}, "its choice is taken by HZ_250", id="choice"),
        pytest.param("HZ_250", "n", {"HZ_250": "y"}, "it is y: its choice needs one member set",
                     id="choice needs one"),
        pytest.param("NET_CORE", "n", {"NET_CORE": "y", "VIA_9P": "y", "EXPERT": "y"},
                     "it is y, selected by VIA_9P", id="selected"),
        pytest.param("BUG", "n", {"BUG": "y"},
                     "it is y by default, and can be unset only if EXPERT (EXPERT is n)",
                     id="default"),
        pytest.param("LOG_SHIFT", "99", {"LOG_SHIFT": "17", "EXPERT": "y", "NET": "y"},
                     "Kconfig made it 17: out of its range, or not of its type (int)", id="range"),
        pytest.param("LOG_SHIFT", "14", {"LOG_SHIFT": "17", "EXPERT": "y"},
                     "can be set only if NET (NET is n)", id="prompt's condition"),
        pytest.param("X86_ONLY", "y", {"NET": "y", "PCI": "y", "LOG_SHIFT": "12"},
                     "depends on LOG_SHIFT > 12 (LOG_SHIFT is 12)", id="sourced, compared"),
    ],
)  # fmt: skip
def test_a_lost_symbol_is_explained(
    language: kconfig_language.Language, name: str, wanted: str, values: dict[str, str], reason: str
) -> None:
    assert kconfig_why.explain(name, wanted, values, language) == reason


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("A", 2), ("B", 0), ("M", 1), ("!A", 0), ("!M", 1), ("A && M", 1), ("B || M", 1),
        ("A && (B || A)", 2), ("A = y", 2), ("A != y", 0), ('S = "text"', 2), ("N >= 12", 2),
        ("N < 12", 0), ("$(success,test -e x) && B", 0), ("$(success,test -e x)", 2),
        ("B = n || B = m", 2), ("!(A && B)", 2), ("UNKNOWN", 0), ("", 0),
    ],
)  # fmt: skip
def test_conditions_have_kconfigs_three_values(expression: str, value: int) -> None:
    values = {"A": "y", "M": "m", "S": '"text"', "N": "12"}
    assert kconfig_why.evaluate(expression, values) == value


def test_parse_reads_every_form_of_assignment() -> None:
    found = kconfig.parse(
        '# a comment\n\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C="x y"\nCONFIG_D=n # soft\n',
        "here",
    )
    assert [(each.name, each.value, each.is_soft) for each in found] == [
        ("A", "y", False),
        ("B", "n", False),
        ("C", '"x y"', False),
        ("D", "n", True),
    ]


def test_parse_names_the_line_that_is_no_assignment() -> None:
    with pytest.raises(UsageError, match=r"^mine:2: 'CONFIG_B y' is no kconfig assignment$"):
        kconfig.parse("CONFIG_A=y\nCONFIG_B y\n", "mine")


def test_the_later_layer_wins() -> None:
    layers = [kconfig.parse("CONFIG_A=y\nCONFIG_B=y", "1"), kconfig.parse("CONFIG_A=n", "2")]
    assert [each.line for each in kconfig.merge(layers).values()] == [
        "# CONFIG_A is not set",
        "CONFIG_B=y",
    ]


def test_soft_symbols_may_be_lost_and_absent_means_no() -> None:
    wanted = kconfig.merge([kconfig.parse("CONFIG_A=y # soft\nCONFIG_B=n\nCONFIG_C=y", "1")])
    assert [each.name for each in kconfig.find_lost(wanted, {})] == ["C"]


# --- with make ------------------------------------------------------------------------------


def request(tmp_path: Path, text: str = "CONFIG_NET=y\n", **more: Any) -> kconfig.Request:
    folder = tmp_path / "kconfigs"
    (folder / "flavor").mkdir(parents=True, exist_ok=True)
    (folder / "mini.config.j2").write_text(text)
    (folder / "flavor/more.config").write_text("# because\nCONFIG_EXPERT=y\n")
    return kconfig.Request(**{"profile": "mini", "arch": X86, "search": (folder,), **more})


def resolve(
    wanted: kconfig.Request, clone: Path, store: Store
) -> tuple[dict[str, kconfig.Assignment], bool]:
    @contextmanager
    def checkout() -> Iterator[Worktree]:
        yield Worktree(path=clone, lock_fd=sys.stderr.fileno())

    tree = Tree(
        repo=clone, base="stand-in", base_commit="", source="", commit="", tree_hash="", lane="l",
        config_id="1",
    )  # fmt: skip
    found, entry = kconfig.resolve(
        wanted, tree, toolchain=NO_COMPILER, checkout=checkout, store=store
    )
    return kconfig.merge([kconfig.parse(found.path.read_text(), "")]), entry.cached


def test_profile_flavor_scenario_and_user_are_laid_over_one_another(
    tmp_path: Path, clone: Path, store: Store
) -> None:
    own = tmp_path / "own.config"
    own.write_text("CONFIG_HZ_100=y\n")
    wanted = request(
        tmp_path,
        "CONFIG_NET={{ 'y' if arch == 'x86_64' else 'n' }}\n",
        flavors=("more",),
        scenario=("CONFIG_NET_9P=y",),
        extra=(str(own), "CONFIG_SLOW_BOOT=y"),
    )
    got, _ = resolve(wanted, clone, store)
    assert sorted(got) == ["EXPERT", "HZ_100", "NET", "NET_9P", "SLOW_BOOT"]


def test_an_equal_request_is_cached_and_a_changed_template_is_not(
    tmp_path: Path, clone: Path, store: Store
) -> None:
    assert not resolve(request(tmp_path), clone, store)[1]
    assert resolve(request(tmp_path), clone, store)[1]
    assert not resolve(request(tmp_path, "CONFIG_NET=y\nCONFIG_EXPERT=y\n"), clone, store)[1]


def test_programs_that_no_symbol_needs_are_not_seen(
    tmp_path: Path, clone: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    found = []
    for version in ("1", "2"):
        for name in ("rustc", "bindgen", "pahole"):
            (folder / name).write_text(f"#!/bin/sh\necho {name} {version}\n")
            (folder / name).chmod(0o755)
        plain, _ = resolve(request(tmp_path), clone, store)
        assert sorted(plain) == ["NET"]
        wanted = request(tmp_path, "CONFIG_NET=y\nCONFIG_DEBUG_INFO_BTF=y\n")
        asked, is_cached = resolve(wanted, clone, store)
        assert not is_cached
        assert "RUSTC_VERSION_TEXT" not in asked
        found.append(asked["PAHOLE_VERSION"].value)
    assert found == ['"pahole 1"', '"pahole 2"']


def test_lost_symbols_stop_the_job_one_line_each(tmp_path: Path, clone: Path, store: Store) -> None:
    wanted = request(tmp_path, "CONFIG_NET_9P=y\nCONFIG_NET9P=y\n")
    with pytest.raises(SubjectError) as caught:
        resolve(wanted, clone, store)
    assert caught.value.outcome is Outcome.CONFIG_LOST
    assert caught.value.message == (
        "CONFIG_NET_9P, CONFIG_NET9P did not survive Kconfig on stand-in"
    )
    assert caught.value.evidence == (
        "CONFIG_NET_9P=y (profile mini): depends on NET (NET is n)",
        "CONFIG_NET9P=y (profile mini): no such symbol in this tree; near names: NET_9P, NET",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"profile": "huge"}, "no profile named 'huge'; there are: mini"),
        ({"flavors": ("odd",)}, "no flavor named 'odd'; there are: more"),
        ({"extra": ("CONFIG",)},
         "--kconfig CONFIG: neither an assignment like CONFIG_X=y nor a file that exists"),
    ],
)  # fmt: skip
def test_what_does_not_exist_is_named_with_what_does(
    tmp_path: Path, clone: Path, store: Store, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(request(tmp_path, **change), clone, store)
    assert caught.value.message == message


def test_an_error_in_a_template_names_the_template(
    tmp_path: Path, clone: Path, store: Store
) -> None:
    with pytest.raises(UsageError, match=r"^mini\.config\.j2: 'nothing' is undefined$"):
        resolve(request(tmp_path, "{{ nothing }}"), clone, store)
