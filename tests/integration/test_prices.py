"""Prices that change at an instant, discounts, and credit that ends: charged to the second, however late."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.support.platform import PASSWORD, Account, PlatformUnderTest, open_under_test, settings_for_tests
from zentry.invariants import broken_invariants


async def _ask(platform: PlatformUnderTest, account: Account, method: str, path: str, **body: Any) -> httpx.Response:
    """Ask after signing in again: days may have passed."""
    signed_in = await platform.client.post("/auth/login", json={"email": account.email, "password": PASSWORD})
    headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    return await platform.client.request(method, path, json=body or None, headers=headers)


async def _announce(platform: PlatformUnderTest, admin: Account, *, after: timedelta, **prices: Any) -> datetime:
    effective_at = platform.clock.now().replace(microsecond=0) + after
    answer = await _ask(platform, admin, "POST", "/admin/price-lists", effective_at=effective_at.isoformat(), **prices)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return effective_at


async def _lines(platform: PlatformUnderTest, account: Account) -> list[dict[str, Any]]:
    answer = await _ask(platform, account, "GET", "/billing/history?limit=100&action_type=vm_usage")
    return list(reversed(answer.json()["items"]))


def small(price: float) -> dict[str, Any]:
    return {"instance_types": [{"instance_type": "small", "price": price}]}


@pytest.mark.parametrize("punctual", [True, False])
async def test_a_price_list_takes_effect_at_its_second_however_late_the_meter_is(
    platform: PlatformUnderTest, punctual: bool
) -> None:
    admin = await platform.given_admin()
    account = await platform.signup()
    vm = await platform.given_vm(account)
    await _announce(platform, admin, after=timedelta(hours=50, minutes=20, seconds=7), **small(0.5))

    for _ in range(51):
        await platform.advance(meter=punctual, hours=1)
    await _ask(platform, account, "POST", f"/vms/{vm['id']}/stop")
    await platform.settle()

    lines = await _lines(platform, account)
    by_version = {
        version: (
            sum(line["amount"] for line in lines if line["price_version"] == version),
            {line["unit_price"] for line in lines if line["price_version"] == version},
        )
        for version in (1, 2)
    }
    before, after = 50 * 3600 + 20 * 60 + 7, 40 * 60 - 7
    assert by_version[1] == (pytest.approx(-(50_000 * before // 3600) / 1e6), {0.05})
    assert by_version[2] == (pytest.approx(-(500_000 * after // 3600) / 1e6), {0.5})
    assert all(line["period_end"] > line["period_start"] for line in lines)
    assert await broken_invariants(platform.database) == []


async def test_a_price_list_is_announced_in_time_and_withdrawn_in_time(platform: PlatformUnderTest) -> None:
    admin = await platform.given_admin()
    early = (platform.clock.now() + timedelta(hours=47)).isoformat()

    refused = await _ask(platform, admin, "POST", "/admin/price-lists", effective_at=early, storage=0.1)
    unknown = await _ask(
        platform,
        admin,
        "POST",
        "/admin/price-lists",
        effective_at="2100-01-01T00:00:00Z",
        instance_types=[{"instance_type": "huge", "price": 1}],
    )
    await _announce(platform, admin, after=timedelta(days=3), storage=0.0001)
    second = await _announce(platform, admin, after=timedelta(days=4), address=0.001)
    not_last = await _ask(platform, admin, "DELETE", "/admin/price-lists/2")
    withdrawn = await _ask(platform, admin, "DELETE", "/admin/price-lists/3")
    lists = (await _ask(platform, admin, "GET", "/billing/price-lists")).json()["price_lists"]
    await platform.advance(days=2, hours=1)
    too_late = await _ask(platform, admin, "DELETE", "/admin/price-lists/2")

    assert (refused.status_code, refused.json()["error_code"]) == (409, "PRICE_NOTICE")
    assert unknown.status_code == httpx.codes.NOT_FOUND
    assert second > platform.clock.now()
    assert (not_last.status_code, withdrawn.status_code, too_late.status_code) == (409, 204, 409)
    assert [(one["version"], one["in_force"]) for one in lists] == [(2, False), (1, True)]
    assert lists[0]["prices"]["storage"] == {"price": 0.0001, "unit": "gib_hour"}
    assert lists[0]["prices"]["small"] == {"price": 0.05, "unit": "hour"}


async def test_a_discount_counts_from_its_second_on(platform: PlatformUnderTest) -> None:
    admin = await platform.given_admin()
    account = await platform.signup()
    vm = await platform.given_vm(account)

    await platform.advance(minutes=30)
    answer = await _ask(
        platform, admin, "PUT", f"/admin/users/{account.id}/discount", percent=12.5, reason="University"
    )
    held = (await platform.credits(account))["held_credits"]
    await platform.advance(minutes=30)
    await _ask(platform, admin, "PUT", f"/admin/users/{account.id}/discount", percent=0, reason="It is over")
    await platform.advance(minutes=6)
    await _ask(platform, account, "POST", f"/vms/{vm['id']}/stop")
    await platform.settle()

    assert answer.json()["percent"] == 12.5
    assert held == pytest.approx(0.04375 / 2)
    charged = [line["amount"] for line in await _lines(platform, account)]
    assert sum(charged) == pytest.approx(-(0.025 + 0.04375 / 2 + 0.005))
    assert await broken_invariants(platform.database) == []


@pytest.mark.parametrize("overrides", [{"billing": {"welcome_credits": 1.0}}])
async def test_what_ends_first_is_spent_first_and_the_rest_is_taken_back_but_what_is_held(
    platform: PlatformUnderTest,
) -> None:
    admin = await platform.given_admin()
    account = await platform.signup()
    for amount, days in ((2, 2), (0.5, 1)):
        path = f"/admin/users/{account.id}/grants"
        await _ask(platform, admin, "POST", path, amount=amount, days=days, reason=f"{days} days")
    await platform.given_vm(account, instance_type="small")

    for _ in range(23):
        await platform.advance(hours=1, minutes=10)
    after_one = (await _ask(platform, account, "GET", "/billing/grants")).json()["grants"]
    await platform.advance(meter=False, days=2)
    balance = (await _ask(platform, account, "GET", "/billing/credits")).json()
    await platform.advance(minutes=1)
    grants = (await _ask(platform, account, "GET", "/billing/grants")).json()["grants"]
    lines = (await _ask(platform, account, "GET", "/billing/history?action_type=credit_deduct")).json()["items"]

    # The fee of 0.05 and 48 hours of 0.05 have used up the first, and all but 0.05 of the second, which is held.
    assert [(one["reason"], one["taken_back"]) for one in after_one] == [("2 days", None), ("1 days", 0.0)]
    assert 0.5 < after_one[0]["remaining"] < 1.3
    assert {one["reason"]: one["taken_back"] for one in grants} == {"1 days": 0.0, "2 days": pytest.approx(0.05)}
    assert [(line["unit"], line["amount"]) for line in lines] == [("credit", pytest.approx(-0.05))]
    assert balance["available_credits"] >= 0
    assert await broken_invariants(platform.database) == []


async def test_late_meters_and_punctual_ones_charge_the_same(tmp_path: Path) -> None:
    outcomes = []
    for meters in ("punctual", "now and then", "never"):
        settings = settings_for_tests(tmp_path / meters, billing={"welcome_credits": 3.0, "grace_days": 0})
        async with open_under_test(settings) as platform:
            await platform.inner.migrations.upgrade()
            admin, account = await platform.given_admin(), await platform.signup()
            random, chance = Random(11), Random(meters)
            for amount, days in ((4.0, 4), (1.5, 2)):
                path = f"/admin/users/{account.id}/grants"
                await _ask(platform, admin, "POST", path, amount=amount, days=days, reason="course")
            await _announce(platform, admin, after=timedelta(hours=50, seconds=17), **small(0.0713))
            vms = [await platform.given_vm(account, instance_type="small") for _ in range(2)]
            for _ in range(30):
                for _ in range(random.randrange(1, 9)):
                    platform.clock.advance(timedelta(minutes=30))
                    if meters == "punctual" or (meters == "now and then" and chance.random() < 0.2):
                        await platform.inner.meter.tick()
                platform.clock.advance(timedelta(seconds=random.randrange(100)))
                vm = random.choice(vms)
                await _ask(platform, account, "POST", f"/vms/{vm['id']}/{random.choice(('stop', 'start'))}")
                await platform.settle()
            percent = {"percent": 50, "reason": "end"}
            await _ask(platform, admin, "PUT", f"/admin/users/{account.id}/discount", **percent)
            outcomes.append((await _ask(platform, account, "GET", "/billing/credits")).json())
            assert await broken_invariants(platform.database) == []

    spent = [outcome["total_spent"] for outcome in outcomes]
    assert spent == [spent[0]] * 3
    assert [outcome["current_credits"] for outcome in outcomes] == [outcomes[0]["current_credits"]] * 3
    assert spent[0] > 2.5


async def test_what_stands_still_is_charged_for_its_disk_and_its_address_once_they_have_a_price(
    platform: PlatformUnderTest,
) -> None:
    admin = await platform.given_admin()
    account = await platform.signup()
    before = await platform.given_vm(account, status="stopped")
    running = await platform.given_vm(account)
    taken = await platform.client.post(f"/vms/{before['id']}/snapshots", json={"name": "a"}, headers=account.headers)
    await platform.settle()
    await _announce(platform, admin, after=timedelta(hours=49), storage=0.001, address=0.01, snapshot=0.0005)
    await platform.inner.keeping.tick()

    await platform.advance(meter=False, hours=48)
    await _ask(platform, account, "POST", f"/vms/{running['id']}/stop")
    await platform.settle()
    await platform.advance(meter=False, hours=3)
    await _ask(platform, account, "POST", f"/vms/{before['id']}/start")
    await platform.settle()
    await _ask(platform, account, "DELETE", f"/snapshots/{taken.json()['id']}")
    await platform.settle()
    await platform.advance(meter=False, hours=1)
    await _ask(platform, account, "DELETE", f"/vms/{before['id']}")
    await _ask(platform, account, "DELETE", f"/vms/{running['id']}")
    await platform.settle()

    charged: dict[tuple[str, float], Any] = {}
    for line in await _lines(platform, account):
        key = (line["unit"], line["unit_price"])
        charged[key] = charged.get(key, 0) + line["amount"]
    assert charged == {
        ("hour", 0.05): pytest.approx(-49 * 0.05),
        ("gib_hour", 0.001): pytest.approx(-(2 + 3) * 20 * 0.001),
        ("hour", 0.01): pytest.approx(-(2 + 3) * 0.01),
        ("gib_hour", 0.0005): pytest.approx(-2 * 20 * 0.0005),
    }
    assert await broken_invariants(platform.database) == []


@pytest.mark.parametrize("overrides", [{"billing": {"welcome_credits": 0.25, "grace_days": 5}}])
async def test_what_is_not_paid_is_kept_for_the_grace_paid_again_on_top_up_and_else_removed(
    platform: PlatformUnderTest,
) -> None:
    admin = await platform.given_admin()
    account = await platform.signup()
    vms = [await platform.given_vm(account, status="stopped"), await platform.given_vm(account, status="stopped")]
    protected = await platform.given_vm(account, status="stopped", delete_protection=True)
    for vm in (*vms, protected):
        await platform.client.post(f"/vms/{vm['id']}/snapshots", json={"name": "a"}, headers=account.headers)
    await platform.settle()
    await _announce(platform, admin, after=timedelta(hours=49), storage=0.001, snapshot=0.0001)
    await platform.inner.keeping.tick()
    await _ask(platform, account, "DELETE", f"/vms/{vms[1]['id']}")

    await platform.advance(hours=49 + 24)
    unpaid = (await _ask(platform, account, "GET", "/billing/credits")).json()
    await _ask(platform, account, "POST", "/billing/credits/add", amount=0.09)
    await platform.advance(hours=24)
    paid_again = (await _ask(platform, account, "GET", "/billing/credits")).json()
    await platform.advance(days=4)
    await platform.inner.keeping.tick()
    kept = [await _ask(platform, account, "GET", f"/vms/{vm['id']}") for vm in (vms[0], protected)]
    kept_snapshots = (await _ask(platform, account, "GET", "/snapshots")).json()["snapshots"]
    await platform.advance(days=2)
    for _ in range(3):  # A machine and its snapshot go one after the other.
        await platform.inner.keeping.tick()
        await platform.settle()
    left = [await _ask(platform, account, "GET", f"/vms/{vm['id']}") for vm in (vms[0], protected)]
    left_snapshots = (await _ask(platform, account, "GET", "/snapshots")).json()["snapshots"]

    assert unpaid["available_credits"] == 0
    assert unpaid["total_spent"] == pytest.approx(0.25)
    assert paid_again["total_spent"] == pytest.approx(0.25 + 0.09)
    assert [answer.json()["status"] for answer in kept] == ["stopped", "stopped"]
    assert len(kept_snapshots) == 3
    assert [answer.json()["status"] for answer in left] == ["terminated", "stopped"]
    assert [one["vm_id"] for one in left_snapshots] == [protected["id"]]
    assert await broken_invariants(platform.database) == []
