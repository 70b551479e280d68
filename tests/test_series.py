"""series, mail, thread, folder, diffpaths: what a user may hand in, and what is said of it."""

import base64
import io
import quopri
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, commit, git

from harness import diffpaths, mail, series
from harness.errors import HostError, UsageError
from harness.job import Series

DIFF = """\
---
 init/main.c | 1 +
 1 file changed, 1 insertion(+)

diff --git a/init/main.c b/init/main.c
index 1111111..2222222 100644
--- a/init/main.c
+++ b/init/main.c
@@ -1 +1,2 @@
 int x;
+int {name};
--\x20
2.39.5

"""
FROM = "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n"


def letter(subject: str, name: str | None = "y", *, headers: str = "", text: str = "Why.") -> str:
    """Return a mail; `name` is the variable its diff adds, None for no diff."""
    diff = DIFF.format(name=name) if name else ""
    return (
        f"{FROM}From: A Hacker <a@harness.invalid>\nDate: Tue, 13 Jan 2026 12:00:00 +0100\n"
        f"Subject: {subject}\n{headers}\n{text}\n\n{diff}"
    )


def patch_of(path: str, *, lines: str = "", mode: str = "100644", target: str = "x") -> str:
    """Return a patch that makes the file `path`."""
    return letter("[PATCH] add", None) + (
        f"---\ndiff --git a/{path} b/{path}\n{lines or f'new file mode {mode}'}\n"
        f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{target}\n"
    )


def load(spec: str | Path, *search: Path, stdin: bytes = b"", tree: Path | None = None) -> Series:
    return series.load(str(spec), search=search, stdin=io.BytesIO(stdin), tree=tree)


def subjects(found: Series) -> list[str]:
    return [patch.subject for patch in found.patches]


def mbox(*letters: str) -> bytes:
    return "".join(letters).encode()


@pytest.fixture
def commits(clone: Path) -> Path:
    """A clone with three more commits: plain, in other words than ASCII, of a CRLF file."""
    (clone / "one.c").write_text("int one;\n")
    commit(clone, "one: add a file with a subject that is so long that git has to fold it twice")
    (clone / "two.c").write_bytes(b"/* gr\xfc\xdfe, in latin-1 */\nint two;\n")
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "--author", "Jörg Müß <j@x.invalid>", "-m", "two: naïve\n\nÜber.")
    (clone / "three.c").write_bytes(b"int three;\r\nint four;\r\n")
    commit(clone, "three: a file with CRLF\n\nFrom the start\nof a line.\n\nSigned-off-by: X <x@y>")
    return clone


# --- what is read -------------------------------------------------------------------------


def test_none_is_a_series_without_patches() -> None:
    assert load("none").patches == ()


def test_shipped_series_is_found_by_name() -> None:
    found = load("nullfs", ROOT / "patches")
    assert [patch.number for patch in found.patches] == [1, 2, 3, 4]
    assert (found.name, found.scenario, found.bases[0]) == ("nullfs", "nullfs", "6.18.5")


def test_format_patch_files_read_as_git_mailinfo_reads_them(commits: Path, tmp_path: Path) -> None:
    git(commits, "format-patch", "-q", "-o", str(tmp_path / "p"), "HEAD~3")
    found = load(tmp_path / "p")
    for patch in found.patches:
        info = subprocess.run(
            ["git", "mailinfo", tmp_path / "msg", tmp_path / "diff"],
            input=Path(patch.origin).read_bytes(),
            capture_output=True,
            check=True,
        )
        words = info.stdout.decode()
        author, _, address = patch.author.partition(" <")
        assert f"Author: {author}\n" in words
        assert f"Email: {address.rstrip('>')}\n" in words
        assert f"Subject: {patch.subject}\n" in words
        assert patch.date in words
        assert patch.diff == (tmp_path / "diff").read_bytes()
        assert patch.message == (tmp_path / "msg").read_text().strip("\n")


