"""What people do with the console beyond their first machine: work together, look after money, and be told."""

from __future__ import annotations

import re
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.support.console import PASSWORD, VETERAN, ConsoleUnderTest, sign_in
from tests.support.sink import sink

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
    theirs = console.page()
    theirs.goto(f"/console#invitation={token}")
    expect(theirs.get_by_role("status")).to_contain_text("You are invited to a project")
    sign_in(theirs, guest.email)
    joining = theirs.get_by_role("dialog", name="Join the project?")
    expect(joining).to_contain_text(guest.email)
    joining.get_by_role("button", name="Join").click()
    expect(theirs).to_have_url(f"{console.url}/console/projects/{project}")
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


def test_people_are_told_of_what_happens(console: ConsoleUnderTest) -> None:
    person = console.person()
    person.vm("web-1", person.project())
    page = console.signed_in(person, "/monitoring?compare=1")
    expect(page.get_by_role("img", name=re.compile("^CPU together. CPU: now"))).to_be_visible()
    expect(page.get_by_role("columnheader", name="Against before")).to_be_visible()

    page.get_by_role("link", name="Alerts", exact=True).click()
    page.get_by_role("button", name="Add policy").click()
    dialog = page.get_by_role("dialog", name="Add a policy")
    dialog.get_by_label("Name").fill(PAYLOAD)
    dialog.get_by_role("button", name="Money").click()
    dialog.get_by_label("It fires when it is").select_option("below")
    dialog.get_by_label("Threshold").fill("5")
    dialog.get_by_label("Tell me by mail").check()
    with page.expect_request(lambda request: request.method == "POST") as added:
        dialog.get_by_role("button", name="Add policy").click()
    assert (added.value.post_data_json or {})["notify_mail"] is True
    _act(page, PAYLOAD, "Fire a test")
    expect(page.get_by_role("listitem").filter(has_text="a test")).to_contain_text(PAYLOAD)
    _act(page, PAYLOAD, "Silence")
    dialog = page.get_by_role("dialog", name="Hold back what would be told")
    dialog.get_by_label("Why").fill(PAYLOAD)
    dialog.get_by_role("button", name="Silence").click()
    page.get_by_role("listitem").filter(has_text="until").get_by_role("button", name="End").click()
    expect(page.get_by_role("heading", name="Nothing is held back")).to_be_visible()
    _act(page, PAYLOAD, "Change")
    dialog = page.get_by_role("dialog", name="Change")
    dialog.get_by_label("Threshold").fill("7.5")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("listitem").filter(has_text="below 7.5")).to_be_visible()


def test_events_are_posted_to_a_webhook_and_posted_again(console: ConsoleUnderTest) -> None:
    page = console.signed_in(console.person(), "/settings/webhooks")
    with sink() as address:
        page.get_by_role("button", name="Add webhook").click()
        dialog = page.get_by_role("dialog", name="Add a webhook")
        dialog.get_by_label("Address").fill("http://169.254.169.254/latest")
        dialog.get_by_label("Description").fill(PAYLOAD)
        dialog.get_by_role("button", name="Add webhook").click()
        expect(dialog.locator(".problem, .notice.bad").first).to_be_visible()
        dialog.get_by_label("Address").fill(address)
        dialog.get_by_label("Kinds of events").fill("vm., webhook.")
        dialog.get_by_role("button", name="Add webhook").click()
        shown = page.get_by_role("dialog", name="The secret of this webhook")
        expect(shown.locator("code")).to_contain_text("whsec_")
        shown.get_by_role("button", name="I have kept it").click()
        page.get_by_role("link", name=address).click()
        page.get_by_role("button", name="Send a ping").click()
        delivery = page.get_by_role("listitem").filter(has_text="delivered")
        expect(delivery.first).to_contain_text("answered 204")
        delivery.first.get_by_role("button", name="Look at").click()
        dialog = page.get_by_role("dialog", name="A delivery")
        expect(dialog.get_by_role("row").nth(1)).to_contain_text("204")
        dialog.get_by_role("button", name="Post again").click()
        expect(delivery.first).to_contain_text("answered 204")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete this webhook?")
    dialog.get_by_role("textbox").fill("delete")
    dialog.get_by_role("button", name="Delete webhook").click()
    expect(page.get_by_role("heading", name="No webhooks")).to_be_visible()


