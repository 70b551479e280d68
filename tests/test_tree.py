"""tree, base, clone, apply, lane, gitpack: a base and a series become a commit and its files."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, commit, git
from test_series import letter
from upstream import FILES, KernelOrg, make_tarball, serve

from harness import gitmend, gitpack, lane, paths, proc, series, tree
from harness.errors import HostError, Outcome, SubjectError, UsageError
from harness.gitrepo import GitError
from harness.job import PatchState, Series, Tree
from harness.store import Store

NONE = series.load("none", search=())


def hunk(name: str, at: int, new: str) -> str:
    """Return a diff that replaces line `at` (2 to 39) of namespace.c."""
    old, before, after = f"line {at}", f"line {at - 1}", f"line {at + 1}"
    return (
        f"---\ndiff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n"
        f"@@ -{at - 1},3 +{at - 1},3 @@\n {before}\n-{old}\n+{new}\n {after}\n"
    )


def series_of(folder: Path, *diffs: str) -> Series:
    """Return a series with a patch for each diff."""
    folder.mkdir()
    for number, diff in enumerate(diffs, 1):
        text = letter(f"[PATCH {number}/{len(diffs)}] patch {number}", None) + diff
        (folder / f"{number:04}.patch").write_text(text)
    return series.load(str(folder), search=())


@pytest.fixture
def org(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KernelOrg]:
    """A kernel.org that has 6.18.5."""
    with serve() as server:
        monkeypatch.setenv("HARNESS_KERNEL_ORG", server.url)
        server.add(make_tarball(tmp_path / "linux-6.18.5.tar.xz"), "6.18.5")
        yield server


@pytest.fixture
def two(tmp_path: Path) -> Series:
    """Two patches of fs/namespace.c."""
    name = "fs/namespace.c"
    return series_of(tmp_path / "two", hunk(name, 10, "ten"), hunk(name, 20, "twenty"))


def made(found: Series, store: Store, base: str | None = None, clone: Path | None = None) -> Tree:
    return tree.materialise(found, base_name=base, clone=clone, store=store)[0]


def show(found: Tree, name: str) -> bytes:
    argv = ["git", "-C", str(found.repo), "cat-file", "blob", f"{found.commit}:{name}"]
    return subprocess.run(argv, capture_output=True, check=True).stdout


# --- the base -----------------------------------------------------------------------------


def test_pack_is_sound_and_its_tree_is_the_one_git_makes(org: KernelOrg, store: Store) -> None:
    found = made(NONE, store)
    fsck = git(found.repo, "fsck", "--strict", "--full", "--no-dangling")
    assert fsck == ""
    argv = ["git", "-C", str(found.repo), "ls-tree", "-r", found.commit]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.partition("\t")[2] for line in listed] == sorted([*FILES, "fs/link.c"])
    modes = {line.partition("\t")[2]: line[:6] for line in listed}
    assert {modes.pop("scripts/run.sh"), modes.pop("fs/link.c")} == {"100755", "120000"}
    assert set(modes.values()) == {"100644"}
    assert show(found, "fs/latin.c") == FILES["fs/latin.c"]
    # git, from files on disk, comes to the same name.
    work = store.root / "work"
    work.mkdir()
    subprocess.run(
        ["tar", "-xJf", store.root.parents[1] / "linux-6.18.5.tar.xz", "-C", work], check=True
    )
    top = work / "linux-6.18.5"
    (top / ".gitattributes").unlink()
    git(top, "init", "-q")
    (top / ".gitattributes").write_bytes(FILES[".gitattributes"])
    (top / ".git/info/attributes").write_text("* -text -ident\n")
    git(top, "add", "-A", "-f")
    assert git(top, "write-tree") == found.tree_hash
    assert org.asked


def test_large_offsets_of_a_pack_are_indexed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if every offset were past 2 GiB.
    monkeypatch.setattr(gitpack, "_LARGE", 1)
    index = gitpack._index({b"\1" * 20: (7, 12), b"\2" * 20: (8, 99)}, b"p" * 20)
    assert index.count(b"\0" * 7 + bytes([12])) == 1
    assert index.count(b"\0" * 7 + bytes([99])) == 1
    assert len(index) == 8 + 1024 + 2 * (20 + 4 + 4 + 8) + 40
    assert tmp_path.exists()


def test_same_base_is_the_same_commit_everywhere(org: KernelOrg, tmp_path: Path) -> None:
    first = made(NONE, Store(tmp_path / "a"))
    second = made(NONE, Store(tmp_path / "b"))
    assert first.commit == second.commit
    assert org.asked.count("/v6.x/linux-6.18.5.tar.xz") == 2


@pytest.mark.usefixtures("org")
def test_base_says_where_it_came_from_even_later(store: Store) -> None:
    first, later = made(NONE, store), made(NONE, Store(store.root))
    assert first.source == later.source
    assert first.source.startswith("kernel.org linux-6.18.5.tar.xz sha256:")
    # Imported, so the download is not kept.
    assert not list((store.root / "downloads").glob("linux*"))


def test_damaged_tarball_leaves_no_base(org: KernelOrg, store: Store, tmp_path: Path) -> None:
    whole = make_tarball(tmp_path / "linux-6.18.6.tar.xz").read_bytes()
    cut = tmp_path / "cut.tar.xz"
    cut.write_bytes(whole[:-200])
    org.add(cut, "6.18.6")
    with pytest.raises(HostError, match=r"linux-6\.18\.6\.tar\.xz is no sound tarball: "):
        made(NONE, store, "6.18.6")
    assert git(store.root / "git", "for-each-ref") == ""
    assert not list((store.root / "git/objects/pack").iterdir())


def test_tarball_of_something_else_is_no_base(org: KernelOrg, store: Store, tmp_path: Path) -> None:
    org.add(make_tarball(tmp_path / "x.xz", files={"README": b""}), "6.18.6")
    with pytest.raises(HostError, match=r"is no kernel source: it has no Makefile$"):
        made(NONE, store, "6.18.6")


def test_two_processes_import_a_base_once(org: KernelOrg, store: Store) -> None:
    script = (
        "import sys; from pathlib import Path; from harness import series, tree;"
        "from harness.store import Store;"
        "print(tree.materialise(series.load('none', search=()), base_name=None, clone=None,"
        " store=Store(Path(sys.argv[1])))[0].commit)"
    )
    argv = [sys.executable, "-c", script, str(store.root)]
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    commits = {child.communicate()[0] for child in running}
    assert len(commits) == 1
    assert org.asked.count("/v6.x/linux-6.18.5.tar.xz") == 1


BAD_BASES = {
    "master": "--base master: not a kernel version such as 6.18.5",
    "6": "--base 6: not a kernel version such as 6.18.5",
    "6.18.5/../x": "--base 6.18.5/../x: not a kernel version such as 6.18.5",
}


@pytest.mark.parametrize(("name", "message"), BAD_BASES.items(), ids=BAD_BASES.keys())
def test_bad_base_is_one_clear_line(name: str, message: str, store: Store) -> None:
    with pytest.raises(UsageError) as caught:
        made(NONE, store, name)
    assert caught.value.message == message


# --- applying -----------------------------------------------------------------------------


@pytest.mark.usefixtures("org")
def test_every_patch_is_a_commit_that_says_what_its_mail_says(two: Series, store: Store) -> None:
    found = made(two, store)
    assert [patch.state for patch in found.patches] == [PatchState.APPLIED] * 2
    assert show(found, "fs/namespace.c").splitlines()[9:20:10] == [b"ten", b"twenty"]
    shown = git(found.repo, "log", "-2", "--format=%an <%ae> %ad|%s|%b|%cn %cd", found.commit)
    assert shown.splitlines()[0] == (
        "A Hacker <a@harness.invalid> Tue Jan 13 12:00:00 2026 +0100|patch 2|Why."
    )
    assert git(found.repo, "rev-parse", f"{found.commit}~2") == found.base_commit


@pytest.mark.usefixtures("org")
def test_same_series_is_the_same_commit_everywhere(
    two: Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(two, Store(tmp_path / "a"))
    (tmp_path / "gitconfig").write_text("[apply]\n\twhitespace = fix\n[core]\n\tautocrlf = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_COMMITTER_NAME", "somebody else")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_WORK_TREE", "/nowhere")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert made(two, Store(tmp_path / "b")).commit == first.commit


@pytest.mark.usefixtures("org")
def test_change_that_the_base_has_is_recorded_as_such(tmp_path: Path, store: Store) -> None:
    name = "fs/namespace.c"
    again = series_of(
        tmp_path / "s", hunk(name, 10, "ten"), hunk(name, 10, "ten"), hunk(name, 20, "x")
    )
    found = made(again, store)
    assert [patch.state for patch in found.patches] == ["applied", "already-applied", "applied"]
    assert found.patches[1].commit == found.patches[0].commit


@pytest.mark.usefixtures("org")
def test_patch_that_does_not_apply_is_named_with_file_line_and_gits_words(
    tmp_path: Path, store: Store
) -> None:
    name = "fs/namespace.c"
    bad = series_of(
        tmp_path / "s", hunk(name, 5, "five"), hunk(name, 10, "x").replace("-line", "-")
    )
    with pytest.raises(SubjectError) as caught:
        made(bad, store)
    assert caught.value.outcome is Outcome.APPLY_FAILED
    assert caught.value.message == (
        "patch 2 (patch 2) does not apply at fs/namespace.c:9: the hunk there does not match"
    )
    assert caught.value.evidence == (
        "error: patch failed: fs/namespace.c:9",
        "error: fs/namespace.c: patch does not apply",
    )
    assert (
        caught.value.hint == f"it comes from {tmp_path}/s/0002.patch; `--base` chooses another base"
    )
    # Nothing is left: no ref, no index.
    assert git(store.root / "git", "for-each-ref", "refs/trees") == ""
    assert not [path for path in (store.root / "tmp").iterdir() if path.is_dir()]


@pytest.mark.usefixtures("org")
def test_patch_of_a_file_that_is_not_there_is_named(tmp_path: Path, store: Store) -> None:
    with pytest.raises(SubjectError) as caught:
        made(series_of(tmp_path / "s", hunk("fs/gone.c", 10, "x")), store)
    assert caught.value.message == (
        "patch 1 (patch 1) does not apply at fs/gone.c: does not exist in index"
    )


def test_context_that_moved_is_merged_where_the_blobs_are_known(
    clone: Path, store: Store, tmp_path: Path
) -> None:
    file = clone / "fs" / "lines.c"
    file.write_bytes(FILES["fs/namespace.c"])
    commit(clone, "lines")
    text = FILES["fs/namespace.c"].decode()
    file.write_text(text.replace("line 10\n", "ten\n"))
    commit(clone, "ten")
    git(clone, "format-patch", "-q", "-1", "-o", str(tmp_path / "p"))
    git(clone, "reset", "-q", "--hard", "HEAD~1")
    # The context of the patch changes beneath it; git knows both sides.
    file.write_text("\n" * 30 + text.replace("line 13\n", "thirteen\n"))
    commit(clone, "context")
    found = made(series.load(str(tmp_path / "p"), search=()), store, clone=clone)
    assert [patch.state for patch in found.patches] == [PatchState.APPLIED]
    assert b"ten\nline 11\nline 12\nthirteen\n" in show(found, "fs/lines.c")


# --- the cache ----------------------------------------------------------------------------


@pytest.mark.usefixtures("org")
def test_unchanged_series_costs_no_process_at_all(
    two: Series, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(two, store)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError):
        proc.run(["git", "--version"])
    again, entry = tree.materialise(two, base_name=None, clone=None, store=Store(store.root))
    assert (again, entry.cached) == (first, True)


@pytest.mark.usefixtures("org")
@pytest.mark.parametrize("lost", ["git", "git/objects/??/*", "git/objects/pack/*.pack"])
def test_lost_objects_are_made_again(lost: str, two: Series, store: Store) -> None:
    first = made(two, store)
    for path in store.root.glob(lost):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    again = made(two, Store(store.root))
    assert again.commit == first.commit
    assert show(again, "fs/namespace.c").splitlines()[9] == b"ten"
    with checkout(again, store=store) as path:
        assert (path / "fs/namespace.c").exists()


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.chmod(0o644)
    path.write_bytes(data)


def _truncate(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _replace(path: Path) -> None:
    # Of its own kind, or git would see.
    kind = zlib.decompress(path.read_bytes()).partition(b" ")[0]
    loose = (p for p in sorted(path.parents[1].glob("??/*")) if p != path)
    other = next(p for p in loose if zlib.decompress(p.read_bytes()).startswith(kind))
    path.chmod(0o644)
    path.write_bytes(other.read_bytes())


@pytest.mark.usefixtures("org")
@pytest.mark.parametrize(
    ("what", "damage"),
    [
        (what, damage)
        for what in ("pack/*.pack", "pack/*.idx", "../HEAD", "../config", "../info/attributes")
        for damage in (_flip, _truncate)
    ],
)
def test_a_damaged_repository_is_set_aside_and_made_again(
    what: str, damage: Callable[[Path], None], two: Series, tmp_path: Path, store: Store
) -> None:
    first = made(NONE, store)
    (path,) = (store.root / "git/objects").glob(what)
    damage(path)
    # Nothing of these is cached: git has to read.
    again = made(two, Store(store.root))
    other = series_of(tmp_path / "other", hunk("fs/namespace.c", 20, "twenty"))
    found = made(other, Store(store.root))
    assert (again.base_commit, again.tree_hash) != (first.commit, first.tree_hash)
    assert show(found, "fs/namespace.c").splitlines()[19] == b"twenty"
    with checkout(again, store=store) as files:
        assert (files / "fs/latin.c").read_bytes() == FILES["fs/latin.c"]


@pytest.mark.usefixtures("org")
@pytest.mark.parametrize("damage", [_flip, _truncate, _replace])
def test_a_damaged_object_of_a_series_never_reaches_the_worktree(
    damage: Callable[[Path], None], two: Series, store: Store
) -> None:
    first = made(two, store)
    wanted = show(first, "fs/namespace.c")
    for path in sorted((store.root / "git/objects").glob("??/*")):
        whole = path.read_bytes()
        damage(path)
        try:
            with checkout(first, store=store) as files:
                assert (files / "fs/namespace.c").read_bytes() == wanted
            path.write_bytes(whole)
        except GitError as error:
            gitmend.mend(error, store)
            assert made(two, Store(store.root)).commit == first.commit
            assert path.read_bytes() == whole
        shutil.rmtree(store.root / "lanes", ignore_errors=True)


@pytest.mark.usefixtures("org")
def test_a_lock_that_a_killed_git_left_is_in_nobodys_way(two: Series, store: Store) -> None:
    made(NONE, store)
    first = made(two, store)
    for path in (store.root / "git/refs/trees").iterdir():
        path.rename(f"{path}.lock")
    assert made(two, Store(store.root)) == first


CONFIG_RELEVANT = {
    "Kconfig": True,
    "fs/Kconfig.binfmt": True,
    "Makefile": True,
    "arch/x86/Makefile": True,
    "arch/x86/configs/tiny.config": True,
    "scripts/gcc-version.c": True,
    "tools/x.h": True,
    "fs/no-suffix": True,
    "fs/Makefile": False,
    "fs/nullfs.c": False,
    "include/uapi/linux/magic.h": False,
    "Documentation/x.rst": False,
}


@pytest.mark.parametrize(("name", "is_relevant"), CONFIG_RELEVANT.items())
def test_only_some_files_can_change_a_config(name: str, *, is_relevant: bool) -> None:
    assert tree.is_config_relevant(name) is is_relevant


@pytest.mark.usefixtures("org")
def test_config_id_changes_with_kconfig_only(two: Series, tmp_path: Path, store: Store) -> None:
    diff = '---\n--- a/Kconfig\n+++ b/Kconfig\n@@ -1 +1 @@\n-mainmenu "tiny"\n+mainmenu "x"\n'
    base = made(NONE, store)
    assert made(two, store).config_id == base.config_id
    changed = made(series_of(tmp_path / "s", diff), store)
    assert changed.config_id == changed.tree_hash != base.tree_hash


# --- a clone of the user's ----------------------------------------------------------------


def state_of(clone: Path) -> dict[str, tuple[int, int]]:
    """Return mtime and size of every file of a clone, git's own among them."""
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in [clone, *clone.rglob("*")]
    }