def test_range_reads_as_the_files_of_format_patch(commits: Path, tmp_path: Path) -> None:
    git(commits, "format-patch", "-q", "--full-index", "-o", str(tmp_path / "p"), "HEAD~3")
    ranged, filed = load("HEAD~3..HEAD", tree=commits), load(tmp_path / "p")
    assert [(p.subject, p.author, p.date, p.message) for p in ranged.patches] == [
        (p.subject, p.author, p.date, p.message) for p in filed.patches
    ]


def test_plain_headers_read_the_same_without_the_email_package(commits: Path) -> None:
    argv = ["git", "format-patch", "--stdout", "HEAD~3"]
    text = subprocess.run(argv, cwd=commits, capture_output=True, check=True).stdout
    plain = [raw for raw in mail.split_mbox(text) if b"=?" not in raw]
    assert len(plain) == 2
    for raw in plain:
        body = raw.partition(b"\n")[2]
        headers, rest = mail._split_plain(body) or ({}, b"")
        slow_headers, slow_rest = mail._split_encoded(body)
        assert (headers, rest) == (slow_headers, slow_rest)


def encoded(how: str) -> bytes:
    head, _, body = letter("[PATCH 1/1] =?utf-8?q?caf=C3=A9?=").partition("\n\n")
    data = body.encode()
    if how == "base64":
        data = base64.encodebytes(data)
    elif how == "base64-crlf":
        data, how = base64.encodebytes(data.replace(b"\n", b"\r\n")), "base64"
    elif how == "quoted-printable":
        data = quopri.encodestring(data)
    return f"{head}\nContent-Transfer-Encoding: {how}\n\n".encode() + data


@pytest.mark.parametrize("how", ["8bit", "base64", "base64-crlf", "quoted-printable"])
def test_any_transfer_encoding_gives_the_same_diff(how: str) -> None:
    (patch,) = load("-", stdin=encoded(how)).patches
    assert patch.subject == "café"
    assert patch.diff.rstrip() == DIFF.format(name="y").encode().rstrip()


def test_mbox_with_crlf_reads_as_the_one_without() -> None:
    plain = mbox(letter("[PATCH 1/2] a"), letter("[PATCH 2/2] b", "z"))
    assert load("-", stdin=plain.replace(b"\n", b"\r\n")).digest == load("-", stdin=plain).digest


def test_cover_replies_trailers_and_older_versions_are_left_out() -> None:
    thread = mbox(
        letter("[PATCH 1/2] old a", "old_a"),
        letter("[PATCH 2/2] old b", "old_b"),
        letter("[PATCH RFC net-next v10 02/02] b", "b"),
        letter("[PATCH v10 0/2] what it is about", None, text="Cover.\n---\n a.c | 2 ++"),
        letter("Re: [PATCH v10 2/2] b", "quoted"),
        letter("[PATCH v10 2/2] b", None, text="Reviewed-by: B <b@harness.invalid>"),
        letter("[PATCH v10 1/2] a", "a"),
        letter("[PATCH v10 1/2] a", "a"),
        letter("[PATCH] by the way, another fix", "other"),
        letter("some words", None),
    )
    found = load("-", stdin=thread)
    assert subjects(found) == ["a", "b"]
    assert found.title == "what it is about"
    assert b"+int a;" in found.patches[0].diff


def test_in_body_headers_stand_for_the_mails_own() -> None:
    text = "From: Real Author <real@harness.invalid>\nSubject: [PATCH] real\n\nWhy."
    (patch,) = load("-", stdin=mbox(letter("[PATCH] forwarded", text=text))).patches
    assert (patch.author, patch.subject, patch.message) == (
        "Real Author <real@harness.invalid>",
        "real",
        "Why.",
    )


def test_maildir_is_read(tmp_path: Path) -> None:
    for part in ("cur", "new", "tmp"):
        (tmp_path / part).mkdir()
    (tmp_path / "cur" / "1:2,S").write_text(letter("[PATCH 2/2] b", "b"))
    (tmp_path / "new" / "2").write_text(letter("[PATCH 1/2] a", "a"))
    assert subjects(load(tmp_path)) == ["a", "b"]