def test_an_account_moves_to_another_address_and_ends(console: ConsoleUnderTest) -> None:
    person = console.person()
    moved = f"moved-{person.email}"
    page = console.signed_in(person, "/settings")
    page.get_by_role("button", name="Change the address").click()
    dialog = page.get_by_role("dialog", name="Change the address")
    dialog.get_by_label("New e-mail").fill(moved)
    dialog.get_by_label("Password").fill("not this one")
    dialog.get_by_role("button", name="Send the link").click()
    expect(dialog.locator(".problem, .notice.bad").first).to_be_visible()
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Send the link").click()
    expect(dialog).to_have_count(0)
    token = re.findall(r"Token: (\S+)", console.mailed(moved))[-1]
    page.goto(f"/console/settings#change-email={token}")
    expect(page.get_by_text(moved).first).to_be_visible()

    with page.expect_download() as download:
        page.get_by_role("button", name="What is kept about me").click()
    assert download.value.suggested_filename == "account.json"
    page.get_by_role("button", name="Delete the account").click()
    dialog = page.get_by_role("dialog", name="Delete the account?")
    dialog.get_by_label("Password").fill(PASSWORD)
    expect(dialog.get_by_role("button", name="Delete it for good")).to_be_disabled()
    dialog.get_by_label(f"Type {moved} to confirm").fill(moved)
    dialog.get_by_role("button", name="Delete it for good").click()

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert person.api.post("/auth/login", json={"email": moved, "password": PASSWORD}).is_client_error


def test_an_administrator_helps_people_and_looks_after_the_platform(console: ConsoleUnderTest) -> None:
    person = console.person("Barbara Liskov")
    page = console.signed_in(console.admin(), "/admin/users")
    page.get_by_label("Find accounts by e-mail").fill(person.email)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Barbara Liskov").click()
    page.get_by_role("button", name="Credit", exact=True).click()
    dialog = page.get_by_role("dialog", name="Credit of Barbara Liskov")
    dialog.get_by_label("Amount").fill("7")
    dialog.get_by_label("Reason").fill(PAYLOAD)
    dialog.get_by_role("button", name="Write it").click()
    expect(page.get_by_text("The balance is $57.00 now")).to_be_visible()
    page.locator(".card").filter(has_text="Quotas").get_by_role("button", name="Change").click()
    dialog = page.get_by_role("dialog", name="Change the quotas")
    dialog.get_by_label("Machines").fill("many")
    dialog.get_by_role("button", name="Set quotas").click()
    expect(dialog.get_by_text("must be a whole number")).to_be_visible()
    dialog.get_by_label("Machines").fill("3")
    dialog.get_by_role("button", name="Set quotas").click()
    expect(dialog).to_have_count(0)
    quotas = {one["resource"]: one["maximum"] for one in person.api.get("/quotas").json()["quotas"]}
    assert quotas["vms"] == 3
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Suspend").click()
    dialog = page.get_by_role("dialog", name="Suspend Barbara Liskov?")
    dialog.get_by_label("Reason").fill(PAYLOAD)
    dialog.get_by_role("button", name="Suspend").click()
    expect(page.get_by_text(PAYLOAD).first).to_be_visible()
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Resume").click()
    expect(page.get_by_text("active", exact=True)).to_be_visible()
    page.get_by_role("link", name="What was done").click()
    expect(page.get_by_role("listitem").filter(has_text="suspended").first).to_be_visible()

    page.get_by_role("link", name="Prices").click()
    page.get_by_role("button", name="Announce prices").click()
    dialog = page.get_by_role("dialog", name="Announce prices")
    dialog.get_by_label("small", exact=True).fill("0.06")
    dialog.get_by_role("button", name="Announce").click()
    page.get_by_role("button", name="Withdraw list 2").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("list 2")
    page.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
    expect(page.get_by_role("button", name="Withdraw list 2")).to_have_count(0)
    page.get_by_role("button", name="Make voucher").click()
    dialog = page.get_by_role("dialog", name="Make a voucher")
    dialog.get_by_label("Reason").fill(PAYLOAD)
    dialog.get_by_role("button", name="Make voucher").click()
    page.get_by_role("dialog", name="The secret of the voucher").get_by_role("button", name="I have kept it").click()
    expect(page.get_by_text("0 of 1 redeemed")).to_be_visible()
    page.get_by_role("link", name="Books").click()
    expect(page.get_by_text("The books hold")).to_be_visible()


def _act(page: Page, who: str, what: str) -> None:
    """Choose something from the menu of a line."""
    page.get_by_role("button", name=f"Actions for {who}").click()
    page.get_by_role("menuitem", name=what).click()
