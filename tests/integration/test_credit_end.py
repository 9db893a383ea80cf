"""The end of credit: warned of, in a stated order, undone by new credit, and not for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from tests.support.platform import PASSWORD, Account, PlatformUnderTest, open_under_test, settings_for_tests
from zentry.billing.service import BillingService
from zentry.invariants import broken_invariants
from zentry.platform.db.types import Instant
from zentry.schema.accounts import users
from zentry.schema.events import events

HOUR = timedelta(hours=1)


async def _leave(platform: PlatformUnderTest, account: Account, credits_: float) -> None:
    """Take credit away until so much is available."""
    available = (await platform.credits(account))["available_credits"]
    async with platform.database.work() as tx:
        billing = BillingService(tx, platform.settings.billing)
        await billing.deduct_credits(UUID(account.id), round((available - credits_) * 1e6), description="test")


async def _add(platform: PlatformUnderTest, account: Account, amount: float) -> None:
    answer = await platform.client.post("/billing/credits/add", json={"amount": amount}, headers=account.headers)
    assert answer.is_success, answer.text
    await platform.inner.resumption.tick()
    await platform.settle()


async def _again(platform: PlatformUnderTest, account: Account) -> Account:
    """Sign in again, days later."""
    answer = await platform.client.post("/auth/login", json={"email": account.email, "password": PASSWORD})
    return replace(account, headers={"Authorization": f"Bearer {answer.json()['access_token']}"})


async def _live(platform: PlatformUnderTest, *, hours: float) -> None:
    """Let time pass, with a meter that comes when something is due."""
    until = platform.clock.now() + timedelta(hours=hours)
    while True:
        async with platform.database.read() as tx:
            due_at = (await tx.execute(sa.select(sa.func.min(users.c.meter_due_at, type_=Instant)))).scalar_one()
        at = until if due_at is None else min(until, max(due_at, platform.clock.now()))
        await platform.advance(seconds=(at - platform.clock.now()).total_seconds())
        if at == until:
            return


async def _states(platform: PlatformUnderTest, account: Account, *vms: dict[str, Any]) -> list[str]:
    return [(await platform.get_vm(vm["id"], account))["status"] for vm in vms]


async def _warnings(platform: PlatformUnderTest) -> list[float]:
    async with platform.database.read() as tx:
        query = sa.select(events.c.data).where(events.c.kind == "credit.low").order_by(events.c.created_at)
        return [data["hours_left"] for data in (await tx.execute(query)).scalars()]


async def test_new_credit_starts_what_was_stopped_for_it_as_far_as_it_goes(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vms = [await platform.given_vm(account, instance_type=type_) for type_ in ("small", "large", "small")]
    await _leave(platform, account, 0)
    await _live(platform, hours=1.1)
    stopped = await _states(platform, account, *vms)
    reasons = {(await platform.get_vm(vm["id"], account))["stop_reason"] for vm in vms}
    letters = [mail for mail in await platform.mails() if "were stopped" in mail["Subject"]]

    await _add(platform, account, 0.06)
    some = await _states(platform, account, *vms)
    await _add(platform, account, 10)

    assert (stopped, reasons) == (["stopped"] * 3, {"credit"})
    assert len(letters) == 1
    assert "3 of your machines were stopped." in letters[0].get_content()
    assert sorted(some) == ["running", "stopped", "stopped"]
    assert some[1] == "stopped"
    assert await _states(platform, account, *vms) == ["running"] * 3
    assert await broken_invariants(platform.database) == []


async def test_what_the_user_has_stopped_stays_so(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="stopped")

    await _add(platform, account, 10)

    assert await _states(platform, account, vm) == ["stopped"]


async def test_the_last_credit_goes_where_the_settings_say(tmp_path: Path) -> None:
    survivors = {}
    for first in ("oldest", "newest", "cheapest", "dearest"):
        settings = settings_for_tests(tmp_path / first, billing={"renew_first": first, "grace_days": 0})
        async with open_under_test(settings) as platform:
            await platform.inner.migrations.upgrade()
            account = await platform.signup()
            vms = {}
            for type_ in ("medium", "small", "large"):
                vms[type_] = await platform.given_vm(account, instance_type=type_)
                await platform.advance(seconds=10)
            await _leave(platform, account, 0.21)
            await _live(platform, hours=1.5)
            survivors[first] = {
                type_ for type_, vm in vms.items() if await _states(platform, account, vm) == ["running"]
            }

    assert survivors["oldest"] >= {"medium"}
    assert survivors["newest"] >= {"large"}
    assert survivors["cheapest"] >= {"small"}
    assert survivors["dearest"] == {"large"}
    assert "large" not in survivors["oldest"] | survivors["cheapest"]


async def test_the_end_of_credit_is_told_once_for_each_threshold(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    await platform.given_vm(account)
    await _leave(platform, account, 0.05 * 29)

    await _live(platform, hours=8)
    first = await _warnings(platform)
    await platform.mails()  # Each is sent while it is of use.
    await _live(platform, hours=21.9)
    letters = await platform.mails()
    all_ = await _warnings(platform)
    account = await _again(platform, account)
    await _add(platform, account, 100)
    await _live(platform, hours=3)

    assert [mail["Subject"] for mail in letters] == ["Your credit is coming to its end"] * 3
    told = "".join(mail.get_content() for mail in letters)
    assert all(f"about {left} from now" in told for left in ("29 h", "24 h", "62 min")), told
    assert [int(hours) for hours in first] == [29, 24], "it is told when a hold is renewed, and never too late"
    assert [round(hours, 1) for hours in all_] == [round(first[0], 1), 24.0, 1.0]
    assert await _warnings(platform) == all_


async def test_a_machine_is_kept_without_credit_for_the_grace_and_no_longer(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vms = [await platform.given_vm(account), await platform.given_vm(account, delete_protection=True)]
    await _leave(platform, account, 0)
    await _live(platform, hours=1.1)

    await platform.advance(days=29)
    await platform.inner.resumption.tick()
    account = await _again(platform, account)
    kept = await _states(platform, account, *vms)
    await platform.advance(days=2)
    await platform.inner.resumption.tick()
    await platform.settle()
    account = await _again(platform, account)

    assert kept == ["stopped", "stopped"]
    assert await _states(platform, account, *vms) == ["terminated", "stopped"]
    assert await broken_invariants(platform.database) == []
