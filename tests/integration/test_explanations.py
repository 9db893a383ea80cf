"""Every line of the bill can be computed again from what its explanation shows."""

from __future__ import annotations

import csv
import io
import itertools
import json
from typing import Any
from uuid import UUID

import httpx

from tests.support.platform import Account, PlatformUnderTest

HOUR = 3600


async def _get(platform: PlatformUnderTest, account: Account, path: str, **params: str) -> httpx.Response:
    answer = await platform.client.get(path, params=params, headers=account.headers)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer


async def _given_history(platform: PlatformUnderTest) -> tuple[Account, Account]:
    """Make an account whose history has every kind of line; return it and an administrator."""
    admin, account = await platform.given_admin(), await platform.signup()
    vm = await platform.given_vm(account)
    await platform.advance(minutes=37, seconds=13)
    await platform.client.post(f"/vms/{vm['id']}/resize", json={"instance_type": "medium"}, headers=account.headers)
    await platform.settle()
    await platform.advance(hours=1, seconds=7)
    discount = {"percent": 12.37, "reason": "University"}
    await platform.client.put(f"/admin/users/{account.id}/discount", json=discount, headers=admin.headers)
    await platform.advance(minutes=20, seconds=1)
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()
    await platform.client.post("/billing/credits/add", json={"amount": 3.25}, headers=account.headers)
    for kind, amount in (("grant", 5), ("deduction", 1.000001)):
        await platform.client.post(
            f"/admin/users/{account.id}/credits",
            json={"kind": kind, "amount": amount, "reason": "=HYPERLINK"},
            headers=admin.headers,
        )
    return account, admin


