"""Takes the pictures of the console in docs/img/console: make screenshots.

A small cloud lives for some hours at the pace of a demonstration; then its time goes on as usual and the browser's
clock is set to it, so that charts have a past and "3 minutes ago" is what it was there.
"""

from __future__ import annotations

import re
import signal
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import Page

from benchmarks.palette import shrunk
from tests.support.console import PASSWORD, SETTINGS, ConsoleUnderTest, Person, console_under_test, go, settled, sign_in
from tests.support.past import Past, live_through
from tests.support.program import serving
from tests.support.sink import sink

TARGET: Final = Path(__file__).resolve().parents[1] / "docs" / "img" / "console"
SCALE: Final = 300
LIVES_SECONDS: Final = 80
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
    "metrics": "/machines/:db/metrics?range=24&compare=1",
    "operations": "/machines/:db/operations",
    "states": "/machines/:db/states",
    "console": "/machines/:db/console",
    "snapshots": "/machines/:db/snapshots",
    "costs": "/machines/:db/costs",
    "projects": "/projects",
    "project": "/projects/:shop",
    "billing": "/billing",
    "history": "/billing/history",
    "statements": "/billing/statements",
    "statement": "/billing/statements/:statement",
    "budgets": "/billing/budgets",
    "forecast": "/billing/forecast",
    "prices": "/billing/prices",
    "monitoring": "/monitoring?range=24",
    "alerts": "/monitoring/alerts",
    "events": "/events",
    "settings": "/settings",
    "security": "/settings/security",
    "tokens": "/settings/tokens",
    "keys": "/settings/keys",
    "webhooks": "/settings/webhooks",
    "webhook": "/settings/webhooks/:webhook",
    "appearance": "/settings/appearance",
}
CHARTED: Final = frozenset({"machine", "metrics", "monitoring", "forecast"})
ADMIN_SCREENS: Final = {
    "admin": "/admin",
    "accounts": "/admin/users",
    "account": "/admin/users/:ada",
    "all-operations": "/admin/operations",
    "drivers": "/admin/drivers",
    "simulator": "/admin/simulator",
    "price-lists": "/admin/prices",
    "books": "/admin/books",
    "audit": "/admin/audit",
}
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
PAST: Final = Past(
    email=EMAIL, admin_email=ADMIN_EMAIL, password=PASSWORD, machines={"archive-1": "small", "archive-2": "medium"}
)
BUDGET: Final[list[dict[str, Any]]] = [
    {"percent": 80},
    {"percent": 100, "basis": "forecast"},
    {"percent": 100, "action": "block_creation"},
]
POLICIES: Final[tuple[dict[str, Any], ...]] = (
    {"name": "CPU is busy", "source": "metric", "subject": "cpu_usage", "threshold": 90, "clear_threshold": 80,
     "fire_after_seconds": 600, "label_selector": "env=prod"},
    {"name": "Disks fill up", "source": "metric", "subject": "disk_usage", "threshold": 10, "severity": "critical"},
    {"name": "Little credit", "source": "billing", "subject": "hours_left", "comparison": "below", "threshold": 48},
)  # fmt: skip
_PAUSE_SECONDS: Final = 0.2
_WAIT: Final = {"Prefer": "wait=20"}


