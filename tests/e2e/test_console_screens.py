"""Every screen of the console: accessible in every look, within the width of a phone, and markup shown as text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from tests.support.console import VETERAN, ConsoleUnderTest, Person, go, settled, sign_in
from zentry.console.files import STATIC

# One server for all tests of the console: they stay on one worker.
pytestmark = pytest.mark.xdist_group("console")

PAYLOAD: Final = "<img src=x onerror=\"window.broken.push('xss')\"><script>window.broken.push('xss')</script>"
KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGM6ST7sCFO7xkXpFqQ7ZxkQ3s2nG0rQ5oR4m1bKZ3xT"
# All rules in the light; what another look can change in the others.
RULES: Final = {
    "light": (),
    "dark": ("color-contrast",),
    "phone": ("color-contrast", "scrollable-region-focusable", "target-size", "button-name", "link-name"),
}
# Resolves when no colour is on its way from one look to the other, or after a while where no frame is drawn.
STILL: Final = """async () => {
  const pause = (time) => new Promise((done) => setTimeout(done, time));
  const frame = () => Promise.race([new Promise(requestAnimationFrame), pause(100)]);
  for (let tries = 0; tries < 10; tries++) {
    await frame();
    await frame();
    if (document.getAnimations().length === 0) return;
    await pause(20);
  }
}"""
PHONE: Final[dict[str, Any]] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
# Every address of the console. A test compares it with the table in main.js.
SCREENS: Final = (
    "/",
    "/machines",
    "/machines/:id",
    "/machines/:id/metrics",
    "/machines/:id/operations",
    "/machines/:id/states",
    "/machines/:id/events",
    "/machines/:id/console",
    "/machines/:id/snapshots",
    "/machines/:id/costs",
    "/projects",
    "/projects/:project",
    "/billing",
    "/billing/history",
    "/billing/prices",
    "/billing/budgets",
    "/billing/forecast",
    "/billing/statements",
    "/billing/statements/:statement",
    "/monitoring",
    "/monitoring/alerts",
    "/events",
    "/settings",
    "/settings/security",
    "/settings/tokens",
    "/settings/keys",
    "/settings/webhooks",
    "/settings/webhooks/:webhook",
    "/settings/appearance",
)
ADMIN_SCREENS: Final = (
    "/admin",
    "/admin/users",
    "/admin/users/:user",
    "/admin/operations",
    "/admin/drivers",
    "/admin/simulator",
    "/admin/prices",
    "/admin/books",
    "/admin/audit",
)
# Dialogs by the screen that opens them: the button, or the menu and what is chosen in it.
DIALOGS: Final = {
    "/machines": ["Create machine"],
    "/machines/:id": [
        "More actions > Resize",
        "More actions > Rename and label",
        "More actions > Rebuild from an image",
    ],
    "/machines/:id/costs": ["Explain: Created VM"],
    "/projects": ["Create project"],
    "/projects/:project": ["Edit", "Invite", "Delete project"],
    "/billing": ["Redeem voucher", "Add credit"],
    "/billing/budgets": ["Set budget"],
    "/billing/forecast": ["Add machines"],
    "/monitoring/alerts": ["Add policy", "Silence"],
    "/settings": ["Change the address", "Close it", "Delete the account"],
    "/settings/security": ["Turn on"],
    "/settings/tokens": ["Make token"],
    "/settings/keys": ["Add key"],
    "/settings/webhooks": ["Add webhook"],
    "/settings/webhooks/:webhook": ["Look at webhook.ping", "More actions > Change"],
}
ADMIN_DIALOGS: Final = {
    "/admin/users/:user": ["Credit", "Change", "More actions > Discount", "More actions > Suspend"],
    "/admin/simulator": ["Add fault"],
    "/admin/prices": ["Announce prices", "Make voucher"],
}


@pytest.fixture(scope="module")
def furnished(running: ConsoleUnderTest) -> tuple[Person, dict[str, str]]:
    """Somebody whose every field holds markup where the API takes it, and who has one of everything."""
    person = running.known(VETERAN)
    project = person.project("shop", PAYLOAD)
    machine = person.vm("web-1", project, labels={"env": "prod"}, user_data=f"#!/bin/sh\necho '{PAYLOAD}'")
    for path, body in {
        f"/vms/{machine['id']}/snapshots": {"name": "before"},
        "/billing/credits/add": {"amount": 5, "description": PAYLOAD},
        "/ssh-keys": {"name": "laptop", "public_key": f"{KEY} {PAYLOAD[:40]}"},
        "/billing/budgets": {
            "name": "month",
            "amount": 20,
            "label_key": "env",
            "label_value": "prod",
            "thresholds": [{"percent": 80}],
        },
        f"/projects/{project}/invitations": {"email": "grace.hopper@example.com", "role": "viewer"},
    }.items():
        person.api.post(path, json=body, headers={"Prefer": "wait=20"}).raise_for_status()
    policy = {
        "name": PAYLOAD,
        "source": "billing",
        "subject": "available_credits",
        "comparison": "below",
        "threshold": 5,
    }
    told = person.api.post("/alerts/policies", json=policy).raise_for_status().json()
    person.api.post(f"/alerts/policies/{told['id']}/test").raise_for_status()
    hook = {"url": f"{running.url}/nothing", "description": PAYLOAD}
    webhook = person.api.post("/webhooks", json=hook).raise_for_status().json()
    person.api.post(f"/webhooks/{webhook['id']}/ping").raise_for_status()
    statement = person.api.get("/billing/statements").json()["statements"][0]["id"]
    ids = {":id": machine["id"], ":project": project, ":statement": statement, ":webhook": webhook["id"]}
    return person, {**ids, ":user": person.id}


def test_every_address_of_the_console_is_looked_at() -> None:
    table = re.findall(
        r'^  \["(/[^"]*)", \(\) => import', (STATIC / "main.js").read_text(encoding="utf-8"), re.MULTILINE
    )

    looked_at = {re.sub(r":(project|statement|webhook|user)", ":id", screen) for screen in (*SCREENS, *ADMIN_SCREENS)}

    assert {_pattern(screen, table) for screen in looked_at} == set(table)


@pytest.mark.parametrize("where", ["desk", "phone"])
def test_every_screen_is_accessible_and_shows_markup_as_text(
    console: ConsoleUnderTest, furnished: tuple[Person, dict[str, str]], where: str
) -> None:
    person, ids = furnished
    page = console.page(bypass_csp=True, reduced_motion="reduce", **(PHONE if where == "phone" else {}))
    page.goto("/console")
    page.get_by_role("heading", name="Sign in").wait_for()
    seen = Looks(page, where)
    seen.look("sign in")
    go(page, "/sign-up")
    page.get_by_role("heading", name="Create an account").wait_for()
    seen.look("sign up")
    go(page, "/")
    sign_in(page, person.email)
    _look_at_all(seen, SCREENS, DIALOGS, ids)

    assert seen.wrong == {}


@pytest.mark.parametrize("where", ["desk", "phone"])
def test_the_administrators_screens_are_accessible(
    console: ConsoleUnderTest, furnished: tuple[Person, dict[str, str]], where: str
) -> None:
    page = console.page(bypass_csp=True, reduced_motion="reduce", **(PHONE if where == "phone" else {}))
    page.goto("/console/admin")
    sign_in(page, console.admin().email)
    seen = Looks(page, where)
    _look_at_all(seen, ADMIN_SCREENS, ADMIN_DIALOGS, furnished[1])

    assert seen.wrong == {}


class Looks:
    """Looks at a page with axe-core: at a desk in the light and in the dark, or on a phone."""

    def __init__(self, page: Page, where: str) -> None:
        self.page = page
        self._looks = ["phone"] if where == "phone" else ["light", "dark"]
        self.wrong: dict[str, list[str]] = {}
        page.evaluate(AXE_SCRIPT)

    def look(self, name: str) -> None:
        """Note what is wrong with the page as it is."""
        for look in self._looks:
            self.page.emulate_media(color_scheme="dark" if look == "dark" else "light")
            self.page.evaluate(STILL)
            if found := self._violations(*RULES[look]):
                self.wrong[f"{name} ({look})"] = found
        self._looks.reverse()  # The next screen begins in the look in which this one ends.
        if not self.page.evaluate(
            """() => [document.documentElement, ...document.querySelectorAll("dialog .content")].every(
                (one) => one.scrollWidth <= one.clientWidth)"""
        ):
            self.wrong[f"{name} (too wide)"] = []

    def _violations(self, *rules: str) -> list[str]:
        only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
        return list(
            self.page.evaluate(
                """async (options) => (await axe.run(document, options)).violations.flatMap(
                    (one) => one.nodes.slice(0, 2).map((node) => `${one.id}: ${node.html.slice(0, 160)}`))""",
                {"resultTypes": ["violations"], **only},
            )
        )


def _look_at_all(seen: Looks, screens: Sequence[str], dialogs: Mapping[str, list[str]], ids: Mapping[str, str]) -> None:
    for screen in screens:
        go(seen.page, re.sub(r":\w+", lambda match: ids[match[0]], screen))
        settled(seen.page)
        seen.look(screen)
        for opener in dialogs.get(screen, ()):
            for name in opener.split(" > "):
                seen.page.get_by_role("main").get_by_role("button", name=name).or_(
                    seen.page.get_by_role("menuitem", name=name)
                ).first.click()
            seen.page.get_by_role("dialog").wait_for()
            settled(seen.page)
            seen.look(f"{screen}: {opener}")
            seen.page.keyboard.press("Escape")
            seen.page.get_by_role("dialog").wait_for(state="detached")


def _pattern(screen: str, table: list[str]) -> str:
    """The line of the table that an address falls under."""
    for pattern in table:
        if re.fullmatch(re.sub(r":\w+", "[^/]+", pattern), screen):
            return pattern
    return screen
