"""The console in a real browser: the journeys of people, what goes wrong on the way, and what must not happen."""

from __future__ import annotations

import base64
import re
import time
from typing import Final

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from playwright.sync_api import expect

from tests.support.console import PASSWORD, ConsoleUnderTest, answers_with_machines, go, settled

# One server for all tests of the console: they stay on one worker.
pytestmark = pytest.mark.xdist_group("console")

MOST_ROWS: Final = 80
FIRST_SCREEN_BYTES: Final = 100_000
KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGM6ST7sCFO7xkXpFqQ7ZxkQ3s2nG0rQ5oR4m1bKZ3xT"


def test_a_person_signs_up_starts_a_machine_watches_it_and_reads_the_bill(console: ConsoleUnderTest) -> None:
    page = console.page()
    page.goto("/")
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("Name").fill("Ada Lovelace")
    page.get_by_label("E-mail").fill("ada@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", name="Start your first machine")).to_be_visible()
    expect(page.locator(".snippet pre")).to_contain_text("curl -X POST")

    page.get_by_role("button", name="Create machine").first.click()
    dialog = page.get_by_role("dialog", name="Create a machine")
    expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    price = dialog.get_by_role("complementary", name="Price")
    dialog.get_by_role("radio", name="large", exact=False).first.check()
    expect(price).to_contain_text("$0.20per hour")
    expect(price).to_contain_text("$144.00")
    expect(price).to_contain_text(re.compile(r"Credit ends.*in 10 d"))
    dialog.get_by_label("Name", exact=True).fill("web-1")
    dialog.get_by_role("button", name="Create machine").click()

    row = page.locator("[data-machine=web-1]")
    expect(row).to_contain_text("running")
    row.get_by_role("link", name="web-1").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("web-1")
    expect(page.get_by_role("term").filter(has_text="So far")).to_be_visible()
    page.wait_for_timeout(1100)  # Less than a second of use is no line of the bill.
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("stopped")
    page.get_by_role("link", name="Operations").click()
    expect(page.get_by_role("row", name=re.compile("Stop.*succeeded"))).to_be_visible()
    page.get_by_role("link", name="States").click()
    expect(page.get_by_role("listitem").filter(has_text="stopped").first).to_contain_text("running")

    page.get_by_role("link", name="Billing").first.click()
    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("row", name=re.compile(r"-\$0\.05"))).to_be_visible()
    page.get_by_role("button", name=re.compile("^Explain: .*of large")).click()
    expect(page.get_by_role("dialog")).to_contain_text("the same to the millionth")
    page.keyboard.press("Escape")
    page.go_back()
    expect(page.get_by_role("heading", name="The last seven days")).to_be_visible()


def test_a_session_that_ends_in_the_middle_of_a_form_costs_nothing_that_was_typed(console: ConsoleUnderTest) -> None:
    person = console.person()
    person.project()
    page = console.signed_in(person, "/machines?create=1")
    dialog = page.get_by_role("dialog", name="Create a machine")
    dialog.get_by_label("Name", exact=True).fill("typed-before")
    httpx.post(f"{console.url}/auth/logout", headers={"Authorization": console.token}).raise_for_status()
    dialog.get_by_role("button", name="Create machine").click()
    again = page.get_by_role("dialog", name="Sign in again")
    again.get_by_label("Password").fill("not this one")
    again.get_by_role("button", name="Go on").click()
    expect(again.get_by_role("alert")).to_be_visible()
    again.get_by_label("Password").fill(PASSWORD)
    again.get_by_role("button", name="Go on").click()

    expect(page.locator("[data-machine=typed-before]")).to_contain_text("running")


def test_a_reload_keeps_the_session_and_the_address_and_no_token_is_in_storage_that_stays(
    console: ConsoleUnderTest,
) -> None:
    person = console.person()
    page = console.signed_in(person, "/projects")

    page.reload()

    expect(page.get_by_role("heading", level=1, name="Projects")).to_be_visible()
    assert "zr_" not in page.evaluate("JSON.stringify({...localStorage})")
    assert "eyJ" not in page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")