def _recompute(told: dict[str, Any]) -> int:
    """Compute a line's amount from nothing but what its explanation shows."""
    interval, price = told["interval"], told["price"]
    if interval is not None:
        left = 10_000 - interval["discount_basis_points"]
        rate = price["micros"] * interval["quantity"] * left // 10_000
        return int(rate * interval["from_second"] // HOUR - rate * interval["to_second"] // HOUR)
    if price is not None:
        return -int(price["micros"])
    own = ("available", "held")
    return sum(
        entry["amount_micros"] * ((entry["credit"] in own) - (entry["debit"] in own)) for entry in told["entries"]
    )


async def test_every_kind_of_line_recomputes_to_itself(platform: PlatformUnderTest) -> None:
    account, _ = await _given_history(platform)
    lines = await platform.history(account)

    for line in lines:
        told = (await _get(platform, account, f"/billing/records/{line['id']}/explain")).json()
        assert _recompute(told) == told["recomputed_micros"] == told["amount_micros"] == round(line["amount"] * 1e6)
        assert told["difference_micros"] == 0
        assert f" = {abs(told['amount_micros'])}" in told["formula"] or str(told["amount_micros"]) in told["formula"]
        assert sum(entry["amount_micros"] for entry in told["entries"]) == abs(told["amount_micros"])

    assert {line["action_type"] for line in lines} == {"vm_create", "vm_usage", "credit_add", "credit_deduct"}


async def test_a_metered_line_names_its_interval_price_remainder_and_events(platform: PlatformUnderTest) -> None:
    account, _ = await _given_history(platform)
    usage = [line for line in await platform.history(account) if line["action_type"] == "vm_usage"]

    told = [(await _get(platform, account, f"/billing/records/{line['id']}/explain")).json() for line in usage[::-1]]

    first, *_, last = told
    assert first["interval"]["to_second"] == 37 * 60 + 13
    assert first["interval"]["remainder_to"] == first["interval"]["rate_micros_per_hour"] * (37 * 60 + 13) % HOUR != 0
    assert (first["price"]["item"], first["price"]["unit"], first["price"]["version"]) == ("small", "hour", 1)
    assert first["price"]["micros"] == first["interval"]["rate_micros_per_hour"]
    assert (first["discount_micros"], first["list_amount_micros"]) == (0, first["amount_micros"])
    assert last["interval"]["rate_formula"] == "floor(100000 × 1 × 8763 / 10000) = 87630"
    assert last["interval"]["list_rate_micros_per_hour"] == last["price"]["micros"] == 100_000
    assert last["list_amount_micros"] == -100_000 * (20 * 60 + 1) // HOUR + 1
    assert last["discount_micros"] == last["amount_micros"] - last["list_amount_micros"] > 0
    assert "vm.running" in {event["kind"] for event in first["events"]}
    assert "vm.stop_requested" in {event["kind"] for event in last["events"]}
    assert last["price"]["item"] == "medium"
    for before, after in itertools.pairwise(told):
        if before["interval"]["segment_id"] == after["interval"]["segment_id"]:
            assert before["interval"]["remainder_to"] == after["interval"]["remainder_from"]


async def test_a_line_of_somebody_else_is_not_explained(platform: PlatformUnderTest) -> None:
    account, eve = await platform.signup(), await platform.signup()
    line = (await platform.history(account))[0]

    for id_ in (line["id"], str(UUID(int=3)), "7"):
        answer = await platform.client.get(f"/billing/records/{id_}/explain", headers=eve.headers)
        assert answer.status_code == httpx.codes.NOT_FOUND


async def test_the_export_of_the_history_holds_every_line_exactly(
    platform: PlatformUnderTest,
) -> None:
    account, _ = await _given_history(platform)
    lines = await platform.history(account)
    vm_id = next(line["vm_id"] for line in lines if line["vm_id"])
    project_id = next(line["project_id"] for line in lines if line["project_id"])

    answer = await _get(platform, account, "/billing/history/export")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    of_project = await _get(platform, account, "/billing/history/export", project_id=project_id, vm_id=vm_id)
    nobodys = await _get(platform, account, "/billing/history/export", vm_id="7")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert [row["id"] for row in rows] == [line["id"] for line in lines]
    assert sum(int(row["amount_micros"]) for row in rows) == round(
        (await platform.credits(account))["current_credits"] * 1e6
    )
    assert {row["description"] for row in rows} >= {"'=HYPERLINK"}
    assert all(row["unit"] == "micro-credits per hour" for row in rows if row["action_type"] == "vm_usage")
    assert len(of_project.text.splitlines()) == 1 + sum(line["project_id"] == project_id for line in lines)
    assert len(nobodys.text.splitlines()) == 1
    history = (await _get(platform, account, "/billing/history", project_id=project_id)).json()
    assert history["total"] == len(of_project.text.splitlines()) - 1


async def test_the_export_of_the_books_goes_on_where_it_ended(platform: PlatformUnderTest) -> None:
    account, _ = await _given_history(platform)

    whole = (await _get(platform, account, "/billing/ledger/export")).text.splitlines()
    first = (await _get(platform, account, "/billing/ledger/export", limit="4")).text.splitlines()
    rest = (await _get(platform, account, "/billing/ledger/export", after="4")).text.splitlines()
    table = list(
        csv.DictReader(io.StringIO((await _get(platform, account, "/billing/ledger/export", format="csv")).text))
    )

    assert whole == first + rest
    assert [json.loads(line)["position"] for line in whole] == list(range(1, len(whole) + 1))
    assert [row["hash"] for row in table] == [json.loads(line)["hash"] for line in whole]


async def test_a_line_is_refunded_once_whoever_asks_how_often(platform: PlatformUnderTest) -> None:
    account, admin = await _given_history(platform)
    lines = await platform.history(account)
    usage = next(line for line in lines if line["action_type"] == "vm_usage")
    added = next(line for line in lines if line["action_type"] == "credit_add")
    before = (await platform.credits(account))["current_credits"]

    async def refund(line: str, **body: Any) -> httpx.Response:
        return await platform.client.post(
            f"/admin/billing/records/{line}/refund", json={"reason": "Host down", **body}, headers=admin.headers
        )

    too_much = await refund(usage["id"], amount=-usage["amount"] + 0.000001)
    no_charge = await refund(added["id"])
    nobodys = await refund(str(UUID(int=3)))
    given = await refund(usage["id"])
    again = await refund(usage["id"], amount=0.000001)

    assert [answer.status_code for answer in (too_much, no_charge, nobodys, given, again)] == [409, 409, 404, 201, 409]
    assert (too_much.json()["error_code"], again.json()["error_code"]) == ("NOT_REFUNDABLE", "ALREADY_REFUNDED")
    after = (await platform.credits(account))["current_credits"]
    assert round((after - before) * 1e6) == -round(usage["amount"] * 1e6)
    told = (await _get(platform, account, f"/billing/records/{usage['id']}/explain")).json()
    assert told["refunded_micros"] == -told["amount_micros"]
