"""Takes the pictures of the console in docs/img/console: make screenshots.

A small cloud lives for some hours at the pace of a demonstration; then its time goes on as usual and the browser's
clock is set to it, so that charts have a past and "3 minutes ago" is what it was there.
"""

from __future__ import annotations

import re
import signal
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import Page

from tests.support.console import PASSWORD, SETTINGS, ConsoleUnderTest, Person, console_under_test, go, settled, sign_in
from tests.support.program import run, serving

TARGET: Final = Path(__file__).resolve().parents[1] / "docs" / "img" / "console"
SCALE: Final = 600
LIVES_SECONDS: Final = 44
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1120, "height": 700}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1120, "height": 700}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}
SCREENS: Final = {
    "overview": "/",
    "machines": "/machines",
    "create": "/machines?create=1",
    "machine": "/machines/:db?range=24",
    "operations": "/machines/:db/operations",
    "console": "/machines/:db/console",
    "snapshots": "/machines/:db/snapshots",
    "projects": "/projects",
    "project": "/projects/:shop",
    "billing": "/billing",
    "history": "/billing/history",
    "prices": "/billing/prices",
    "monitoring": "/monitoring?range=24",
    "events": "/events",
    "settings": "/settings",
    "security": "/settings/security",
    "tokens": "/settings/tokens",
    "keys": "/settings/keys",
}
CHARTED: Final = frozenset({"machine", "monitoring"})
ADMIN_SCREENS: Final = {"admin": "/admin", "simulator": "/admin/simulator"}
MACHINES: Final[tuple[tuple[str, str, str, str, dict[str, str]], ...]] = (
    ("web-1", "small", "debian-12", "shop", {"env": "prod", "tier": "web"}),
    ("web-2", "small", "debian-12", "shop", {"env": "prod", "tier": "web"}),
    ("db-1", "large", "debian-12", "shop", {"env": "prod", "tier": "db"}),
    ("cache-1", "medium", "ubuntu-24.04", "shop", {"env": "prod"}),
    ("worker-1", "medium", "ubuntu-24.04", "research", {}),
    ("notebook", "xlarge", "ubuntu-24.04", "research", {"owner": "ada"}),
    ("web-test", "small", "debian-12", "staging", {"env": "test"}),
    ("old-db", "small", "debian-11", "staging", {}),
)
KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGM6ST7sCFO7xkXpFqQ7ZxkQ3s2nG0rQ5oR4m1bKZ3xT ada@laptop"
EMAIL: Final = "ada@example.com"
ADMIN_EMAIL: Final = "grace@example.com"
_WAIT: Final = {"Prefer": "wait=20"}


def main() -> None:
    """Live for some hours, then take the pictures."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="zentry-pictures-") as folder:
        directory = Path(folder)
        ids = _live(directory)
        with console_under_test(directory, "--time-scale", "1") as console:
            for look in LOOKS:
                _take(console, look, EMAIL, SCREENS, ids=ids)
                _take(console, look, ADMIN_EMAIL, ADMIN_SCREENS, ids=ids)
    for file in TARGET.glob("*.png"):
        print(f"{file.name:28} {file.stat().st_size / 1000:7.0f} kB")


def _live(directory: Path) -> dict[str, str]:
    settings = {**SETTINGS, "ZENTRY_MONITORING__SAMPLE_SECONDS": "300"}
    with serving("--data-dir", "cloud", "--time-scale", str(SCALE), cwd=directory, **settings) as server:
        api = _signed_up(server.url, EMAIL, "Ada Lovelace")
        _signed_up(server.url, ADMIN_EMAIL, "Grace Hopper").close()
        person = Person(email=EMAIL, id="", api=api)
        api.post("/billing/credits/add", json={"amount": 60, "description": "Transfer of November"})
        projects = {
            "shop": person.project("shop", "The web shop and what it needs"),
            "research": person.project("research", "Numbers, nightly"),
            "staging": person.project("staging"),
        }
        api.post("/ssh-keys", json={"name": "laptop", "public_key": KEY}).raise_for_status()
        machines = {}
        for name, size, image, project, labels in MACHINES:
            machines[name] = person.vm(name, projects[project], instance_type=size, image=image, labels=labels)["id"]
        time.sleep(LIVES_SECONDS / 2)
        api.post(f"/vms/{machines['old-db']}/stop", headers=_WAIT)
        api.post(f"/vms/{machines['db-1']}/snapshots", json={"name": "before-upgrade"}, headers=_WAIT)
        api.post(f"/vms/{machines['db-1']}/restart", headers=_WAIT)
        time.sleep(LIVES_SECONDS / 2)
        api.post(f"/vms/{machines['web-test']}/restart", headers=_WAIT)
        api.close()
        promoted = run(
            *("admin", "create", "--email", ADMIN_EMAIL, "--data-dir", "cloud", "--password-stdin"),
            cwd=directory, given=f"{PASSWORD}\n", **SETTINGS,
        )  # fmt: skip
        assert promoted.returncode == 0, promoted.stderr
        server.stop(signal.SIGTERM)
    return {":db": machines["db-1"], ":shop": projects["shop"]}


def _signed_up(url: str, email: str, name: str) -> httpx.Client:
    answer = httpx.post(f"{url}/auth/signup", json={"email": email, "name": name, "password": PASSWORD})
    token = answer.raise_for_status().json()["access_token"]
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)


def _take(console: ConsoleUnderTest, look: str, email: str, screens: dict[str, str], *, ids: dict[str, str]) -> None:
    page = console.page(**LOOKS[look], reduced_motion="reduce", timezone_id="UTC")
    page.clock.install(time=httpx.get(f"{console.url}/health").json()["timestamp"])
    page.goto("/console")
    page.get_by_role("heading", name="Sign in").wait_for()
    if email == EMAIL:
        _shoot(page, "sign-in", look)
    sign_in(page, email)
    for name, path in screens.items():
        go(page, re.sub(r":\w+", lambda found: ids[found[0]], path))
        settled(page)
        if name == "create":
            page.get_by_role("dialog").get_by_label("Name", exact=True).fill("web-3")
        if name in CHARTED:
            page.locator(".chart canvas").first.wait_for()
        page.mouse.move(2, 2)
        page.wait_for_timeout(350)
        _shoot(page, name, look)
    console.close_pages()


def _shoot(page: Page, name: str, look: str) -> None:
    page.screenshot(path=TARGET / f"{name}-{look}.png", animations="disabled")


if __name__ == "__main__":
    main()