def test_two_tabs_share_one_session_and_its_end(console: ConsoleUnderTest) -> None:
    page = console.signed_in(console.person())
    other = console.watch(page.context.new_page())

    other.goto("/console/settings")
    expect(other.get_by_role("heading", level=1, name="Settings")).to_be_visible()
    other.get_by_role("button", name="Sign out").click()

    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_sessions_are_ended_and_tokens_are_shown_once(console: ConsoleUnderTest) -> None:
    person = console.person()
    person.project()
    page = console.signed_in(person, "/settings/security")
    elsewhere = page.get_by_role("listitem").filter(has_text="Python")
    elsewhere.get_by_role("button", name="End").click()
    expect(elsewhere).to_have_count(0)
    assert person.api.get("/auth/me").status_code == httpx.codes.UNAUTHORIZED

    page.get_by_role("link", name="Tokens").click()
    page.get_by_role("button", name="Make token").first.click()
    making = page.get_by_role("dialog", name="Make a token")
    making.get_by_label("Name").fill("backup")
    making.get_by_label("shop").check()
    making.get_by_role("button", name="Make token").click()
    shown = page.get_by_role("dialog", name="The secret of backup")
    secret = shown.locator("code").inner_text()
    shown.get_by_role("button", name="I have kept it").click()

    answer = httpx.get(f"{console.url}/vms", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == httpx.codes.OK
    expect(page.get_by_text("vms:read · in shop")).to_be_visible()
    assert secret not in page.content()


def test_a_second_factor_is_turned_on_and_asked_for(console: ConsoleUnderTest) -> None:
    person = console.person()
    page = console.signed_in(person, "/settings/security")
    page.get_by_role("button", name="Turn on").click()
    dialog = page.get_by_role("dialog", name="Turn on the second factor")
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Go on").click()
    secret = dialog.locator("code").inner_text()
    dialog.get_by_label("Code").fill(code_of(secret))
    dialog.get_by_role("button", name="Turn on").click()
    codes = page.locator("pre.formula").inner_text().split()
    page.get_by_role("button", name="I have kept them").click()
    page.get_by_role("button", name="Account of").click()
    page.get_by_role("menuitem", name="Sign out").click()

    page.get_by_label("E-mail").fill(person.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("The code is wrong")
    page.get_by_label("Code").fill(codes[0])
    page.get_by_role("button", name="Sign in").click()

    expect(page.locator(".topbar")).to_be_visible()
    assert len(codes) == len(set(codes)) == 10


def test_a_link_from_a_mail_leads_to_its_form_and_leaves_no_token_in_the_address(console: ConsoleUnderTest) -> None:
    page = console.page()
    page.goto(f"/console#reset={'a' * 43}")
    page.get_by_label("New password").fill("another correct horse")
    page.get_by_role("button", name="Set password").click()

    expect(page.get_by_role("alert")).to_contain_text("not valid any more")
    assert page.url == f"{console.url}/console"
    page.get_by_role("link", name="Back to sign in").click()
    page.get_by_role("link", name="Forgotten the password?").click()
    page.get_by_label("E-mail").fill("nobody@example.com")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("status").first).to_be_visible()


def test_what_happens_elsewhere_is_on_screen_by_itself(console: ConsoleUnderTest) -> None:
    person = console.person()
    project = person.project()
    page = console.signed_in(person, "/machines")
    expect(page.get_by_text("Changes arrive live")).to_be_attached()

    machine = person.vm("from-elsewhere", project)
    expect(page.locator("[data-machine=from-elsewhere]")).to_contain_text("running")
    go(page, "/events")
    expect(page.get_by_role("listitem").filter(has_text="from-elsewhere").first).to_be_visible()
    person.api.post(f"/vms/{machine['id']}/stop", headers={"Prefer": "wait=20"}).raise_for_status()

    expect(page.get_by_role("listitem").filter(has_text="running → stopped").first).to_be_visible()


def test_a_lost_connection_is_told_and_heals(console: ConsoleUnderTest) -> None:
    person = console.person()
    person.vm("web-1", person.project())
    page = console.signed_in(person, "/machines")
    row = page.locator("[data-machine=web-1]")
    expect(row).to_contain_text("running")

    page.context.set_offline(True)
    row.get_by_role("button", name="Actions for web-1").click()
    row.get_by_role("menuitem", name="Stop").click()
    expect(page.get_by_text("The server cannot be reached").first).to_be_visible()
    expect(row).to_contain_text("running")
    page.context.set_offline(False)
    row.get_by_role("button", name="Actions for web-1").click()
    row.get_by_role("menuitem", name="Stop").click()

    expect(row).to_contain_text("stopped")
    expect(page.locator(".offline")).to_have_count(0)


def test_credit_that_does_not_suffice_is_said_before_and_after_the_click(console: ConsoleUnderTest) -> None:
    person = console.person()
    person.project()
    change = {"kind": "deduction", "amount": 49.93, "reason": "a test of little credit"}
    console.admin().api.post(f"/admin/users/{person.id}/credits", json=change).raise_for_status()
    page = console.signed_in(person, "/machines?create=1")
    dialog = page.get_by_role("dialog", name="Create a machine")

    expect(dialog.get_by_role("complementary", name="Price")).to_contain_text("must be free to start it")
    dialog.get_by_label("Name", exact=True).fill("too-dear")
    dialog.get_by_role("button", name="Create machine").click()

    expect(dialog).to_contain_text("Insufficient credits")
    dialog.get_by_role("link", name="Add credit").first.click()
    page.get_by_role("button", name="Add credit").click()
    page.get_by_role("dialog").get_by_role("button", name="Add $20.00").click()
    expect(page.locator(".pill")).to_contain_text("$20.07")


def test_a_failing_operation_says_why_where_the_machine_is(console: ConsoleUnderTest) -> None:
    admin = console.admin()
    page = console.signed_in(admin, "/admin/simulator")
    page.get_by_role("button", name="Add fault").click()
    rule = page.get_by_role("dialog", name="Add a fault")
    rule.get_by_label("What goes wrong").select_option("rejected")
    rule.get_by_label("With which order").select_option("reboot")
    rule.get_by_role("button", name="Add fault").click()
    expect(page.locator("main").get_by_text("rejected", exact=True)).to_be_visible()

    machine = admin.vm("unlucky", admin.project())
    go(page, f"/machines/{machine['id']}")
    page.get_by_role("button", name="Restart").click()
    page.get_by_role("link", name="Operations").click()

    expect(page.get_by_role("row", name=re.compile("Restart.*failed"))).to_be_visible()
    admin.api.delete("/admin/simulator/faults")


def test_what_belongs_to_somebody_else_is_not_there(console: ConsoleUnderTest) -> None:
    owner = console.person()
    project = owner.project()
    machine = owner.vm("hers", project)
    page = console.signed_in(console.person(), f"/machines/{machine['id']}")

    expect(page.get_by_role("heading", name="There is no such machine")).to_be_visible()
    go(page, f"/projects/{project}")
    expect(page.get_by_role("heading", name="There is no such project")).to_be_visible()
    go(page, "/nowhere")
    expect(page.get_by_role("heading", name="There is nothing at this address")).to_be_visible()
    go(page, "/admin")
    expect(page.get_by_role("heading", name="This is for administrators")).to_be_visible()


def test_what_cannot_be_taken_back_is_typed_and_the_rest_can_be_undone(console: ConsoleUnderTest) -> None:
    person = console.person()
    project = person.project()
    for name in ("one", "two", "three"):
        person.vm(name, project)
    person.api.post("/ssh-keys", json={"name": "laptop", "public_key": KEY}).raise_for_status()
    page = console.signed_in(person, "/machines")
    page.get_by_role("checkbox", name="Choose one").check()
    page.get_by_role("checkbox", name="Choose two").check()
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete 2 machines?")

    expect(dialog.get_by_role("button", name="Delete all")).to_be_disabled()
    dialog.get_by_role("textbox").fill("delete 2")
    dialog.get_by_role("button", name="Delete all").click()

    expect(page.locator("[data-machine]")).to_have_count(1)
    go(page, "/settings/keys")
    page.get_by_role("button", name="Actions for laptop").click()
    page.get_by_role("menuitem", name="Remove").click()
    expect(page.get_by_role("heading", name="No SSH keys")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("laptop")).to_be_visible()


def test_the_keyboard_reaches_everything(console: ConsoleUnderTest) -> None:
    person = console.person()
    person.vm("needle", person.project("haystack"))
    page = console.signed_in(person)
    settled(page)

    page.keyboard.press("/")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("needle")
    expect(page.get_by_role("option", name=re.compile("needle"))).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("needle")
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page.get_by_role("heading", level=1, name="Projects")).to_be_visible()
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_ten_thousand_machines_are_a_few_rows(console: ConsoleUnderTest) -> None:
    page = console.page(viewport={"width": 1440, "height": 900})
    page.route(re.compile(r"/vms\?"), answers_with_machines(10_000))
    page.goto("/console/machines")
    page.get_by_label("E-mail").fill(console.person().email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("main [role=status]").first).to_contain_text("10,000 machines", timeout=30_000)

    page.locator(".grid-scroll").evaluate("box => { box.scrollTop = box.scrollHeight / 2; }")
    expect(page.locator("[data-machine=node-05000]")).to_be_attached()
    rows = page.locator(".grid-row").count()
    page.get_by_label("Filter by name, address, image or label").fill("node-0777")

    assert 0 < rows <= MOST_ROWS
    expect(page.locator(".grid-row")).to_have_count(10)


def test_the_first_screen_is_small_and_comes_from_here(console: ConsoleUnderTest) -> None:
    page = console.page()
    sizes: list[int] = []
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))

    page.goto("/console", wait_until="networkidle")

    assert len(sizes) > 10
    assert sum(sizes) < FIRST_SCREEN_BYTES


def code_of(secret: str) -> str:
    """What an authenticator shows now."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    return TOTP(key, 6, hashes.SHA1(), 30, enforce_key_length=False).generate(time.time()).decode()
