"""Closed months: numbered without a gap, adding up exactly, and the same for ever."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tests.support.focus import validate
from tests.support.platform import PASSWORD, Account, PlatformUnderTest
from zentry.billing.closing import Closing
from zentry.billing.statements import StatementService
from zentry.schema.billing import statements

REBUILD = Path(__file__).parents[2] / "examples" / "rebuild_books.py"


async def _get(platform: PlatformUnderTest, account: Account, path: str, **params: str) -> httpx.Response:
    answer = await platform.client.get(path, params=params, headers=account.headers)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer


async def _list(platform: PlatformUnderTest, account: Account, **params: str) -> list[dict[str, Any]]:
    return list((await _get(platform, account, "/billing/statements", **params)).json()["statements"])


async def _until(platform: PlatformUnderTest, when: datetime, *accounts: Account) -> None:
    """Let weeks pass, let the loops do what is due, and let everybody sign in again."""
    platform.clock.advance(when - platform.clock.now())
    await platform.inner.meter.tick()
    await platform.settle()
    await platform.inner.closing.tick()
    for account in accounts:
        answer = await platform.client.post("/auth/login", json={"email": account.email, "password": PASSWORD})
        account.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


async def _given_quarter(platform: PlatformUnderTest) -> tuple[Account, Account, dict[str, Any]]:
    """March with a machine, April without anything, May with a correction."""
    admin, account = await platform.given_admin(), await platform.signup()
    vm = await platform.given_vm(account, labels={"tier": "web"})
    await platform.advance(minutes=59, seconds=7)
    await platform.advance(minutes=59, seconds=7)
    await platform.client.post(f"/vms/{vm['id']}/resize", json={"instance_type": "medium"}, headers=account.headers)
    await platform.settle()
    discount = {"percent": 12.37, "reason": "University"}
    await platform.client.put(f"/admin/users/{account.id}/discount", json=discount, headers=admin.headers)
    await platform.advance(minutes=31, seconds=1)
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()
    await _until(platform, datetime(2026, 5, 7, tzinfo=UTC), account, admin)
    await platform.client.post("/billing/credits/add", json={"amount": 7.000001}, headers=account.headers)
    adjusted = await platform.client.post(
        f"/admin/users/{account.id}/credits",
        json={"kind": "deduction", "amount": 2.5, "reason": "Paid twice"},
        headers=admin.headers,
    )
    assert adjusted.status_code == httpx.codes.CREATED, adjusted.text
    await _until(platform, datetime(2026, 6, 1, 0, 59, tzinfo=UTC), account, admin)
    return account, admin, vm


async def test_months_are_closed_once_numbered_without_a_gap_and_add_up(platform: PlatformUnderTest) -> None:
    account, _, vm = await _given_quarter(platform)
    early = await _list(platform, account)
    await _until(platform, datetime(2026, 6, 1, 1, 0, tzinfo=UTC))
    again = Closing(database=platform.database, settings=platform.settings.billing, clock=platform.clock)
    assert await again.tick() == 0

    may, march = await _list(platform, account)

    assert [one["number"] for one in early] == [1]  # The hour after a month's end is not over.
    assert [(one["number"], one["period_start"][:7]) for one in (march, may)] == [(1, "2026-03"), (2, "2026-05")]
    assert march["closing_micros"] == may["opening_micros"]
    assert march["last_position"] + 1 == may["first_position"]
    assert (march["added"], march["deducted"], may["added"], may["deducted"]) == (50.0, 0.0, 7.000001, 2.5)
    assert may["closing_balance"] == (await platform.credits(account))["current_credits"]
    for one in (march, may):
        detail = (await _get(platform, account, f"/billing/statements/{one['id']}")).json()
        change = one["closing_micros"] - one["opening_micros"]
        assert sum(item["amount_micros"] for item in detail["items"]) == change
        assert (detail["other_lines"], detail["other_micros"]) == (0, 0)
        assert sum(item["lines"] for item in detail["items"]) == one["line_count"]
        table = (await _get(platform, account, f"/billing/statements/{one['id']}/csv")).text
        rows = list(csv.DictReader(io.StringIO(table)))
        assert sum(int(row["amount_micros"]) for row in rows) == change
        lines = await _lines(platform, account, one["id"])
        assert [line["record_id"] for line in lines] == [row["id"] for row in rows]
        page = (await _get(platform, account, f"/billing/statements/{one['id']}/html")).text
        assert f"<h1>Statement {one['number']}</h1>" in page
    page = (await _get(platform, account, f"/billing/statements/{march['id']}/html")).text
    assert vm["id"] in page
    assert "<td>0.10 per hour less 12.37 %</td>" in page
    (cut,) = [line for line in await _lines(platform, account, march["id"]) if line["discount_basis_points"]]
    assert (cut["unit"], cut["quantity"], cut["price_micros"]) == ("hour", 1, 100_000)
    assert (cut["amount_micros"], cut["list_amount_micros"]) == (-87_630 * 1_861 // 3_600 + 1, -51_694)
    (history,) = [line for line in await platform.history(account) if line["discount_percent"]]
    assert (history["id"], history["discount_percent"]) == (cut["record_id"], 12.37)
    assert "<script" not in page
    assert [one["number"] for one in await _list(platform, account, before="2")] == [1]


async def _lines(platform: PlatformUnderTest, account: Account, statement_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        path = f"/billing/statements/{statement_id}/lines"
        page = (await _get(platform, account, path, after=str(after), limit="2")).json()
        found += page["lines"]
        after = page["next_after"]
    return found


async def test_a_closed_statement_cannot_be_changed_and_no_number_be_left_out(platform: PlatformUnderTest) -> None:
    account, _, _ = await _given_quarter(platform)
    march = (await _list(platform, account))[0]
    before = (await _get(platform, account, f"/billing/statements/{march['id']}")).content
    copied = [column for column in statements.columns if column.name not in {"id", "number", "previous_number"}]
    gap = sa.select(sa.literal(UUID(int=77), sa.Uuid), sa.literal(3), sa.literal(2), *copied)
    names = ["id", "number", "previous_number", *(column.name for column in copied)]
    for change in (
        sa.update(statements).values(charged_micros=0, closing_micros=statements.c.opening_micros),
        sa.delete(statements),
        sa.insert(statements).from_select(names, gap),
    ):
        with pytest.raises(DBAPIError):
            async with platform.database.work() as tx:
                await tx.execute(change)

    await platform.advance(hours=5)

    assert (await _get(platform, account, f"/billing/statements/{march['id']}")).content == before


async def test_a_closing_that_dies_before_its_commit_is_repeated_whole(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    platform.clock.advance(timedelta(days=40))

    class DiedError(Exception):
        pass

    async def close_and_die() -> None:
        async with platform.database.work() as tx:
            assert await StatementService(tx, platform.settings.billing).close_next()
            raise DiedError

    with pytest.raises(DiedError):
        await close_and_die()
    await _until(platform, platform.clock.now(), account)

    assert [one["number"] for one in await _list(platform, account)] == [1]


async def test_usage_adds_up_by_machine_project_type_label_and_day(platform: PlatformUnderTest) -> None:
    account, _, vm = await _given_quarter(platform)
    period = {"start_date": "2026-03-01", "end_date": "2026-03-31"}
    spent = round((await platform.credits(account))["total_spent"] * 1e6)
    expected = {
        "vm": [vm["id"]],
        "project": [vm["project_id"]],
        "type": ["medium", "small"],
        "day": ["2026-03-02"],
        "label": ["web"],
    }

    for by, keys in expected.items():
        label = {"label_key": "tier"} if by == "label" else {}
        told = (await _get(platform, account, "/billing/usage", group_by=by, **period, **label)).json()
        assert sorted(group["key"] for group in told["groups"]) == keys
        assert told["total_micros"] == spent == sum(group["cost_micros"] for group in told["groups"])
        assert sum(group["seconds"] for group in told["groups"]) == 2 * (59 * 60 + 7) + 31 * 60 + 1
    one = (await _get(platform, account, "/billing/usage", group_by="type", limit="1", **period)).json()
    assert one["groups"][0]["cost_micros"] + one["other_micros"] == spent
    for named in ({"label_key": "tier"}, {"group_by": "vm", "label_key": "tier"}):
        told = (await _get(platform, account, "/billing/usage", **named, **period)).json()
        assert (told["group_by"], [group["key"] for group in told["groups"]]) == ("label", ["web"])
    unnamed = (await _get(platform, account, "/billing/usage", group_by="label", **period)).json()
    long = (await _get(platform, account, "/billing/usage", start_date="2020-01-01", end_date="2026-03-31")).json()
    turned = (await _get(platform, account, "/billing/usage", start_date="2026-03-31", end_date="2026-03-01")).json()
    wrong = await platform.client.get("/billing/usage", params={"group_by": "colour"}, headers=account.headers)
    assert [(group["key"], group["cost_micros"]) for group in unnamed["groups"]] == [(None, spent)]
    assert (long["period_start"], long["total_micros"]) == ("2025-03-30T23:59:59.999999Z", spent)
    assert (turned["period_start"], turned["groups"], turned["total_micros"]) == (turned["period_end"], [], 0)
    assert wrong.status_code == httpx.codes.BAD_REQUEST


async def test_a_stranger_rebuilds_every_balance_and_statement_from_the_exported_entries(
    platform: PlatformUnderTest, tmp_path: Path
) -> None:
    account, _, vm = await _given_quarter(platform)
    await platform.client.post(f"/vms/{vm['id']}/start", headers=account.headers)
    await platform.settle()
    await _until(platform, datetime(2026, 6, 1, 1, 30, tzinfo=UTC), account)
    files = []
    for name, path in (
        ("ledger.jsonl", "/billing/ledger/export"),
        ("credits.json", "/billing/credits"),
        ("statements.json", "/billing/statements"),
    ):
        (tmp_path / name).write_bytes((await _get(platform, account, path)).content)
        files.append(str(tmp_path / name))
    (tmp_path / "ledger.csv").write_bytes(
        (await _get(platform, account, "/billing/ledger/export", format="csv")).content
    )

    right = _rebuild(*files)
    from_csv = _rebuild(str(tmp_path / "ledger.csv"), *files[1:])
    text = (await _get(platform, account, "/billing/ledger/export")).text
    changed = [json.loads(line) for line in text.splitlines()]
    changed[3]["amount_micros"] += 1
    (tmp_path / "ledger.jsonl").write_text("\n".join(map(json.dumps, changed)), "utf-8")
    wrong = _rebuild(*files)

    assert (right.returncode, right.stdout.splitlines()[-1]) == (0, "difference: 0"), right.stdout + right.stderr
    assert right.stdout.count("statement ") == 2
    assert from_csv.stdout == right.stdout
    assert wrong.returncode == 1
    assert "entry 4 is not what was written" in wrong.stdout


def _rebuild(*files: str) -> subprocess.CompletedProcess[str]:
    """Run the script as anybody would: another process, without the platform's packages."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(REBUILD), *files],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )


async def _given_refunds(platform: PlatformUnderTest) -> tuple[Account, Account, dict[str, Any]]:
    """A quarter, after which lines of March and of June are given back."""
    account, admin, vm = await _given_quarter(platform)
    await platform.client.post(f"/vms/{vm['id']}/start", headers=account.headers)
    await platform.settle()
    await platform.advance(hours=2)
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()
    history = (await _get(platform, account, "/billing/history")).json()["items"]
    newest, *_, oldest = [line for line in history if line["action_type"] == "vm_usage"]
    for line, more in ((oldest, {}), (newest, {"amount": 0.01})):
        body = {"reason": "The host was down", **more}
        path = f"/admin/billing/records/{line['id']}/refund"
        made = await platform.client.post(path, json=body, headers=admin.headers)
        assert made.status_code == httpx.codes.CREATED, made.text
    return account, admin, vm


async def test_charges_come_in_the_columns_of_focus(platform: PlatformUnderTest) -> None:
    account, _, vm = await _given_refunds(platform)

    every = list(csv.DictReader(io.StringIO((await _get(platform, account, "/billing/focus/export")).text)))

    rows = [row for row in every if row["ChargeCategory"] in {"Usage", "Purchase"}]
    spent = (await platform.credits(account))["total_spent"]
    assert round(sum(float(row["BilledCost"]) for row in rows), 6) == spent
    usage = [row for row in rows if row["ChargeCategory"] == "Usage"]
    assert {row["ResourceId"] for row in rows} == {vm["id"]}
    assert {row["Tags"] for row in usage} == {'{"tier": "web"}'}
    for row in usage:
        for price, cost in (("ListUnitPrice", "ListCost"), ("ContractedUnitPrice", "ContractedCost")):
            assert abs(float(row[price]) * float(row["PricingQuantity"]) - float(row[cost])) < 2e-6
        assert row["BilledCost"] == row["EffectiveCost"] == row["ContractedCost"]
    (cut,) = [
        row for row in rows if row["ListCost"] != row["BilledCost"] and row["BillingPeriodStart"][:7] == "2026-03"
    ]
    assert (cut["ListUnitPrice"], float(cut["ContractedUnitPrice"])) == ("0.1", 0.08763)
    assert (cut["ListCost"], cut["BilledCost"]) == ("0.051694", "0.045299")

    others = [row for row in every if row not in rows]
    refund, deduction, late, welcome = sorted(others, key=lambda row: (row["ChargeCategory"], row["ChargeClass"]))
    if refund["ResourceId"] == "":
        refund, deduction = deduction, refund
    assert [(row["ChargeCategory"], row["ChargeClass"]) for row in (refund, deduction, late, welcome)] == [
        ("Adjustment", ""),
        ("Adjustment", ""),
        ("Adjustment", "Correction"),
        ("Credit", ""),
    ], "a refund of this month, what was paid twice, a refund of March, and the welcome credit"
    assert [row["ResourceId"] for row in (refund, deduction, late, welcome)] == [vm["id"], "", vm["id"], ""]
    assert (float(refund["BilledCost"]), float(deduction["BilledCost"])) == (-0.01, 2.5)
    assert (late["ChargePeriodStart"][:7], late["BillingPeriodStart"][:7]) == ("2026-03", "2026-06")

    await _until(platform, datetime(2026, 7, 1, 2, 0, tzinfo=UTC), account)
    every = list(csv.DictReader(io.StringIO((await _get(platform, account, "/billing/focus/export")).text)))
    closed = await _list(platform, account)
    paid = {"2026-05": Decimal("7.000001")}
    assert len(closed) == 3
    for statement in closed:
        month = statement["period_start"][:7]
        total = sum(Decimal(row["BilledCost"]) for row in every if row["BillingPeriodStart"][:7] == month)
        change = statement["closing_micros"] - statement["opening_micros"]
        assert (paid.get(month, 0) - total) * 1_000_000 == change, "the export sums to the statement"


@pytest.mark.long
@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_the_export_passes_the_validator_of_focus(platform: PlatformUnderTest, tmp_path: Path) -> None:
    account, admin, _ = await _given_refunds(platform)
    at = platform.clock.now() + timedelta(hours=49)
    prices = {"effective_at": at.isoformat(), "storage": 0.001, "address": 0.01}
    announced = await platform.client.post("/admin/price-lists", json=prices, headers=admin.headers)
    assert announced.status_code == httpx.codes.CREATED, announced.text
    await platform.inner.keeping.tick()
    await _until(platform, at + timedelta(hours=7, seconds=5), account)
    file = tmp_path / "focus.csv"
    file.write_bytes((await _get(platform, account, "/billing/focus/export")).content)

    report = validate(file)

    assert {"Compute", "Storage", "Networking"} <= set(file.read_text("utf-8").replace(",", "\n").split("\n"))
    assert "Validation succeeded" in report.stdout, report.stdout + report.stderr  # It ends with 0 in any case.
