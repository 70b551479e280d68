"""Pages of reports in Chromium: as everybody sees them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
# A page is a file, so the browser needs nobody; what it asks others of its own accord is off.
SWITCHES = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
WIDTHS = {"phone": 400, "desk": 1280}


def launch() -> Iterator[Browser]:
    """Yield a browser; the test that wants one is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        yield found
        found.close()


def blank(browser: Browser, width: str, scheme: str) -> Page:
    """Return an empty page as wide as one of WIDTHS, light or dark."""
    return browser.new_page(
        viewport={"width": WIDTHS[width], "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )


def opened(page: Page, html: str, folder: Path) -> list[str]:
    """Open a page; return a list that what the browser says or asks for is put on."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: said.append(request.url))
    (folder / "page.html").write_text(html)
    url = (folder / "page.html").as_uri()
    page.goto(url)
    assert said.pop(0) == url
    return said


def keep(page: Page, name: str, folder: Path) -> None:
    """Take a screenshot of the whole page, to be looked at."""
    kept = Path(os.environ.get("HARNESS_SCREENSHOTS", folder))
    kept.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=kept / f"{name}.png", full_page=True)


def check(page: Page, width: str) -> None:
    """Check that nothing is wider than the page, and that it is accessible to everybody."""
    assert page.evaluate("document.documentElement.scrollWidth") == WIDTHS[width]
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    told = [
        (each["id"], each["impact"], each["nodes"][0]["target"], each["nodes"][0]["any"])
        for each in found.response["violations"]
    ]
    assert told == []