def main() -> None:
    """Live for some hours, then take the pictures."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="zentry-pictures-") as folder:
        directory = Path(folder)
        live_through(directory, PAST)
        with sink() as address:
            ids = _live(directory, address)
        with console_under_test(directory, "--time-scale", "1") as console:
            for look in LOOKS:
                _take(console, look, EMAIL, _named(SCREENS), ids=ids)
                _take(console, look, ADMIN_EMAIL, _named(ADMIN_SCREENS), ids=ids)
    files = sorted(TARGET.glob("*.png"))
    for file in files:
        print(f"{file.name:28} {file.stat().st_size / 1000:7.0f} kB")
    print(f"{len(files):28} {sum(file.stat().st_size for file in files) / 1000:7.0f} kB")


def _named(screens: dict[str, str]) -> dict[str, str]:
    """Return the screens that the command line names; all of them where it names none."""
    return {name: path for name, path in screens.items() if not sys.argv[1:] or name in sys.argv[1:]}


def _live(directory: Path, receiver: str) -> dict[str, str]:
    settings = {**SETTINGS, "ZENTRY_MONITORING__SAMPLE_SECONDS": "300", "ZENTRY_OPERATIONS__DEADLINE_SECONDS": "14400"}
    with serving("--data-dir", "cloud", "--time-scale", str(SCALE), cwd=directory, **settings) as server:
        person, admin = (_signed_in(server.url, email) for email in (EMAIL, ADMIN_EMAIL))
        api = person.api
        _send(api, "/billing/credits/add", {"amount": 60, "description": "Transfer of November"})
        projects = {
            "shop": person.project("shop", "The web shop and what it needs"),
            "research": person.project("research", "Numbers, nightly"),
            "staging": person.project("staging"),
        }
        _send(api, "/ssh-keys", {"name": "laptop", "public_key": KEY})
        machines = {}
        for name, size, image, project, labels in MACHINES:
            machines[name] = person.vm(name, projects[project], instance_type=size, image=image, labels=labels)["id"]
        webhook = _furnish(api, admin.api, receiver, projects["shop"])
        time.sleep(LIVES_SECONDS / 2)
        _send(api, f"/vms/{machines['old-db']}/stop")
        _send(api, f"/vms/{machines['db-1']}/snapshots", {"name": "before-upgrade"})
        while api.get(f"/vms/{machines['db-1']}").json()["active_operation"] is not None:
            time.sleep(_PAUSE_SECONDS)
        _send(api, f"/vms/{machines['db-1']}/restart")
        time.sleep(LIVES_SECONDS / 2)
        _send(api, f"/vms/{machines['web-test']}/restart")
        statement = api.get("/billing/statements").json()["statements"][0]["id"]
        api.close()
        admin.api.close()
        server.stop(signal.SIGTERM)
    return {
        ":db": machines["db-1"], ":shop": projects["shop"], ":webhook": webhook, ":statement": statement,
        ":ada": person.id,
    }  # fmt: skip


def _furnish(api: httpx.Client, admin: httpx.Client, receiver: str, project: str) -> str:
    """Give one of everything that is not a machine; return the webhook."""
    _send(api, "/billing/budgets", {"name": "Everything", "amount": 120, "thresholds": BUDGET})
    _send(api, "/billing/budgets", {"name": "The shop", "amount": 60, "project_id": project, "thresholds": BUDGET[:1]})
    policies = [_send(api, "/alerts/policies", policy)["id"] for policy in POLICIES]
    _send(api, f"/alerts/policies/{policies[0]}/test")
    until = (datetime.fromisoformat(api.get("/health").json()["timestamp"]) + timedelta(days=2)).isoformat()
    _send(api, "/alerts/silences", {"policy_id": policies[1], "ends_at": until, "comment": "New disks come in"})
    _send(api, f"/projects/{project}/invitations", {"email": "barbara@example.com", "role": "member"})
    _send(api, "/auth/tokens", {"name": "backup script", "scopes": ["vms:read", "vms:write"], "expires_in_days": 90})
    hook = {"url": receiver, "kinds": ["vm.", "credit.low"], "description": "The chat of the team"}
    webhook = str(_send(api, "/webhooks", hook)["id"])
    _send(api, f"/webhooks/{webhook}/ping")
    _send(admin, "/admin/vouchers", {"amount": 10, "max_redemptions": 200, "reason": "Course in spring"})
    _send(admin, "/admin/simulator/faults", {"kind": "slow", "action": "resize", "delay_seconds": 2, "count": 3})
    return webhook


def _signed_in(url: str, email: str) -> Person:
    answer = httpx.post(f"{url}/auth/login", json={"email": email, "password": PASSWORD}).raise_for_status().json()
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    return Person(email=email, id=answer["user"]["id"], api=httpx.Client(base_url=url, headers=headers, timeout=60))


def _send(api: httpx.Client, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = api.post(path, json=body, headers=_WAIT)
    assert answer.is_success, answer.text
    return dict(answer.json())


def _take(console: ConsoleUnderTest, look: str, email: str, screens: dict[str, str], *, ids: dict[str, str]) -> None:
    page = console.page(**LOOKS[look], reduced_motion="reduce", timezone_id="UTC")
    page.clock.install(time=httpx.get(f"{console.url}/health").json()["timestamp"])
    page.goto("/console")
    page.get_by_role("heading", name="Sign in").wait_for()
    desk = console.page().context.new_page()
    if email == EMAIL:
        _shoot(page, "sign-in", look, desk)
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
        _shoot(page, name, look, desk)
    console.close_pages()


def _shoot(page: Page, name: str, look: str, desk: Page) -> None:
    picture = page.screenshot(animations="disabled")
    (TARGET / f"{name}-{look}.png").write_bytes(shrunk(picture, desk))


if __name__ == "__main__":
    main()
