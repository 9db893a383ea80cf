"""A real browser for the tests: Chromium as the system has it.

One that is installed is used, else Debian's is installed with apt where this account may, else the failure
names the command. Nothing is downloaded past the system's own packages.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from tests.support.debian import install

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PLACES: Final = (
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
)
ARGUMENTS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class BrowserUnavailable(Exception):
    """There is no Chromium here and none can be had."""


@contextlib.contextmanager
def browsing(*more: str) -> Iterator[Browser]:
    """Start the browser, and end it afterwards."""
    executable = ensure_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*ARGUMENTS, *more])
        try:
            yield browser
        finally:
            browser.close()


def ensure_chromium() -> str:
    """Return where the browser is, installing it where it is missing and this account may."""
    found = find_chromium()
    if found is None and install("chromium"):
        found = find_chromium()
    if found is None:
        raise BrowserUnavailable(
            "Chromium was not found. Install it (Debian: apt install chromium; macOS: brew install --cask chromium), "
            "or put chromium or google-chrome on PATH."
        )
    return found


def find_chromium() -> str | None:
    """Return an installed Chromium or Chrome."""
    on_path = next((found for name in _NAMES if (found := shutil.which(name)) is not None), None)
    return on_path or next((str(place) for place in _PLACES if os.access(place, os.X_OK)), None)
