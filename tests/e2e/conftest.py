"""The console under test: one server with a past for all files of its tests, one browser for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.browser import browsing
from tests.support.console import EXPECT_MS, PAST, SETTINGS, ConsoleUnderTest
from tests.support.past import live_through
from tests.support.program import serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Give the address of a server, and the directory that it runs in."""
    directory = tmp_path_factory.mktemp("console")
    live_through(directory, PAST)
    with serving("--data-dir", "cloud", cwd=directory, **SETTINGS) as server:
        yield server.url, directory


@pytest.fixture(scope="module")
def running(served: tuple[str, Path]) -> Iterator[ConsoleUnderTest]:
    """Give a browser for the tests of a file; it ends with them, since no asyncio test can run beside it."""
    expect.set_options(timeout=EXPECT_MS)
    url, directory = served
    with browsing() as browser:
        console = ConsoleUnderTest(url=url, directory=directory, browser=browser)
        try:
            yield console
        finally:
            console.close()


@pytest.fixture
def console(running: ConsoleUnderTest) -> Iterator[ConsoleUnderTest]:
    """Give the console, and look afterwards whether anything was refused, broken, or asked of another host."""
    running.complaints.clear()
    running.hosts.clear()
    yield running
    broken = [
        what for context in running.contexts for page in context.pages for what in page.evaluate("window.broken ?? []")
    ]
    running.close_pages()
    assert running.complaints == []
    assert broken == []
    assert running.hosts <= {httpx.URL(running.url).netloc.decode()}
