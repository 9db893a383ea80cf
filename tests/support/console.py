"""The console as people use it: a running server, accounts on it, and pages in a real browser."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Route, expect

from tests.support.browser import browsing
from tests.support.past import Past
from tests.support.program import serving

PASSWORD: Final = "correct horse battery"
EXPECT_MS: Final = 15_000
SETTINGS: Final = {
    "ZENTRY_SECURITY__BCRYPT_COST": "4",
    "ZENTRY_LIMITS__SIGNIN_PER_MINUTE": "0",
    "ZENTRY_LIMITS__WRITES_PER_MINUTE": "0",
    "ZENTRY_LIMITS__READS_PER_MINUTE": "0",
    "ZENTRY_SIMULATOR__BOOT_SECONDS": "0",
    "ZENTRY_SIMULATOR__ACTION_SECONDS": "0",
    "ZENTRY_MONITORING__SAMPLE_SECONDS": "1",
    "ZENTRY_WEBHOOKS__ALLOW_HTTP": "true",
    "ZENTRY_WEBHOOKS__ALLOWED_NETWORKS": '["127.0.0.0/8"]',
}
VETERAN: Final = "veteran@example.com"
ADMIN: Final = "grace@example.com"
PAST: Final = Past(email=VETERAN, admin_email=ADMIN, password=PASSWORD, machines={"old-1": "small"}, runs_days=1)
"""What has happened on the server of the tests: a machine that ran for a day, in a month that is closed by now."""
_TIMEOUT_MS: Final = 10_000
_TRIES: Final = 100
_PAUSE_SECONDS: Final = 0.1
_numbers = itertools.count(1)

# Written before any script of the page runs: what an injected script would set, and what the policy refused.
_WATCH: Final = """
window.broken = [];
document.addEventListener("securitypolicyviolation", (event) => window.broken.push(event.violatedDirective));
"""


@dataclass(slots=True)
class Person:
    """An account, and its hands on the API beside the browser."""

    email: str
    id: str
    api: httpx.Client

    def project(self, name: str = "shop", description: str = "") -> str:
        """Make a project."""
        answer = self.api.post("/projects", json={"name": name, "description": description})
        return str(answer.raise_for_status().json()["id"])

    def vm(self, name: str, project_id: str, **more: Any) -> dict[str, Any]:
        """Make a machine that runs."""
        wish = {"name": name, "instance_type": "small", "image": "debian-12", "project_id": project_id, **more}
        answer = self.api.post("/vms", json=wish, headers={"Prefer": "wait=20"}).raise_for_status()
        return dict(answer.json())


@dataclass  # Without slots: the browser's library hangs its wrappers on the object whose methods it calls.
class ConsoleUnderTest:
    """A server and a browser."""

    url: str
    directory: Path
    browser: Browser
    contexts: list[BrowserContext] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    token: str = ""
    _clients: list[httpx.Client] = field(default_factory=list)

    def person(self, name: str = "Ada Lovelace") -> Person:
        """Sign somebody up."""
        email = f"person-{next(_numbers)}@example.com"
        answer = httpx.post(f"{self.url}/auth/signup", json={"email": email, "name": name, "password": PASSWORD})
        return self._person(email, answer.raise_for_status().json())

    def known(self, email: str) -> Person:
        """Return somebody who was here before."""
        answer = httpx.post(f"{self.url}/auth/login", json={"email": email, "password": PASSWORD})
        return self._person(email, answer.raise_for_status().json())

    def admin(self) -> Person:
        """Return the administrator of a cloud with a past."""
        return self.known(ADMIN)

    def mailed(self, email: str) -> str:
        """Return the newest mail to somebody, as soon as it is there."""
        for _ in range(_TRIES):
            files = sorted((self.directory / "cloud" / "mail").glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
            mails = [message_from_bytes(file.read_bytes(), policy=default) for file in files]
            if found := [mail.get_content() for mail in mails if mail["To"] == email]:
                return str(found[-1])
            time.sleep(_PAUSE_SECONDS)
        raise AssertionError(f"no mail to {email}")

    def page(self, **how: Any) -> Page:
        """Open an empty page of a fresh browser."""
        context = self.browser.new_context(**{"locale": "en-US", "base_url": self.url, "bypass_csp": False, **how})
        context.set_default_timeout(_TIMEOUT_MS)
        context.add_init_script(_WATCH)
        self.contexts.append(context)
        return self.watch(context.new_page())

    def watch(self, page: Page) -> Page:
        """Note what the page complains of and whom it asks."""
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._note)
        return page

    def signed_in(self, person: Person, path: str = "", **how: Any) -> Page:
        """Open the console as somebody, by its own form."""
        page = self.page(**how)
        page.goto(f"/console{path}")
        sign_in(page, person.email)
        return page

    def close_pages(self) -> None:
        """Close every page, and forget it."""
        for context in self.contexts:
            context.close()
        self.contexts.clear()

    def _person(self, email: str, token: dict[str, Any]) -> Person:
        api = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token['access_token']}"}, timeout=30)
        self._clients.append(api)
        return Person(email=email, id=token["user"]["id"], api=api)

    def close(self) -> None:
        """Close what is open."""
        self.close_pages()
        for client in self._clients:
            client.close()

    def _note(self, request: Request) -> None:
        self.hosts.add(httpx.URL(request.url).netloc.decode())
        self.token = request.headers.get("authorization", self.token)

    def _hear(self, message: ConsoleMessage) -> None:
        # A refusal of the API is an answer that the screen shows; the browser writes it down all the same.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)


@contextlib.contextmanager
def console_under_test(
    directory: Path, *arguments: str, browser_arguments: Sequence[str] = (), **settings: str
) -> Iterator[ConsoleUnderTest]:
    """Start a server and a browser."""
    with (
        serving("--data-dir", "cloud", *arguments, cwd=directory, **{**SETTINGS, **settings}) as server,
        browsing(*browser_arguments) as it,
    ):
        console = ConsoleUnderTest(url=server.url, directory=directory, browser=it)
        try:
            yield console
        finally:
            console.close()


def sign_in(page: Page, email: str) -> None:
    """Fill in the form of the login, and wait for the frame."""
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator(".topbar").wait_for()


def go(page: Page, path: str) -> None:
    """Go to a screen as a link does, without a reload."""
    page.evaluate(
        "path => { history.pushState(null, '', '/console' + path); dispatchEvent(new PopStateEvent('popstate')); }",
        path,
    )


def settled(page: Page) -> None:
    """Wait until the screen of the address shows what it has to show, not the screen before it."""
    page.wait_for_function(
        """() => {
          const path = decodeURI(location.pathname).replace(/^\\/console/, "").replace(/\\/+$/, "") || "/";
          return document.querySelector("main")?.dataset.path === path;
        }"""
    )
    page.locator("main h1").first.wait_for()
    expect(page.locator(".bone")).to_have_count(0)


def answers_with_machines(count: int) -> Any:
    """Return a handler that answers the list of machines with so many of them, page by page."""

    def answer(route: Route) -> None:
        query = httpx.URL(route.request.url).params
        limit, start = int(query.get("limit", "500")), int(query.get("cursor") or 0)
        rows = [_machine(number) for number in range(start, min(start + limit, count))]
        following = str(start + limit) if start + limit < count else None
        route.fulfill(
            json={
                "vms": rows,
                "total_count": count,
                "filters_applied": {"status": None, "project_id": None, "name": None, "label_selector": None},
                "next_cursor": following,
            }
        )

    return answer


def _machine(number: int) -> dict[str, Any]:
    status = ("running", "running", "running", "stopped", "error")[number % 5]
    return {
        "id": f"01a214dd-7e31-7883-8b10-{number:012x}",
        "name": f"node-{number:05}",
        "instance_type": ("small", "medium", "large", "xlarge")[number % 4],
        "image": "debian-12",
        "status": status,
        "stop_reason": "user" if status == "stopped" else None,
        "active_operation": None,
        "ip_address": f"10.{64 + number // 65536}.{number // 256 % 256}.{number % 256}",
        "user_id": "01a214dd-7e31-7883-8b10-aaaaaaaaaaaa",
        "project_id": f"01a214dd-7e31-7883-8b10-{number % 7:012x}",
        "project_name": f"project-{number % 7}",
        "specs": {"cpu": "1 vCPU", "ram": "1 GB", "storage": "20 GB SSD"},
        "vcpus": 1 << number % 4,
        "memory_mib": 1024 << number % 4,
        "disk_gib": 20 << number % 4,
        "cost_per_hour": 0.05 * (1 << number % 4),
        "uptime_hours": number / 10,
        "current_session_hours": number / 20,
        "total_cost": number / 100,
        "snapshot_id": None,
        "ssh_keys": [],
        "labels": {"rack": f"r{number % 40}"},
        "delete_protection": False,
        "has_user_data": False,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": None,
        "last_started": None,
        "last_stopped": None,
        "terminated_at": None,
    }