PATCH = "---\n--- a/init/new.c\n+++ b/init/new.c\n".replace("a/init/new.c", "/dev/null", 1)
PATCH += "@@ -0,0 +1 @@\n+int new;\n"


def test_clone_is_read_and_nothing_in_it_changes(clone: Path, store: Store, tmp_path: Path) -> None:
    (clone / "fs/namespace.c").write_text("not committed\n")
    (clone / "untracked").write_text("x")
    # Stale stat data: a git that may write would refresh the index.
    os.utime(clone / "Makefile", (1, 1))
    before = state_of(clone)
    found = made(series_of(tmp_path / "s", PATCH), store, clone=clone)
    with checkout(found, store=store) as path:
        assert (path / "init/new.c").read_text() == "int new;\n"
        assert "not committed" not in (path / "fs/namespace.c").read_text()
        assert not (path / "untracked").exists()
    assert state_of(clone) == before
    assert found.base == "HEAD"
    assert found.base_commit == git(clone, "rev-parse", "HEAD")


def test_commits_of_a_clone_share_what_kconfig_makes_of_them(clone: Path, store: Store) -> None:
    def config_id() -> str:
        git(clone, "commit", "-q", "-a", "-m", "change")
        return made(NONE, store, clone=clone).config_id

    before = made(NONE, store, clone=clone)
    (clone / "fs/namespace.c").write_text("int other;\n")
    assert config_id() == before.config_id
    (clone / "Kconfig").write_text('mainmenu "other"\n')
    changed = config_id()
    assert changed != before.config_id
    git(clone, "revert", "--no-edit", "HEAD")
    assert made(NONE, store, clone=clone).config_id == before.config_id


