"""What people do with the console beyond their first machine: work together, look after money, and be told."""

from __future__ import annotations

import re
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.support.console import VETERAN, ConsoleUnderTest

# One server for all tests of the console: they stay on one worker.
pytestmark = pytest.mark.xdist_group("console")

PAYLOAD: Final = "<img src=x onerror=\"window.broken.push('xss')\">"


def test_people_are_invited_work_together_and_a_project_changes_hands(console: ConsoleUnderTest) -> None:
    owner, guest = console.person("Ada Lovelace"), console.person("Grace Hopper")
    project = owner.project("shop")
    owner.vm("web-1", project)
    page = console.signed_in(owner, f"/projects/{project}")

    page.get_by_role("button", name="Invite").click()
    dialog = page.get_by_role("dialog", name="Invite somebody")
    dialog.get_by_label("E-mail").fill("not an address")
    dialog.get_by_role("button", name="Invite").click()
    expect(dialog.locator(".problem, .notice.bad").first).to_be_visible()
    dialog.get_by_label("E-mail").fill(guest.email)
    dialog.get_by_label("Role").select_option("viewer")
    dialog.get_by_role("button", name="Invite").click()
    expect(page.get_by_role("listitem").filter(has_text=guest.email)).to_contain_text("invited")

    token = re.findall(r"zi_[\w-]+", console.mailed(guest.email))[-1]
    guest.api.post("/invitations/accept", json={"token": token}).raise_for_status()
    theirs = console.signed_in(guest, f"/projects/{project}")
    expect(theirs.get_by_role("link", name="web-1")).to_be_visible()
    expect(theirs.get_by_role("button", name="Create machine")).to_have_count(0)
    expect(theirs.get_by_role("button", name="Invite")).to_have_count(0)

    page.reload()
    _act(page, "Grace Hopper", "Make member")
    expect(
        page.get_by_role("listitem").filter(has_text="Grace Hopper").get_by_text("member", exact=True)
    ).to_be_visible()
    _act(page, "Grace Hopper", "Hand the project over")
    page.get_by_role("dialog").get_by_role("button", name="Offer it").click()
    expect(page.get_by_text("This project is offered to Grace Hopper.")).to_be_visible()
    theirs.reload()
    theirs.get_by_role("button", name="Accept").click()
    theirs.get_by_role("dialog").get_by_role("button", name="Accept").click()
    expect(theirs.get_by_role("heading", name="Delete this project")).to_be_visible()
    _act(theirs, "Ada Lovelace", "Remove")
    theirs.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(theirs.get_by_role("listitem").filter(has_text="Ada Lovelace")).to_have_count(0)

    assert guest.api.get(f"/projects/{project}").json()["role"] == "owner"


def test_money_is_limited_foreseen_redeemed_and_accounted_for(console: ConsoleUnderTest) -> None:
    veteran = console.known(VETERAN)
    voucher = console.admin().api.post("/admin/vouchers", json={"amount": 12, "reason": "a test"}).raise_for_status()
    page = console.signed_in(veteran, "/billing/statements")
    page.get_by_role("link", name="No. 1").click()
    expect(page.get_by_role("heading", name=re.compile("Statement no. 1"))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("Machine usage"))).to_contain_text("-$1.20")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename == "statement-1.csv"

    page.get_by_role("link", name="Budgets").click()
    page.get_by_role("button", name="Set budget").click()
    dialog = page.get_by_role("dialog", name="Set a budget")
    dialog.get_by_label("Name").fill(PAYLOAD[:40])
    dialog.get_by_label("Amount of a month").fill("30")
    dialog.get_by_role("button", name="Another threshold").click()
    dialog.get_by_label("Then").nth(1).select_option("block_creation")
    dialog.get_by_role("button", name="Set budget").click()
    budget = page.get_by_role("listitem").filter(has_text=PAYLOAD[:40])
    expect(budget).to_contain_text("tell me at $24.00")
    expect(budget).to_contain_text("refuse new machines at $30.00")
    budget.get_by_role("button", name="Actions for").click()
    page.get_by_role("menuitem", name="Change").click()
    dialog = page.get_by_role("dialog", name=f"Change {PAYLOAD[:40]}")
    dialog.get_by_label("Amount of a month").fill("40")
    dialog.get_by_role("button", name="Save").click()
    expect(budget).to_contain_text("tell me at $32.00")

    page.get_by_role("link", name="Forecast").click()
    expect(page.get_by_text("The credit lasts until")).to_be_visible()
    page.get_by_role("button", name="Add machines").click()
    dialog = page.get_by_role("dialog", name="Machines that might be")
    dialog.get_by_label("Size").select_option("xlarge")
    dialog.get_by_label("How many").fill("40")
    dialog.get_by_role("button", name="Show").click()
    expect(page.get_by_text("is stopped because the credit ends").first).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Credit. Balance: now"))).to_be_visible()

    page.get_by_role("button", name="Redeem voucher").click()
    dialog = page.get_by_role("dialog", name="Redeem a voucher")
    dialog.get_by_label("Code").fill("ZV-NOT-ONE")
    dialog.get_by_role("button", name="Redeem").click()
    expect(dialog.locator(".problem, .notice.bad").first).to_be_visible()
    dialog.get_by_label("Code").fill(voucher.json()["code"])
    dialog.get_by_role("button", name="Redeem").click()
    expect(page.get_by_text("$12.00 added")).to_be_visible()


def _act(page: Page, who: str, what: str) -> None:
    """Choose something from the menu of a line."""
    page.get_by_role("button", name=f"Actions for {who}").click()
    page.get_by_role("menuitem", name=what).click()
