"""docs/ci.md and the GitHub action: each command is run, on the stand-in kernel."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import junitparser
import pytest
from b4.review import checks as b4_checks
from conftest import HERE, ROOT, commit, git
from ruamel.yaml import YAML
from test_pipeline import NAMESPACE

ACTION = ROOT / ".github/actions/harness"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MESSAGE_ID = "20260112-topic-v1-0@example.org"


def blocks() -> dict[str, list[tuple[str, str]]]:
    """Return the blocks of the page by their heading: language and text."""
    parts = re.split(r"^## (.*)$", (ROOT / "docs/ci.md").read_text(), flags=re.MULTILINE)[1:]
    return {
        title: [(found[1], found[2]) for found in BLOCK.finditer(text)]
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    }


def block(title: str, number: int = 0) -> str:
    return blocks()[title][number][1]


class Server(BaseHTTPRequestHandler):
    """Lore's and patchwork's answers, as far as they are asked for here."""

    thread: ClassVar[bytes] = b""
    asked: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self._answer(200, gzip.compress(self.thread))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._answer(201, b"{}")
        self.asked.append((self.path, body))

    def _answer(self, code: int, data: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.asked.append((self.path, ""))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Place:
    """A kernel tree with a topic, its upstream, and what a CI's machine has."""

    def __init__(self, top: Path, port: int) -> None:
        self.top = top
        self.linux = top / "linux"
        shutil.copytree(HERE / "fakelinux", self.linux)
        git(self.linux, "init", "-q", "-b", "main")
        self.base = commit(self.linux, "stand-in: first")
        git(self.linux, "checkout", "-q", "-b", "topic")
        for number, word in enumerate(("old", "new"), 1):
            (self.linux / "fs/namespace.c").write_text(NAMESPACE % word)
            if number == 1:
                (self.linux / "README").write_text("said\n")
            self.tip = commit(
                self.linux,
                f"fs: answer {word}\n\nSo.\n\nSigned-off-by: tester <tester@harness.invalid>",
            )
        git(self.linux, "checkout", "-q", "main")
        git(top, "clone", "-q", "--bare", str(self.linux), "origin.git")
        git(self.linux, "remote", "add", "origin", str(top / "origin.git"))
        git(self.linux, "fetch", "-q", "origin")
        self._configure(port)
        self.env = self._environment(port)

    def _configure(self, port: int) -> None:
        (self.top / "kconfigs").mkdir()
        (self.top / "kconfigs/mini.config.j2").write_text("# enough\nCONFIG_NET=y\n")
        (self.top / "harness.toml").write_text('profile = "mini"\nscenario = "boot"\n')
        (self.top / "home").mkdir()
        (self.top / "home/.gitconfig").write_text(
            f"[b4]\n\tmidmask = http://127.0.0.1:{port}/%s\n"
            "[user]\n\tname = tester\n\temail = tester@harness.invalid\n"
        )
        ids = iter([MESSAGE_ID, f"second-{MESSAGE_ID}"])
        mails = re.sub(
            "^Message-ID: .*$",
            lambda _: f"Message-ID: <{next(ids)}>",
            git(
                self.linux, "format-patch", "--stdout", "--add-header=Message-ID: x", "main..topic"
            ),
            flags=re.MULTILINE,
        ).replace(f"<second-{MESSAGE_ID}>", f"<second-{MESSAGE_ID}>\nReferences: <{MESSAGE_ID}>")
        (self.top / "incoming").mkdir()
        (self.top / "incoming/one.mbox").write_text(f"{mails}\n")
        Server.thread = f"{mails}\n".encode()
        (self.top / "bin").mkdir()
        # There is no Gerrit here: what would be sent to it is kept.
        self.program("ssh", '#!/bin/sh\nprintf \'%s\\n\' "$@" >"$0.asked"\n')

    def _environment(self, port: int) -> dict[str, str]:
        found = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        return {
            **found,
            "PATH": f"{self.top}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.top / "home"),
            "HARNESS_ACCEL": "tcg",
            "GERRIT_REFSPEC": "refs/heads/topic",
            "GERRIT_BRANCH": "main",
            "GERRIT_HOST": "review.example.org",
            "GERRIT_PATCHSET_REVISION": self.tip,
            "SERIES_MBOX": "incoming/one.mbox",
            "PATCHES": "701 702",
            "PATCHWORK_TOKEN": "0" * 40,
            "PATCHWORK_URL": f"http://127.0.0.1:{port}",
        }

    def program(self, name: str, text: str) -> Path:
        path = self.top / "bin" / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def run(
        self, script: str, *, cwd: str = "", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-euc", script],
            cwd=self.top / cwd,
            env={**self.env, **(env or {})},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    server = HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Place(tmp_path_factory.mktemp("ci"), server.server_address[1])
    server.shutdown()
    thread.join()
    server.server_close()


def yaml(text: str) -> Any:
    return YAML(typ="safe").load(text)


def test_every_block_of_the_page_is_known_here() -> None:
    assert {title: [language for language, _ in found] for title, found in blocks().items()} == {
        "What it gives": ["sh"], "GitHub": ["yaml"], "GitLab": ["yaml"], "Gerrit": ["sh"],
        "Patchwork": ["sh"], "b4": ["sh"], "cron": ["sh", "sh"],
    }  # fmt: skip


def test_the_reports_that_the_page_asks_for(place: Place) -> None:
    done = place.run(block("What it gives"))
    assert done.returncode == 0, done.stderr
    assert "<!doctype html>" in (place.top / "check.html").read_text()
    assert junitparser.JUnitXml.fromfile(str(place.top / "junit.xml")).failures == 0


def test_gitlab(place: Place) -> None:
    job = yaml(block("GitLab"))["check"]
    env = {
        "CI_PROJECT_DIR": str(place.top / "linux"),
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": place.base,
        "CI_COMMIT_SHA": place.tip,
        "HARNESS_SANDBOX": "auto",
    }
    done = place.run("\n".join(job["script"]), cwd="linux", env=env)
    assert done.returncode == 0, done.stderr
    kept = [*job["artifacts"]["paths"], *job["artifacts"]["reports"].values()]
    # Nothing comes from elsewhere into the tool's own repository here.
    kept += [path for path in job["cache"]["paths"] if not path.endswith("/git")]
    assert [path for path in kept if not (place.linux / path).exists()] == []
    for path in ("out", ".cache"):
        shutil.rmtree(place.linux / path)
    (place.linux / "junit.xml").unlink()


def test_gerrit(place: Place) -> None:
    done = place.run(block("Gerrit"))
    assert done.returncode == 0, done.stderr
    asked = (place.top / "bin/ssh.asked").read_text().splitlines()
    assert asked[:8] == [
        "-p", "29418", "review.example.org", "gerrit", "review", "--verified", "+1", "--message"
    ]  # fmt: skip
    assert asked[8].startswith("'mergeable: all 2 patches apply, build and boot on ")
    assert asked[9] == place.tip


def test_patchwork(place: Place) -> None:
    Server.asked.clear()
    done = place.run(block("Patchwork"))
    assert done.returncode == 0, done.stderr
    assert [(path, body) for path, body in Server.asked if body] == [
        (f"/api/patches/{number}/checks/", "state=success&context=harness")
        for number in (701, 702)
    ]  # fmt: skip


def test_b4_is_answered_about_the_thread_of_a_mail(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = place.program("harness-b4", block("b4"))
    message = EmailMessage()
    message["Subject"] = "[PATCH 0/2] topic"
    message["Message-ID"] = f"<{MESSAGE_ID}>"
    message.set_content("cover\n")
    for name, value in {**place.env, "HARNESS_TREE": "linux"}.items():
        monkeypatch.setenv(name, value)
    found = b4_checks.run_series_checks((MESSAGE_ID, message), [str(program)], str(place.top))
    assert [(each["tool"], each["status"]) for each in found] == [("harness", "pass")], found
    assert found[0]["summary"].startswith("all 2 patches apply, build and boot on ")


def test_cron(place: Place) -> None:
    done = place.run(block("cron"))
    assert done.returncode == 0, done.stderr
    mail = (place.top / "incoming/one.eml").read_text()
    assert f"In-Reply-To: <{MESSAGE_ID}>\n" in mail
    assert " mergeable: all 2 patches apply, build and boot on " in " ".join(mail.split())
    assert (place.top / "incoming/one.html").is_file()
    done = place.run(block("cron", 1))
    assert done.returncode == 0, done.stderr
    assert (place.top / "nightly/gates/latest/check.html").is_file()


# --- the action -------------------------------------------------------------------------------


def act(place: Place, what: str, **given: str) -> tuple[int, str, dict[str, str], str]:
    """Run a step of the action: its exit code, what it prints, its outputs, the summary."""
    files = {name: place.top / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for path in files.values():
        path.write_text("")
    env = {name: str(path) for name, path in files.items()} | given
    done = place.run(f"{ACTION}/check.sh {what}", cwd="linux", env=env)
    lines = files["GITHUB_OUTPUT"].read_text().splitlines()
    outputs = dict(line.split("=", 1) for line in lines)
    return (
        done.returncode,
        done.stdout or done.stderr,
        outputs,
        files["GITHUB_STEP_SUMMARY"].read_text(),
    )


def test_the_action_checks_a_pull_request(place: Place) -> None:
    given = {"FROM": place.base, "TO": place.tip, "TREE": ".", "BASE": "", "SERIES": ""}
    out = place.top / "with space"
    code, said, outputs, summary = act(
        place, "check", OUT=str(out), ARGUMENTS="--measure 0  --cmdline quiet", **given
    )
    assert code == 0, said
    assert said.startswith("::notice title=harness check%3A mergeable::all 2 patches apply")
    assert summary.startswith("## ✅ mergeable: ")
    assert outputs["exit-code"] == "0"
    told = json.loads((Path(outputs["folder"]) / "check.json").read_text())
    assert told["cmdlines"] == ["quiet"]
    assert [patch["subject"] for patch in told["patches"]] == ["fs: answer old", "fs: answer new"]


def test_the_action_fails_with_the_verdict(place: Place) -> None:
    git(place.linux, "checkout", "-q", "-B", "broken", "main")
    (place.linux / "fs/namespace.c").write_text(NAMESPACE.replace("return", "return x,") % "x")
    commit(place.linux, "fs: break it")
    git(place.linux, "checkout", "-q", "main")
    code, said, outputs, summary = act(
        place, "check", OUT=str(place.top / "broken"), ARGUMENTS="--measure 0", SERIES="broken",
        FROM=place.base, TO=place.tip, TREE=".",
    )  # fmt: skip
    assert (code, outputs["exit-code"]) == (1, "1")
    assert said.startswith("::error title=harness check%3A finding::patch 1 (fs: break it) does")
    assert "**failed**" in summary


def test_the_action_says_what_it_lacks(place: Place) -> None:
    code, said, outputs, _ = act(place, "check", OUT=str(place.top / "x"), FROM="", TO="")
    assert (code, outputs) == (2, {})
    assert said.startswith("::error title=harness::no series: ")


def test_the_cache_is_known_by_base_and_configuration(place: Place) -> None:
    def key(**given: str) -> dict[str, str]:
        return act(place, "cache", **given)[2]

    first = key(FROM="a", ARGUMENTS="--flavor kasan")
    assert first == key(FROM="a", ARGUMENTS="--flavor kasan")
    assert first["key"].startswith(first["restore"])
    other = key(FROM="b", ARGUMENTS="--flavor kasan")
    assert other["key"] != first["key"]
    assert other["restore"] == first["restore"]
    assert key(FROM="a", ARGUMENTS="")["restore"] != first["restore"]


def test_the_action_gives_its_program_what_it_asks_for() -> None:
    action = yaml((ACTION / "action.yml").read_text())
    program = (ACTION / "check.sh").read_text()
    asked = set(re.findall(r"\$\{?([A-Z]+)\b", program)) - {"GITHUB"}
    given = {
        name for step in action["runs"]["steps"] for name in step.get("env", {})
        if "check.sh" in step.get("run", "")
    }  # fmt: skip
    assert asked == given - {"HARNESS_SANDBOX"}
    # The page's workflow uses inputs that there are.
    job = yaml(block("GitHub"))["jobs"]["check"]
    used = [step["with"] for step in job["steps"] if "actions/harness" in step["uses"]]
    assert len(used) == 1
    assert set(used[0]) <= set(action["inputs"])


@pytest.mark.parametrize(
    ("title", "schema"), [("GitHub", "github-workflows"), ("GitLab", "gitlab-ci")]
)
def test_the_examples_are_of_their_schema(tmp_path: Path, title: str, schema: str) -> None:
    (tmp_path / "example.yml").write_text(block(title))
    command = Path(sys.executable).parent / "check-jsonschema"
    done = subprocess.run(
        [command, "--builtin-schema", f"vendor.{schema}", tmp_path / "example.yml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