def test_linked_worktree_shallow_and_bare_clones_work(
    clone: Path, store: Store, tmp_path: Path
) -> None:
    head = commit_more(clone)
    git(clone, "worktree", "add", "-q", "--detach", str(tmp_path / "linked"), "HEAD")
    git(clone, "clone", "-q", "--depth=1", f"file://{clone}", str(tmp_path / "shallow"))
    git(clone, "clone", "-q", "--bare", str(clone), str(tmp_path / "bare"))
    patches = series_of(tmp_path / "s", PATCH)
    for name in ("linked", "shallow", "bare"):
        found = made(patches, store, clone=tmp_path / name)
        assert found.base_commit == head
        assert show(found, "init/new.c") == b"int new;\n"
    assert len({made(NONE, store, clone=tmp_path / n).lane for n in ("linked", "shallow")}) == 2


def commit_more(clone: Path) -> str:
    (clone / "more.c").write_text("int more;\n")
    return commit(clone, "more")


def test_partial_clone_says_what_is_missing(clone: Path, store: Store, tmp_path: Path) -> None:
    (clone / "old.c").write_text("int old;\n")
    commit(clone, "old")
    git(clone, "rm", "-q", "old.c")
    commit(clone, "without old")
    git(clone, "config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    git(clone, "clone", "-q", "--filter=blob:none", f"file://{clone}", str(partial))
    assert made(NONE, store, clone=partial).base == "HEAD"
    with pytest.raises(UsageError) as caught:
        made(NONE, store, "HEAD~1", clone=partial)
    assert caught.value.message == f"--tree {partial}: 1 objects of HEAD~1 are not in this clone"


def test_clone_of_another_owner_is_read(clone: Path, store: Store) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    for path in [clone, *clone.rglob("*")]:
        os.chown(path, 65534, 65534, follow_symlinks=False)
    assert made(NONE, store, clone=clone).base == "HEAD"


NO_GIT = "fatal: not a git repository (or any of the parent directories): .git"
NO_KERNEL = "expected Kconfig, and a Makefile with VERSION at its top"


def test_bad_clones_are_one_clear_line(clone: Path, store: Store, tmp_path: Path) -> None:
    plain, other = tmp_path / "plain", tmp_path / "other"
    plain.mkdir()
    git(tmp_path, "init", "-q", str(other))
    (other / "Makefile").write_text("all:\n")
    commit(other, "no kernel")
    cases = [
        (tmp_path / "gone", "HEAD", f"--tree {tmp_path}/gone: no such folder"),
        (
            plain,
            "HEAD",
            f"--tree {plain}: not a git clone ({NO_GIT})",
        ),
        (
            other,
            "HEAD",
            f"--tree {other}: HEAD is no kernel tree: {NO_KERNEL}",
        ),
        (clone, "nosuch", f"--base nosuch: no such revision in {clone}"),
        (clone, "--all", f"--base --all: no such revision in {clone}"),
        (clone, "HEAD:Makefile", f"--base HEAD:Makefile: no such revision in {clone}"),
    ]
    for path, rev, message in cases:
        with pytest.raises(UsageError) as caught:
            made(NONE, store, rev, clone=path)
        assert caught.value.message == message


@contextmanager
def checkout(found: Tree, *, store: Store) -> Iterator[Path]:
    with lane.checkout(found, store=store) as worktree:
        yield worktree.path


# --- the worktree -------------------------------------------------------------------------


@pytest.mark.usefixtures("org")
def test_checkout_touches_only_what_differs(two: Series, store: Store) -> None:
    base, patched = made(NONE, store), made(two, store)
    with checkout(base, store=store) as path:
        assert (path / "fs/link.c").is_symlink()
        assert os.access(path / "scripts/run.sh", os.X_OK)
        assert (path / "fs/latin.c").read_bytes() == FILES["fs/latin.c"]
        before = state_of(path)
    with checkout(patched, store=store) as path:
        after = state_of(path)
    assert {name for name in after if after[name] != before.get(name)} == {
        f"{path}/fs",
        f"{path}/fs/namespace.c",
    }
    with checkout(patched, store=store) as path:
        assert state_of(path) == after


@pytest.mark.usefixtures("org")
def test_worktree_that_somebody_changed_is_set_back(
    two: Series, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    found = made(two, store)
    with checkout(found, store=store) as path:
        pass
    (path / "Makefile").write_text("broken\n")
    (path / "Kconfig").unlink()
    with checkout(found, store=store) as path:
        assert (path / "Makefile").read_bytes() == FILES["Makefile"]
        assert (path / "Kconfig").read_bytes() == FILES["Kconfig"]
    assert "somebody changed files there; they are set back" in capsys.readouterr().err


@pytest.mark.usefixtures("org")
@pytest.mark.parametrize("damage", ["half", "index", "lock", "no-index", "no-commit"])
def test_checkout_that_was_cut_short_is_repaired(damage: str, two: Series, store: Store) -> None:
    base, patched = made(NONE, store), made(two, store)
    with checkout(base, store=store) as path:
        pass
    folder = path.parent
    if damage != "no-commit":
        (folder / "moving").touch()
    if damage == "half":
        (path / "fs/namespace.c").write_bytes(b"half")
        (path / "fs/of-a-third-commit.c").write_bytes(b"x")
        (path / "fs.c").unlink()
    elif damage == "index":
        (folder / "index").write_bytes(b"DIRC junk")
    elif damage == "lock":
        (folder / "index.lock").write_bytes(b"")
    elif damage == "no-index":
        (folder / "index").unlink()
    elif damage == "no-commit":
        (folder / "commit.json").unlink()
    with checkout(patched, store=store) as path:
        assert (path / "fs/namespace.c").read_bytes() == show(patched, "fs/namespace.c")
        assert (path / "fs.c").read_bytes() == FILES["fs.c"]
        assert not (path / "fs/of-a-third-commit.c").exists()
    assert not (folder / "moving").exists()


@pytest.mark.usefixtures("org")
@pytest.mark.parametrize("part", [0.1, 0.4, 0.5, 0.6, 0.9])
def test_an_index_that_is_damaged_is_made_again(
    part: float, two: Series, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """git does not look at its sum when it reads it, and crashes in some of what it finds."""
    base, patched = made(NONE, store), made(two, store)
    with checkout(base, store=store) as path:
        pass
    index = path.parent / "index"
    whole = index.read_bytes()
    at = int(len(whole) * part)
    for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]):
        index.write_bytes(damaged)
        with checkout(patched, store=store) as path:
            assert (path / "fs/namespace.c").read_bytes() == show(patched, "fs/namespace.c")
            assert not git_differs(patched, path)
        assert "index: damaged; the worktree is checked out anew" in capsys.readouterr().err


@pytest.mark.usefixtures("org")
def test_checkout_killed_at_any_moment_is_right_the_next_time(two: Series, store: Store) -> None:
    base, patched = made(NONE, store), made(two, store)
    script = (
        "import json, sys; from pathlib import Path; from harness import lane, series, tree;"
        "from harness.store import Store; store = Store(Path(sys.argv[1]));"
        "trees = [tree.materialise(series.load(s, search=()), base_name=None, clone=None,"
        " store=store)[0] for s in sys.argv[2:]]\n"
        "print('ready', flush=True)\n"
        "while True:\n  for one in trees:\n    with lane.checkout(one, store=store): pass\n"
    )
    argv = [sys.executable, "-c", script, str(store.root), "none", str(two.path)]
    for delay in (0.0, 0.013, 0.029, 0.041):
        child = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert child.stdout
        assert child.stdout.readline() == b"ready\n"
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        for found in (base, patched):
            with checkout(found, store=store) as path:
                assert (path / "fs/namespace.c").read_bytes() == show(found, "fs/namespace.c")
                assert not git_differs(found, path)


def git_differs(found: Tree, path: Path) -> str:
    """Return what git, with a fresh index, finds to differ from the commit."""
    index = path.parent / "fresh"
    index.unlink(missing_ok=True)
    env = {**os.environ, "GIT_DIR": str(found.repo), "GIT_WORK_TREE": str(path)}
    env["GIT_INDEX_FILE"] = str(index)
    subprocess.run(["git", "read-tree", found.commit], env=env, cwd=path, check=True)
    argv = ["git", "status", "--porcelain"]
    run = subprocess.run(argv, env=env, cwd=path, capture_output=True, text=True, check=True)
    return "".join(line for line in run.stdout.splitlines(keepends=True) if line[1] != " ")


def test_worktree_of_an_unwritable_cache_is_named(org: KernelOrg, store: Store) -> None:
    found = made(NONE, store)
    assert org.asked
    (store.root / "lanes").write_text("in the way")
    with pytest.raises(HostError) as caught, checkout(found, store=store):
        pass
    assert caught.value.message == (
        f"cannot write the worktree {store.root}/lanes/6.18.5: Not a directory"
    )


# --- real kernels -------------------------------------------------------------------------


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("version", "states"),
    [
        ("6.18.5", ["applied", "applied", "applied", "applied"]),
        # It has patch 1 as a backport.
        ("6.19.11", ["already-applied", "applied", "applied", "applied"]),
    ],
)
def test_shipped_series_applies_to_its_bases(version: str, states: list[str]) -> None:
    found = series.load("nullfs", search=[ROOT / "patches"])
    store = Store(paths.cache_dir())
    applied = made(found, store, version)
    assert [patch.state for patch in applied.patches] == states
    assert applied.config_id == made(NONE, store, version).config_id
    record = json.loads((applied.repo / f"harness/bases/{version}.json").read_bytes())
    assert version in record["source"]
    assert "sha256:" in record["source"]