def test_quilt_series_file_gives_the_order(tmp_path: Path) -> None:
    (tmp_path / "z.patch").write_text(letter("first", "z"))
    (tmp_path / "a.patch").write_text("Words.\n\n" + DIFF.format(name="a"))
    (tmp_path / "series").write_text("# order\nz.patch\na.patch -p1 # second\n")
    assert subjects(load(tmp_path)) == ["first", "patch 2"]


def test_newer_version_of_format_patch_files_wins(tmp_path: Path) -> None:
    for name in ("0001-a.patch", "0002-b.patch", "v2-0000-cover-letter.patch", "v2-0001-a.patch"):
        (tmp_path / name).write_text(letter(f"[PATCH] {name}", "x"))
    assert subjects(load(tmp_path)) == ["v2-0001-a.patch"]


def test_cut_takes_the_first_patches_and_is_another_series() -> None:
    whole, cut = load("nullfs", ROOT / "patches"), load("nullfs:2", ROOT / "patches")
    assert subjects(cut) == subjects(whole)[:2]
    first, _, third, fourth = subjects(whole)
    picked = load("nullfs:1,3-4", ROOT / "patches")
    assert (picked.name, subjects(picked)) == ("nullfs:1,3-4", [first, third, fourth])
    assert len({picked.digest, whole.digest, cut.digest}) == 3
    assert subjects(load("nullfs:3-3", ROOT / "patches")) == [third]
    assert cut.digest != whole.digest
    assert cut.scenario == whole.scenario


