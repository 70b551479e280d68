import pytest

from harness import arch, cmdline
from harness.errors import UsageError

ARCH = arch.load("x86_64")


def line(
    words: str = "",
    *,
    flows: tuple[str, ...] = ("pivot", "keep"),
    flavors: tuple[str, ...] = (),
    has_disk: bool = False,
) -> str:
    return cmdline.kernel_cmdline(
        ARCH, words, nonce="n0", flows=flows, flavors=flavors, has_disk=has_disk
    )


def test_the_whole_line() -> None:
    assert line("nullfs_rootfs") == (
        "console=ttyS0 panic=-1 printk.devkmsg=on reboot=t no_timer_check rootfstype=tmpfs "
        "harness.nonce=n0 harness.flow=pivot,keep nullfs_rootfs"
    )


def test_quotes_and_blanks_of_the_user_stay() -> None:
    words = """dyndbg="file fs/namespace.c +p;  func x +p" a='b c' -- two  blanks"""
    assert line(f" {words} ").endswith(f" harness.flow=pivot,keep {words}")


@pytest.mark.parametrize("words", ["rootfstype=ramfs", 'a "rootfstype=x"', "a  rootfstype=x b"])
def test_the_users_rootfstype_is_the_only_one(words: str) -> None:
    assert line(words).count("rootfstype=") == 1


def test_the_ramfs_flavor_is_one_even_where_a_scenario_has_to_have_tmpfs() -> None:
    assert " rootfstype=ramfs " in line(flavors=("ramfs",))


def test_a_word_that_only_ends_in_rootfstype_is_another() -> None:
    assert "rootfstype=tmpfs" in line("my.rootfstype=x")


def test_no_flows_no_word() -> None:
    assert "harness.flow" not in line(flows=())


def test_what_the_kernel_would_cut_off_is_refused() -> None:
    with pytest.raises(UsageError, match="2047"):
        line("x" * 2000)
    assert line("x" * 1900)


@pytest.mark.parametrize("bad", ["\n", "\0", "\x7f"])
def test_control_characters_are_refused(bad: str) -> None:
    with pytest.raises(UsageError, match="control character"):
        line(f"a{bad}b")


def test_the_script_is_one_option_a_line_and_quotes() -> None:
    argv = ["/usr/bin/qemu", "-m", "64M", "-kernel", "/s/k", "-no-reboot", "-append", "a 'b'"]
    script = cmdline.repro_script(argv, names={"/s/k": "vm linux"})
    assert (
        """\nqemu \\\n    -m 64M \\\n    -kernel 'vm linux' \\\n    -no-reboot \\\n"""
        """    -append 'a '"'"'b'"'"''\n"""
    ) in script


def test_what_the_root_on_a_disk_is_nobody_says_for_the_kernel() -> None:
    assert "rootfstype" not in line("root=/dev/vda", has_disk=True)
    assert "rootfstype=tmpfs" in line("root=/dev/vda")
