"""What is no amount is refused wherever an amount may be sent, with a reason, and the books stay as they were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest

from tests.support.contents import contents
from tests.support.platform import Account, PlatformUnderTest

HERE: Final = "@here"
NO_NUMBERS: Final = ('"5"', '"NaN"', "true", "[5]", "{}", "NaN", "Infinity", "-Infinity", "1e400", "1e30", "-1")
TOO_FINE: Final = ("0.0000001", "0.0000015", "1.0000001", "5e-324")
UNTOUCHED_BY_REFUSALS: Final = {"rate_limits"}


def _amounts(account: Account, record_id: str, soon: str) -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """Yield method, path, body with a place for the amount, and an amount beyond the limit, for each that there is."""
    user = f"/admin/users/{account.id}"
    reason = {"reason": "Course"}
    budget = {"name": "Lab", "amount": 1, "thresholds": [{"percent": 100}]}
    yield "POST", "/billing/credits/add", {"amount": HERE}, "1000001"
    for kind in ("grant", "adjustment", "deduction"):
        yield "POST", f"{user}/credits", {"kind": kind, "amount": HERE, **reason}, "1000001"
    yield "POST", f"{user}/grants", {"amount": HERE, "days": 3, **reason}, "1000001"
    yield "PUT", f"{user}/discount", {"percent": HERE, **reason}, "100.01"
    yield "POST", f"/admin/billing/records/{record_id}/refund", {"amount": HERE, **reason}, "1000001"
    yield "POST", "/admin/vouchers", {"amount": HERE, **reason}, "1000001"
    yield "POST", "/billing/budgets", {**budget, "amount": HERE}, "1000001"
    for basis in ("actual", "forecast"):
        for unit in ("amount", "percent"):
            yield "POST", "/billing/budgets", {**budget, "thresholds": [{unit: HERE, "basis": basis}]}, "1000001"
    for item in ("vm_create", "storage", "address", "snapshot"):
        yield "POST", "/admin/price-lists", {"effective_at": soon, item: HERE}, "1001"
        yield "POST", "/billing/forecast", {"prices": {"after_minutes": 3_000, item: HERE}}, "1001"
    types = [{"instance_type": "small", "price": HERE}]
    yield "POST", "/admin/price-lists", {"effective_at": soon, "instance_types": types}, "1001"
    yield "POST", "/billing/forecast", {"credits": [{"after_minutes": 1, "amount": HERE}]}, "1000001"


async def _send(platform: PlatformUnderTest, admin: Account, method: str, path: str, text: str) -> httpx.Response:
    headers = {**admin.headers, "Content-Type": "application/json"}
    return await platform.client.request(method, path, content=text, headers=headers)


@pytest.mark.parametrize("overrides", [{"limits": {"writes_per_minute": 0}}])
async def test_what_is_no_amount_is_refused_everywhere_and_the_books_stay(platform: PlatformUnderTest) -> None:
    admin, account = await platform.given_admin(), await platform.signup()
    await platform.given_vm(account)
    record_id = next(line["id"] for line in await platform.history(account) if line["action_type"] == "vm_create")
    soon = (platform.clock.now() + timedelta(days=4)).isoformat()
    before = await contents(platform.database)

    for method, path, body, too_much in _amounts(account, record_id, soon):
        for wrong in (*NO_NUMBERS, *TOO_FINE, too_much):
            answer = await _send(platform, admin, method, path, json.dumps(body).replace(f'"{HERE}"', wrong))
            told = answer.json()
            assert answer.status_code == httpx.codes.BAD_REQUEST, (path, body, wrong, answer.text)
            assert told["details"]["validation_errors"][0]["message"], (path, wrong)

    after = await contents(platform.database)
    assert {table for table in before if before[table] != after[table]} <= UNTOUCHED_BY_REFUSALS


async def test_what_is_no_time_is_not_estimated_and_what_is_no_plan_not_played(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    before = await contents(platform.database)
    machine = {"name": "web", "instance_type": "small"}
    plans: list[dict[str, Any]] = [
        {"days": 0},
        {"days": 367},
        {"days": "30"},
        {"days": 1.5},
        {"machines": [machine] * 51},
        {"machines": [{**machine, "count": 51}]},
        {"machines": [{**machine, "count": -1}]},
        {"machines": [{**machine, "stop_at": "25:00"}]},
        {"machines": [{**machine, "create_after_minutes": 10**9}]},
        {"credits": [{"after_minutes": 1, "amount": 1}] * 101},
        {"prices": {"after_minutes": 60, "storage": 1}},
        {"steps": 1_000_000},
    ]

    refused = [
        await platform.client.post("/billing/forecast", json=plan, headers=account.headers) for plan in plans
    ] + [
        await platform.client.get(f"/billing/cost?instance_type=small&hours={hours}", headers=account.headers)
        for hours in ("NaN", "inf", "-1", "1e400", "1e30", "two")
    ]

    assert [answer.status_code for answer in refused] == [400] * len(refused), [one.text for one in refused]
    after = await contents(platform.database)
    assert {table for table in before if before[table] != after[table]} <= UNTOUCHED_BY_REFUSALS
