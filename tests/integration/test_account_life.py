"""The life of an account: its address proven, its password chosen anew, its second factor, its end."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
import sqlalchemy as sa

from tests.support.platform import PASSWORD, Account, PlatformUnderTest
from tests.support.totp import code_at
from zentry.accounts.sweep import sweep_counters
from zentry.schema.accounts import account_links, recovery_codes, second_factors, sessions, users
from zentry.schema.events import events
from zentry.schema.mail import mails
from zentry.schema.vms import ssh_keys

NEW: Final = "quite another horse, stapled"
SSH_KEY: Final = {
    "name": "laptop",
    "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPcnaZZyCBKI5UXk6hNn1fCCGKM0uBnLqyv5fFGXmJ4w ada@laptop",
}


@pytest.fixture
def overrides() -> dict[str, Any]:
    """A public URL for the links; addresses have to be confirmed."""
    return {"server": {"public_url": "https://cloud.example/"}, "security": {"verify_email": True}}


async def post(
    platform: PlatformUnderTest, path: str, body: dict[str, Any], account: Account | None = None, method: str = "POST"
) -> httpx.Response:
    headers = {"Host": "evil.example", **(account.headers if account is not None else {})}
    return await platform.client.request(method, path, json=body, headers=headers)


async def login(platform: PlatformUnderTest, account: Account, password: str = PASSWORD) -> httpx.Response:
    return await post(platform, "/auth/login", {"email": account.email, "password": password})


async def token_in_last_mail(platform: PlatformUnderTest, *, subject: str, to: str) -> str:
    texts = [mail.get_content() for mail in await platform.mails() if (mail["Subject"], mail["To"]) == (subject, to)]
    text = texts[-1]
    assert re.findall(r"https?://\S+", text) == re.findall(r"https://cloud\.example/console/#[a-z-]+=zl_\S+", text)
    [found] = set(re.findall(r"zl_[A-Za-z0-9_-]{43}", text))
    return str(found)


async def test_a_new_platform_has_no_account(platform: PlatformUnderTest) -> None:
    async with platform.database.read() as tx:
        assert (await tx.execute(sa.select(users))).all() == [], "nor a password that everybody knows"


async def test_an_address_is_confirmed_once_and_the_welcome_waits_for_it(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    before = account.tokens["user"]
    token = await token_in_last_mail(platform, subject="Confirm your e-mail address", to=account.email)
    again_at_once = await post(platform, "/auth/email/verification", {}, account)
    sent_at_once = len(await platform.mails())
    other_purpose = await post(platform, "/auth/password/reset", {"token": token, "new_password": NEW})

    first = await post(platform, "/auth/email/verify", {"token": token})
    second = await post(platform, "/auth/email/verify", {"token": token})
    platform.clock.advance(timedelta(minutes=2))
    needless = await post(platform, "/auth/email/verification", {}, account)
    me = (await platform.client.get("/auth/me", headers=account.headers)).json()

    assert (before["credits"], me["credits"], me["email_verified"]) == (0, 50, True)
    assert (again_at_once.status_code, sent_at_once) == (200, 1), "one mail a minute"
    assert (other_purpose.status_code, other_purpose.json()["error_code"]) == (404, "INVALID_LINK")
    assert (first.status_code, second.status_code, second.json()["error_code"]) == (200, 404, "INVALID_LINK")
    assert (needless.status_code, len(await platform.mails())) == (200, 1)

    late = await platform.signup()
    token = await token_in_last_mail(platform, subject="Confirm your e-mail address", to=late.email)
    platform.clock.advance(timedelta(hours=24))
    expired = await post(platform, "/auth/email/verify", {"token": token})
    async with platform.database.work() as tx:
        await sweep_counters(tx)
        left = (await tx.execute(sa.select(account_links))).all()
    assert (expired.status_code, left) == (404, [])


async def test_a_forgotten_password_is_chosen_anew_by_whoever_reads_the_mailbox(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    await platform.mails()
    unknown = await post(platform, "/auth/password/forgot", {"email": "nobody@example.com"})
    known = await post(platform, "/auth/password/forgot", {"email": account.email.upper()})
    no_address = await post(platform, "/auth/password/forgot", {"email": "not an address"})
    token = await token_in_last_mail(platform, subject="Choose another password", to=account.email)
    weak = await post(platform, "/auth/password/reset", {"token": token, "new_password": account.email})

    done = await post(platform, "/auth/password/reset", {"token": token, "new_password": NEW})
    once_more = await post(platform, "/auth/password/reset", {"token": token, "new_password": PASSWORD})
    platform.clock.advance(timedelta(seconds=1))

    told = [{**answer.json(), "timestamp": ""} for answer in (unknown, known, no_address)]
    assert told[0] == told[1] == told[2]
    assert {answer.status_code for answer in (unknown, known, no_address)} == {200}
    assert set(unknown.headers) == set(known.headers)
    assert (weak.status_code, done.status_code, once_more.status_code) == (400, 200, 404)
    assert (await platform.client.get("/auth/me", headers=account.headers)).status_code == 401
    assert (await login(platform, account)).status_code == 401
    inside = await login(platform, account, NEW)
    assert inside.json()["user"]["email_verified"], "who has the link reads the mailbox"
    assert (await platform.mails())[-1]["Subject"] == "Your account was changed"
    async with platform.database.read() as tx:
        stored = [(await tx.execute(sa.select(table))).all() for table in (account_links, mails)]
    assert token not in str(stored)


async def test_password_and_email_change_with_the_password_and_nothing_less(platform: PlatformUnderTest) -> None:
    account, other = await platform.signup(), await platform.signup("taken@example.com")
    phone = (await login(platform, account)).json()
    wrong = await post(
        platform, "/auth/password", {"current_password": "wrong", "new_password": NEW}, account, method="PUT"
    )
    changed = await post(
        platform, "/auth/password", {"current_password": PASSWORD, "new_password": NEW}, account, method="PUT"
    )
    platform.clock.advance(timedelta(seconds=1))
    phone_inside = await platform.client.get("/auth/me", headers={"Authorization": f"Bearer {phone['access_token']}"})
    here_inside = await platform.client.get("/auth/me", headers=account.headers)

    async def change_to(email: str, password: str = NEW) -> httpx.Response:
        return await post(platform, "/auth/email", {"email": email, "password": password}, account, method="PUT")

    refused = await change_to("new@example.com", PASSWORD)
    sent_before = len(await platform.mails())
    taken = await change_to(other.email)
    sent_for_taken = len(await platform.mails()) - sent_before
    asked = await change_to("new@example.com")
    still = (await platform.client.get("/auth/me", headers=account.headers)).json()["email"]
    token = await token_in_last_mail(platform, subject="Confirm your new e-mail address", to="new@example.com")
    confirmed = await post(platform, "/auth/email/confirm", {"token": token})
    now = (await platform.client.get("/auth/me", headers=account.headers)).json()

    assert (wrong.status_code, wrong.json()["error_code"]) == (403, "WRONG_PASSWORD")
    assert (changed.status_code, phone_inside.status_code, here_inside.status_code) == (200, 401, 200)
    assert (refused.status_code, taken.status_code, asked.status_code, sent_for_taken) == (403, 200, 200, 0)
    assert {**taken.json(), "timestamp": ""} == {**asked.json(), "timestamp": ""}
    assert (still, now["email"], now["email_verified"]) == (account.email, "new@example.com", True)
    assert confirmed.status_code == 200
    last = (await platform.mails())[-1]
    assert (last["To"], last["Subject"]) == (account.email, "Your account was changed")
    assert (await login(platform, account, NEW)).status_code == 401, "the old address opens nothing"


async def test_a_new_address_that_somebody_took_meanwhile_is_refused(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    await post(platform, "/auth/email", {"email": "new@example.com", "password": PASSWORD}, account, method="PUT")
    token = await token_in_last_mail(platform, subject="Confirm your new e-mail address", to="new@example.com")
    await platform.signup("new@example.com")

    answer = await post(platform, "/auth/email/confirm", {"token": token})

    assert (answer.status_code, answer.json()["error_code"]) == (409, "CONFLICT")


async def test_a_second_factor_is_asked_for_and_each_code_is_good_once(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    refused = await post(platform, "/auth/second-factor", {"password": "wrong"}, account)
    made = (await post(platform, "/auth/second-factor", {"password": PASSWORD}, account)).json()
    not_yet = await login(platform, account)
    wrong = await post(platform, "/auth/second-factor/confirm", {"code": "000000"}, account)
    confirmed = await post(
        platform, "/auth/second-factor/confirm", {"code": code_at(platform, made["secret"])}, account
    )
    codes = confirmed.json()["recovery_codes"]
    again = await post(platform, "/auth/second-factor", {"password": PASSWORD}, account)

    async def complete(code: str, challenge: str | None = None) -> httpx.Response:
        if challenge is None:
            challenge = (await login(platform, account)).json()["details"]["challenge"]
        return await post(platform, "/auth/login/second-factor", {"challenge": challenge, "code": code})

    asked = await login(platform, account)
    replayed = await complete(code_at(platform, made["secret"]))
    platform.clock.advance(timedelta(seconds=30))
    challenge = (await login(platform, account)).json()["details"]["challenge"]
    inside = await complete(code_at(platform, made["secret"]), challenge)
    used_challenge = await complete(code_at(platform, made["secret"], after_seconds=30), challenge)
    far = await complete(code_at(platform, made["secret"], after_seconds=90))
    recovered = await complete(codes[0].upper().replace("-", " "))
    recovered_again = await complete(codes[0])
    challenge = (await login(platform, account)).json()["details"]["challenge"]
    platform.clock.advance(timedelta(minutes=5))
    late = await complete(code_at(platform, made["secret"]), challenge)

    assert (refused.status_code, not_yet.status_code, wrong.status_code) == (403, 200, 403)
    assert made["uri"].startswith("otpauth://totp/Zentry%20Cloud:user1%40example.com?secret=")
    assert (confirmed.status_code, len(set(codes)), again.status_code) == (200, 10, 409)
    assert (asked.status_code, asked.json()["error_code"]) == (401, "SECOND_FACTOR_REQUIRED")
    assert "access_token" not in asked.text
    assert (replayed.status_code, replayed.json()["error_code"]) == (403, "WRONG_CODE")
    assert (inside.status_code, inside.json()["user"]["has_second_factor"]) == (200, True)
    assert (used_challenge.status_code, used_challenge.json()["error_code"]) == (404, "INVALID_LINK")
    assert (far.status_code, recovered.status_code, recovered_again.status_code, late.status_code) == (
        403,
        200,
        403,
        404,
    )
    async with platform.database.read() as tx:
        stored = str([(await tx.execute(sa.select(table))).all() for table in (second_factors, recovery_codes)])
    assert made["secret"] not in stored
    assert codes[1] not in stored

    platform.clock.advance(timedelta(seconds=30))
    headers = {"Authorization": f"Bearer {inside.json()['access_token']}"}
    off = await platform.client.post(
        "/auth/second-factor/disable", json={"password": PASSWORD, "code": codes[2]}, headers=headers
    )
    assert (off.status_code, (await login(platform, account)).status_code) == (200, 200)
    assert (await platform.mails())[-1]["Subject"] == "Your account was changed"


async def test_codes_are_guessed_no_oftener_than_passwords(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    made = (await post(platform, "/auth/second-factor", {"password": PASSWORD}, account)).json()
    await post(platform, "/auth/second-factor/confirm", {"code": code_at(platform, made["secret"])}, account)
    challenge = (await login(platform, account)).json()["details"]["challenge"]

    answers = [
        await post(platform, "/auth/login/second-factor", {"challenge": challenge, "code": f"{guess:06d}"})
        for guess in range(8)
    ]

    assert [answer.status_code for answer in answers] == [403] * 5 + [429] * 3


async def test_an_account_is_taken_away_closed_and_deleted_with_everything_personal(
    platform: PlatformUnderTest,
) -> None:
    account, closing = await platform.signup("ada@secret.example"), await platform.signup()
    await post(platform, "/auth/email/verify", {"token": await _mailed_to(platform, account.email)})
    vm = await platform.given_vm(account)
    await platform.client.post("/ssh-keys", json=SSH_KEY, headers=account.headers)
    exported = (await platform.client.get("/auth/account/export", headers=account.headers)).json()
    wrong = await post(platform, "/auth/account/delete", {"password": "wrong"}, account)
    in_use = await post(platform, "/auth/account/delete", {"password": PASSWORD}, account)
    await platform.client.delete(f"/projects/{vm['project_id']}", headers=account.headers)
    await platform.settle()

    deleted = await post(platform, "/auth/account/delete", {"password": PASSWORD}, account)
    closed = await post(platform, "/auth/account/deactivate", {"password": PASSWORD}, closing)
    platform.clock.advance(timedelta(seconds=1))

    assert exported["account"]["email"] == "ada@secret.example"
    assert [len(exported[kind]) for kind in ("sessions", "ssh_keys", "projects", "vms")] == [1, 1, 1, 1]
    assert {"Welcome credits"} <= {line["description"] for line in exported["billing"]}
    assert "hashed_password" not in str(exported)
    assert (wrong.status_code, in_use.status_code, in_use.json()["error_code"]) == (403, 409, "ACCOUNT_IN_USE")
    assert (deleted.status_code, closed.status_code) == (200, 200)
    for gone in (account, closing):
        assert (await platform.client.get("/auth/me", headers=gone.headers)).status_code == 401
    assert (await login(platform, account)).status_code == 401
    assert (await login(platform, closing)).status_code == 403
    async with platform.database.read() as tx:
        row = (await tx.execute(sa.select(users).where(users.c.name == "Deleted account"))).one()
        kept = [
            (await tx.execute(sa.select(sa.func.count()).select_from(table).where(table.c.user_id == row.id))).scalar()
            for table in (sessions, ssh_keys, mails, account_links)
        ]
        told = str((await tx.execute(sa.select(events.c.data))).all())
    assert kept == [0, 0, 0, 0]
    assert "secret.example" not in str(row) + told
    assert (await platform.signup("ada@secret.example")).id != account.id


async def _mailed_to(platform: PlatformUnderTest, address: str) -> str:
    [text] = [mail.get_content() for mail in await platform.mails() if mail["To"] == address]
    return str(re.findall(r"zl_[A-Za-z0-9_-]{43}", text)[0])


async def test_who_closes_or_deletes_an_account_leaves_the_projects_of_others(platform: PlatformUnderTest) -> None:
    owner = await platform.signup()
    project = await platform.given_project(owner)
    leaving = [await platform.given_member(owner, project, role=role) for role in ("admin", "viewer")]
    staying = await platform.given_member(owner, project, role="member")
    mailed = [
        mail.get_content()
        for mail in await platform.mails()
        if (mail["To"], mail["Subject"]) == (staying.email, "You are invited to a project")
    ]
    await post(platform, f"/projects/{project}/transfer", {"member_id": leaving[0].id}, owner)

    closed = await post(platform, "/auth/account/deactivate", {"password": PASSWORD}, leaving[0])
    deleted = await post(platform, "/auth/account/delete", {"password": PASSWORD}, leaving[1])
    in_use = await post(platform, "/auth/account/delete", {"password": PASSWORD}, owner)

    members = (await platform.client.get(f"/projects/{project}/members", headers=owner.headers)).json()
    offered = await platform.client.get(f"/projects/{project}/transfer", headers=owner.headers)
    told = await platform.client.get(f"/events?project_id={project}&kind=project.member_left", headers=owner.headers)
    assert (closed.status_code, deleted.status_code, offered.status_code) == (200, 200, 404)
    assert [member["user_id"] for member in members] == [owner.id, staying.id]
    assert (in_use.status_code, "hand projects" in in_use.json()["detail"]) == (409, True)
    assert told.status_code == 200
    [link] = re.findall(r"https?://\S+", mailed[-1])
    assert re.fullmatch(r"https://cloud\.example/console/#invitation=zi_[A-Za-z0-9_-]{43}", link), "a way to a page"
    async with platform.database.read() as tx:
        left = sa.select(events.c.actor_id, events.c.data).where(events.c.kind == "project.member_left")
        assert {(str(row.actor_id), row.data["before"]) for row in await tx.execute(left)} == {
            (leaving[0].id, "admin"),
            (leaving[1].id, "viewer"),
        }


async def test_the_last_administrator_neither_closes_nor_deletes_the_account(platform: PlatformUnderTest) -> None:
    first, second = await platform.given_admin(), await platform.given_admin()

    closed = await post(platform, "/auth/account/deactivate", {"password": PASSWORD}, first)
    refused = [
        await post(platform, f"/auth/account/{what}", {"password": PASSWORD}, second)
        for what in ("deactivate", "delete")
    ]

    assert closed.status_code == 200
    assert {(answer.status_code, answer.json()["error_code"]) for answer in refused} == {(409, "LAST_ADMINISTRATOR")}
    assert (await platform.client.get("/admin/users", headers=second.headers)).status_code == 200