def test_digest_is_of_what_matters(tmp_path: Path) -> None:
    same = [letter("[PATCH] a", "x"), letter("[PATCH v3] a", "x")]
    others = [
        letter("[PATCH] b", "x"),
        letter("[PATCH] a", "y"),
        letter("[PATCH] a", "x", text="."),
    ]
    digests = []
    for number, text in enumerate([*same, *others]):
        (tmp_path / f"{number}.patch").write_text(text)
        digests.append(load(tmp_path / f"{number}.patch").digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


def test_lore_goes_through_b4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thread").write_bytes(mbox(letter("[PATCH 1/1] a"), letter("Re: [PATCH 1/1] a")))
    fake = tmp_path / "bin" / "b4"
    fake.parent.mkdir()
    # What `b4 mbox` does: the thread as DIR/MSGID.mbx.
    fake.write_text(
        "#!/bin/sh\n[ \"$1 $2 $3\" = '--no-interactive mbox --outdir' ] || exit 1\n"
        f'cp {tmp_path}/thread "$4/$6.mbx"\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    assert subjects(load("lore:20260112-x@kernel.org")) == ["a"]
    assert subjects(load("lore:20260112-x@kernel.org:1")) == ["a"]


def test_lore_without_b4_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError, match=r"^b4 is not on PATH$") as caught:
        load("lore:x@y")
    assert caught.value.hint == "`pip install b4` gets it; or save the thread as an mbox"


def test_loading_the_shipped_series_is_quick_and_needs_no_email_package() -> None:
    script = (
        "import sys, time; from pathlib import Path; from harness import series;"
        "import json, re, msgspec, tomllib; started = time.process_time();"
        "series.load('nullfs', search=[Path(sys.argv[1])]);"
        "print(time.process_time() - started, 'email' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, ROOT / "patches"],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, has_email = done.stdout.split()
    assert has_email == "False"
    assert float(seconds) < 0.05


# --- what is refused ----------------------------------------------------------------------


def numbered(*names: str) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        for name in names:
            (folder / name).write_text(letter("[PATCH] x", name[3]))

    return fill


def written(name: str, text: str | bytes) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        data = text if isinstance(text, bytes) else text.encode()
        (folder / name).write_bytes(data)

    return fill


def both(*fills: Callable[[Path], None]) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        for one in fills:
            one(folder)

    return fill


ONE = written("0001-a.patch", letter("[PATCH] a"))
BAD_FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (
        lambda _: None,
        "{d}: no patch in it, expected files such as 0001-subject.patch",
    ),
    "gap": (
        numbered("0001-a.patch", "0003-c.patch"),
        "{d}: patch 2 is missing (the last is 3)",
    ),
    "gaps": (
        numbered("0002-a.patch", "0004-c.patch"),
        "{d}: patches 1, 3 are missing (the last is 4)",
    ),
    "last-gone": (
        written("0001-a.patch", letter("[PATCH 1/3] a")),
        "{d}: patches 2, 3 are of 3 missing",
    ),
    "duplicate": (
        numbered("0001-a.patch", "0002-b.patch", "0002-c.patch"),
        "{d}: two patches are number 0002: 0002-b.patch and 0002-c.patch",
    ),
    "no-number": (
        numbered("0001-a.patch", "fix.patch"),
        "{d}/fix.patch: no number in its name, so its place in the series is not known",
    ),
    "empty-file": (
        written("0001-a.patch", ""),
        "{d}/0001-a.patch: empty, expected a patch",
    ),
    "two-mails-in-a-file": (
        written("0001-a.patch", letter("[PATCH 1/2] a") + letter("[PATCH 2/2] b")),
        "{d}/0001-a.patch: 2 mails in it, expected one patch a file",
    ),
    "no-diff": (
        written("0001-a.patch", letter("[PATCH] a", None)),
        "{d}/0001-a.patch: no diff in this patch (a)",
    ),
    "unreadable": (
        lambda folder: (folder / "0001-a.patch").symlink_to("gone"),
        "{d}/0001-a.patch: cannot be read: No such file or directory",
    ),
    "series-names-missing": (
        both(ONE, written("series", "0001-a.patch\n\nb.patch\n")),
        "{d}/series:3: it names b.patch, which is not in {d}",
    ),
    "series-names-none": (
        written("series", "# nothing\n"),
        "{d}/series: it names no patch",
    ),
    "series-p0": (
        both(ONE, written("series", "0001-a.patch -p0\n")),
        "{d}/series:1: 0001-a.patch -p0: only -p1 is understood",
    ),
    "toml-unknown-key": (
        both(ONE, written("series.toml", 'base = "6.18"\n')),
        "{d}/series.toml: unknown key 'base'; did you mean 'bases'?",
    ),
    "toml-wrong-type": (
        both(ONE, written("series.toml", 'bases = "6.18"\n')),
        "{d}/series.toml: Expected `array`, got `str` - at `$.bases`",
    ),
    "toml-syntax": (
        both(ONE, written("series.toml", "title = \n")),
        "{d}/series.toml: not valid TOML: Invalid value (at line 1, column 9)",
    ),
}


@pytest.mark.parametrize(("fill", "message"), BAD_FOLDERS.values(), ids=BAD_FOLDERS.keys())
def test_bad_folder_is_one_clear_line(
    fill: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    fill(tmp_path)
    with pytest.raises(UsageError) as caught:
        load(tmp_path)
    assert caught.value.message == message.format(d=tmp_path)
    assert caught.value.exit_code == 2


BAD_MBOXES: dict[str, tuple[bytes, str]] = {
    "empty": (b"\n", "stdin: empty, expected an mbox or a patch"),
    "junk": (b"\x7fELF\0\1\2", "stdin: neither an mbox nor a patch"),
    "words": (b"no mail at all\n", "stdin: neither an mbox nor a patch"),
    "no-diff": (mbox(letter("[PATCH] a", None)), "stdin: no diff in this patch (a)"),
    "no-diffs": (
        mbox(letter("[PATCH 0/1] a", None), letter("Re: [PATCH 0/1] a", None)),
        "stdin: no patch in it (2 mails, none with a diff)",
    ),
    "one-without-diff": (
        mbox(letter("[PATCH 1/2] a"), letter("[PATCH 2/2] b", None)),
        "stdin, mail 2: no diff in this patch (b)",
    ),
    "gap": (
        mbox(letter("[PATCH v2 1/4] a"), letter("[PATCH v2 3/4] c")),
        "stdin: patches 2, 4 are of 4 missing",
    ),
    "gap-with-trailer-only": (
        mbox(letter("[PATCH 1/2] a"), letter("[PATCH 2/2] b", None, text="Acked-by: B <b@c>")),
        "stdin: patch 2 is of 2 missing",
    ),
    "older-version-does-not-fill": (
        mbox(letter("[PATCH 1/2] a"), letter("[PATCH 2/2] b"), letter("[PATCH v2 2/2] b")),
        "stdin: patch 1 is of 2 missing",
    ),
    "duplicate": (
        mbox(letter("[PATCH 1/2] a"), letter("[PATCH 2/2] b"), letter("[PATCH 2/2] c", "z")),
        "stdin: two patches are number 2: stdin, mail 2 (b) and stdin, mail 3 (c)",
    ),
    "mixed": (
        mbox(letter("[PATCH 1/2] a"), letter("[PATCH 2/3] c")),
        "stdin: it mixes series of 2 and 3 patches",
    ),
}


@pytest.mark.parametrize(("data", "message"), BAD_MBOXES.values(), ids=BAD_MBOXES.keys())
def test_bad_mbox_is_one_clear_line(data: bytes, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load("-", stdin=data)
    assert caught.value.message == message


BAD_SPECS = {
    "nosuch": "--series nosuch: no such series, folder, file or git range",
    "x" * 300: f"--series {'x' * 300}: no such series, folder, file or git range",
    "~nosuchuser": "--series ~nosuchuser: no such series, folder, file or git range",
    "": "--series : no such series, folder, file or git range",
    "../nosuch": "--series ../nosuch: no such series, folder, file or git range",
    "nullfs:5": "--series nullfs:5: nullfs has 4 patches, so N in nullfs:N is from 0 to 4",
    "nullfs:x": "--series nullfs:x: no such series, folder, file or git range",
    "v6.18..HEAD": "--series v6.18..HEAD: a git range needs the clone it is in",
    "nullfs:2,5": "--series nullfs:2,5: nullfs has 4 patches, so N in nullfs:N is from 1 to 4",
    "nullfs:3-1": "--series nullfs:3-1: 3-1 is no list of patches",
    "none:1": "--series none:1: none has no patches to take any of",
}


@pytest.mark.parametrize(("spec", "message"), BAD_SPECS.items(), ids=range(len(BAD_SPECS)))
def test_bad_spec_is_one_clear_line(spec: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(spec, ROOT / "patches")
    assert caught.value.message == message


def test_bad_ranges_are_one_clear_line(clone: Path) -> None:
    head = "--series "
    for spec, message in {
        "HEAD..HEAD": f"{head}HEAD..HEAD: no commit in this range of {clone}",
        "nosuch..HEAD": f"{head}nosuch..HEAD: git in {clone}: fatal: bad revision 'nosuch..HEAD'",
        "HEAD...HEAD": f"{head}HEAD...HEAD: A...B is no list of patches, expected A..B",
    }.items():
        with pytest.raises(UsageError) as caught:
            load(spec, tree=clone)
        assert caught.value.message == message


# --- paths --------------------------------------------------------------------------------

BAD_PATHS = {
    "../x": "leaves the tree through '..'",
    "fs/../../x": "leaves the tree through '..'",
    "/etc/x": "is absolute",
    ".git/config": "is inside a .git folder",
    "fs/.GIT/hooks/x": "is inside a .git folder",
    "fs/.git /x": "is inside a .git folder",
    "GIT~1/x": "is inside a .git folder",
    ".git::$INDEX_ALLOCATION/x": "is inside a .git folder",
}


@pytest.mark.parametrize(("path", "why"), BAD_PATHS.items(), ids=BAD_PATHS.keys())
def test_path_outside_the_tree_is_refused(path: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        load("-", stdin=patch_of(path).encode())
    assert caught.value.message == f"stdin: patch 1 (add): the path {path!r} {why}"


BAD_DIFFS = {
    "quoted": ('diff --git "a/\\056\\056/x" "b/\\056\\056/x"\nnew file mode 100644\n', "../x"),
    "rename-to": ("diff --git a/a b/b\nrename from a\nrename to ../b\n", "../b"),
    "copy-from": ("diff --git a/a b/b\ncopy from .git/a\ncopy to b\n", ".git/a"),
    "only-plus": ("diff --git a/a b/b\n--- a/a\n+++ b/../b\n@@ -1 +1 @@\n-a\n+b\n", "../b"),
    "no-git-line": ("--- a/../a\n+++ b/../a\n@@ -1 +1 @@\n-a\n+b\n", "../a"),
    "second-file": (
        "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-a\n+b\n--- a/.git/b\n+++ b/.git/b\n",
        ".git/b",
    ),
    "nul": ("diff --git a/a\0b b/a\0b\nnew file mode 100644\n", "a\0b"),
}


@pytest.mark.parametrize(("text", "path"), BAD_DIFFS.values(), ids=BAD_DIFFS.keys())
def test_every_header_of_a_diff_is_looked_at(text: str, path: str) -> None:
    data = letter("[PATCH] a", None, text=" " * 9000) + "---\n" + text
    with pytest.raises(UsageError) as caught:
        load("-", stdin=data.encode())
    assert f"the path {path!r} " in caught.value.message


BAD_LINKS = {
    "absolute": ("fs/l", "/etc/passwd", "is a symlink to the absolute path '/etc/passwd'"),
    "outside-hidden-by-the-next-file": (
        "fs/l",
        "../../x\n--- a/a/b/c/d\n+++ b/a/b/c/d\n@@ -1 +1 @@\n-a\n+b",
        "is a symlink that leaves the tree, to '../../x'",
    ),
    "outside": ("fs/l", "../../x", "is a symlink that leaves the tree, to '../../x'"),
}


@pytest.mark.parametrize(("path", "target", "why"), BAD_LINKS.values(), ids=BAD_LINKS.keys())
def test_symlink_out_of_the_tree_is_refused(path: str, target: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        load("-", stdin=patch_of(path, mode="120000", target=target).encode())
    assert caught.value.message == f"stdin: patch 1 (add): the path {path!r} {why}"


def test_symlink_inside_the_tree_is_fine_but_not_to_write_through(tmp_path: Path) -> None:
    (tmp_path / "0001-link.patch").write_text(patch_of("fs/l", mode="120000", target="../mm"))
    assert len(load(tmp_path).patches) == 1
    (tmp_path / "0002-through.patch").write_text(patch_of("fs/l/x"))
    with pytest.raises(UsageError) as caught:
        load(tmp_path)
    assert caught.value.message == (
        f"{tmp_path}/0002-through.patch: patch 2 (add): "
        "the path 'fs/l/x' goes through a symlink that an earlier patch made"
    )


def test_submodule_is_refused() -> None:
    with pytest.raises(UsageError, match="the path 'sub' is a submodule"):
        load("-", stdin=patch_of("sub", mode="160000").encode())


def test_content_of_a_hunk_is_no_header() -> None:
    diff = b"--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n--- a/../x\n+++ b/../x\n \n"
    assert diffpaths.touched(diff) == ("a",)


def test_reading_a_large_series_takes_no_quadratic_time() -> None:
    big = mbox(*(letter(f"[PATCH {n}/300] p{n}", "x" * 2000) for n in range(1, 301)))
    started = time.process_time()
    assert len(load("-", stdin=big).patches) == 300
    assert time.process_time() - started < 2
