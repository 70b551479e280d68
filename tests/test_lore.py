"""`lore:MSGID` through the real b4, from a real public-inbox on loopback."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from conftest import Harness, git
from test_check import NEW, read
from test_pipeline import change

PROGRAMS = ("public-inbox-init", "public-inbox-mda", "public-inbox-httpd")
B4 = Path(sys.executable).with_name("b4")

pytestmark = [
    pytest.mark.skipif(
        not all(map(shutil.which, PROGRAMS)), reason="public-inbox is not installed"
    ),
    pytest.mark.skipif(not B4.is_file(), reason="b4 is not installed"),
]

MSGID = "20260112-answer-v1-1-5c0ffee5@harness.invalid"


@pytest.fixture
def archive(clone: Path, tmp_path: Path) -> Iterator[str]:
    """Serve an inbox with a thread of one patch and a reply; give its URL."""
    folder = change(clone, NEW, "fs: answer otherwise", name="mails")
    [patch] = folder.glob("*.patch")
    base = git(clone, "rev-parse", "main")
    head = (
        f"To: list@harness.invalid\nMessage-Id: <{MSGID}>\nFrom: tester <tester@harness.invalid>\n"
    )
    text = patch.read_text().partition("\n")[2]
    mail = head + text.replace("From: tester <tester@harness.invalid>\n", "", 1)
    mail += f"\nbase-commit: {base}\n"
    reply = (
        "From: reviewer <reviewer@harness.invalid>\nTo: list@harness.invalid\n"
        f"Message-Id: <reply@harness.invalid>\nIn-Reply-To: <{MSGID}>\nReferences: <{MSGID}>\n"
        "Date: Tue, 13 Jan 2026 12:00:00 +0000\nSubject: Re: [PATCH] fs: answer otherwise\n\n"
        "Reviewed-by: reviewer <reviewer@harness.invalid>\n"
    )
    env = {
        **os.environ, "PI_CONFIG": str(tmp_path / "pi-config"), "HOME": str(tmp_path),
        "ORIGINAL_RECIPIENT": "list@harness.invalid",
    }  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/list"
    inbox = tmp_path / "inbox"
    init = [
        "public-inbox-init",
        "-V2",
        "-L",
        "basic",
        "list",
        str(inbox),
        url,
        "list@harness.invalid",
    ]
    subprocess.run(init, env=env, check=True, capture_output=True)
    git(tmp_path, "config", "-f", env["PI_CONFIG"], "publicinboxmda.spamcheck", "none")
    for each in (mail, reply):
        subprocess.run(
            ["public-inbox-mda", "--no-precheck"], input=each.encode(), env=env, check=True,
            capture_output=True,
        )  # fmt: skip
    server = subprocess.Popen(
        ["public-inbox-httpd", "-W0", "-l", f"http://127.0.0.1:{port}"],
        env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(200):
            try:
                urlopen(f"{url}/", timeout=2).close()  # noqa: S310 - http, by the line above
                break
            except (URLError, OSError):
                time.sleep(0.1)
        yield url
    finally:
        server.kill()
        server.wait()


def test_a_thread_of_an_archive_is_checked_on_the_base_that_it_names(
    archive: str, harness: Harness, project: Path
) -> None:
    env = {"HARNESS_LORE": archive, "PATH": f"{B4.parent}:{os.environ['PATH']}"}
    done = harness(
        "check", f"lore:{MSGID}", "--tree", "linux", "--measure", "0", "--json",
        cwd=project, env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = read(done)
    assert found["base"]["how"] == "base-commit"
    assert found["message_id"] == MSGID
    assert [patch["subject"] for patch in found["patches"]] == ["fs: answer otherwise"]
    # It can be repeated without the archive.
    assert harness(*found["repro"].split()[1:], cwd=project).returncode == 0


def test_a_thread_that_is_not_there_is_said(archive: str, harness: Harness, project: Path) -> None:
    env = {"HARNESS_LORE": archive, "PATH": f"{B4.parent}:{os.environ['PATH']}"}
    done = harness(
        "check", "lore:nonesuch@harness.invalid", "--tree", "linux", cwd=project, env=env
    )
    assert done.returncode == 128
    assert "b4 got no thread" in done.stderr
