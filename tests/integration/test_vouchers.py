"""Vouchers: as often as they may be redeemed, and once for each account, however many try at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from tests.support.contents import contents
from tests.support.platform import Account, PlatformUnderTest
from zentry.schema.billing import vouchers


async def _make(platform: PlatformUnderTest, admin: Account, **wishes: Any) -> dict[str, Any]:
    body = {"amount": 10, "reason": "Workshop", **wishes}
    answer = await platform.client.post("/admin/vouchers", json=body, headers=admin.headers)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return dict(answer.json())


async def _redeem(platform: PlatformUnderTest, account: Account, code: str, **headers: str) -> httpx.Response:
    return await platform.client.post(
        "/billing/vouchers/redeem", json={"voucher_code": code}, headers={**account.headers, **headers}
    )


async def test_a_voucher_is_redeemed_as_often_as_it_may_be_by_however_many_at_once(
    platform: PlatformUnderTest,
) -> None:
    admin = await platform.given_admin()
    accounts = [await platform.signup() for _ in range(8)]
    single, several = await _make(platform, admin), await _make(platform, admin, max_redemptions=3, amount=2.5)

    for voucher, times in ((single, 1), (several, 3)):
        answers = await asyncio.gather(
            *(_redeem(platform, account, voucher["code"]) for account in accounts for _ in range(2))
        )
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200] * times + [409] * (16 - times)
        assert {answer.json()["error_code"] for answer in answers if answer.status_code == 409} == {"VOUCHER_USED"}

    balances = [(await platform.credits(account))["current_credits"] for account in accounts]
    assert sum(balances) == 8 * 50 + 10 + 3 * 2.5
    listed = (await platform.client.get("/admin/vouchers?limit=1", headers=admin.headers)).json()
    older = await platform.client.get(
        "/admin/vouchers", params={"cursor": listed["next_cursor"]}, headers=admin.headers
    )
    found = [*listed["vouchers"], *older.json()["vouchers"]]
    assert {(one["id"], one["redemptions"], one["code"]) for one in found} == {
        (several["id"], 3, None),
        (single["id"], 1, None),
    }


async def test_a_code_is_taken_as_people_write_it_and_kept_nowhere(platform: PlatformUnderTest) -> None:
    admin, account = await platform.given_admin(), await platform.signup()
    voucher = await _make(platform, admin, amount=0.000001)
    plain = voucher["code"].replace("-", "")
    async with platform.database.read() as tx:
        kept = repr((await tx.execute(sa.select(vouchers))).all())

    sloppy = f" {plain.lower().replace('0', 'o').replace('1', 'l')[:10]} {plain[10:]} "
    first = await _redeem(platform, account, sloppy, **{"Idempotency-Key": "one"})
    again = await _redeem(platform, account, sloppy, **{"Idempotency-Key": "one"})

    assert plain not in kept
    assert (first.status_code, first.json()["balance"]) == (200, 50.000001)
    assert (again.json()["record_id"], again.headers["idempotency-replayed"]) == (first.json()["record_id"], "true")
    told = await platform.client.get(f"/billing/records/{first.json()['record_id']}/explain", headers=account.headers)
    assert told.json()["difference_micros"] == 0


async def test_what_is_no_voucher_any_more_is_refused_and_the_books_untouched(platform: PlatformUnderTest) -> None:
    admin, account = await platform.given_admin(), await platform.signup()
    soon = (platform.clock.now() + timedelta(hours=1)).isoformat()
    expired, withdrawn = await _make(platform, admin, expires_at=soon), await _make(platform, admin)
    too_much = await _make(platform, admin, amount=1_000_000)
    await platform.client.delete(f"/admin/vouchers/{withdrawn['id']}", headers=admin.headers)
    platform.clock.advance(timedelta(hours=1))
    before = await contents(platform.database)

    answers = [
        await _redeem(platform, account, code)
        for code in (
            expired["code"],
            withdrawn["code"],
            too_much["code"],
            "7K2MQ-9TXVA-4HD0R-CP8ZE",
            "nonsense",
            "ü" * 64,
        )
    ]

    assert [(answer.status_code, answer.json()["error_code"]) for answer in answers] == [
        (409, "VOUCHER_EXPIRED"),
        (409, "VOUCHER_EXPIRED"),
        (409, "BALANCE_LIMIT"),
        (404, "NOT_FOUND"),
        (404, "NOT_FOUND"),
        (404, "NOT_FOUND"),
    ]
    after = await contents(platform.database)
    assert {table for table in before if before[table] != after[table]} == {"rate_limits"}


@pytest.mark.parametrize("overrides", [{"limits": {"vouchers_per_minute": 3}}])
@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_codes_cannot_be_tried_out(platform: PlatformUnderTest) -> None:
    admin, account, other = await platform.given_admin(), await platform.signup(), await platform.signup()
    voucher = await _make(platform, admin)

    statuses = [(await _redeem(platform, account, f"{number:020d}")).status_code for number in range(3)]
    right = await _redeem(platform, account, voucher["code"])
    not_his = await _redeem(platform, other, voucher["code"])

    assert statuses == [404, 404, 404]
    assert right.status_code == 429
    assert int(right.headers["retry-after"]) > 0
    assert not_his.status_code == 200


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_voucher_of_nothing_or_of_the_past_is_not_made(platform: PlatformUnderTest) -> None:
    admin, account = await platform.given_admin(), await platform.signup()
    wrong: list[dict[str, Any]] = [
        {"amount": amount} for amount in (0, -1, "10", None, 0.0000001, 1_000_001, True, [10])
    ] + [
        {"expires_at": "2030-01-01T00:00:00"},
        {"max_redemptions": 0},
        {"max_redemptions": 1_000_001},
        {"reason": ""},
    ]

    refused = [
        await platform.client.post("/admin/vouchers", json={"amount": 1, "reason": "x", **body}, headers=admin.headers)
        for body in wrong
    ]
    past = await platform.client.post(
        "/admin/vouchers",
        json={"amount": 1, "reason": "x", "expires_at": "2020-01-01T00:00:00Z"},
        headers=admin.headers,
    )
    huge = await platform.client.post(
        "/admin/vouchers",
        content=b'{"amount": 1e400, "reason": "x"}',
        headers={**admin.headers, "Content-Type": "application/json"},
    )
    unknown = await platform.client.delete(f"/admin/vouchers/{UUID(int=3)}", headers=admin.headers)
    himself = await platform.client.post("/admin/vouchers", json={"amount": 1, "reason": "x"}, headers=account.headers)

    assert {answer.status_code for answer in (*refused, huge)} == {400}
    assert (past.status_code, past.json()["error_code"]) == (409, "VOUCHER_OVER")
    assert (unknown.status_code, himself.status_code) == (404, 403)
