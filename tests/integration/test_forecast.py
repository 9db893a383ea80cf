"""What is known before: quotes, dry runs, and forecasts that come true to the micro-credit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from tests.support.contents import contents
from tests.support.platform import PASSWORD, Account, PlatformUnderTest, open_under_test, settings_for_tests
from zentry.invariants import broken_invariants
from zentry.schema.accounts import users
from zentry.schema.billing import segments

TYPES = ("small", "medium", "large")


async def _ask(platform: PlatformUnderTest, account: Account, method: str, path: str, **body: Any) -> httpx.Response:
    signed_in = await platform.client.post("/auth/login", json={"email": account.email, "password": PASSWORD})
    headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    return await platform.client.request(method, path, json=body or None, headers=headers)


async def test_a_quote_says_what_then_is_held_and_charged_and_changes_nothing(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    before = await contents(platform.database)
    wish = {"name": "web", "instance_type": "medium", "image": "debian-12", "project_id": project_id}

    quote = (await _ask(platform, account, "POST", "/billing/quote", instance_type="medium")).json()
    dry = await _ask(platform, account, "POST", "/vms?dry_run=true", **wish)
    refused = await _ask(platform, account, "POST", "/vms?dry_run=true", **{**wish, "image": "beos"})
    unknown = await _ask(platform, account, "POST", "/billing/quote", instance_type="huge")
    unchanged = {name: rows for name, rows in (await contents(platform.database)).items() if name in before}
    created = await _ask(platform, account, "POST", "/vms", **wish)
    held = (await _ask(platform, account, "GET", "/billing/credits")).json()
    await platform.settle()
    running = (await _ask(platform, account, "GET", "/billing/credits")).json()

    assert (dry.status_code, dry.json()) == (200, quote)
    assert (refused.status_code, unknown.status_code, created.status_code) == (400, 404, 201)
    untouched = {"vms", "holds", "segments", "operations", "quotas", "ip_leases", "ledger_entries", "billing_records"}
    assert untouched <= before.keys()
    assert {name for name in untouched if before[name] != unchanged[name]} == set()
    assert quote["price_per_hour"] == 0.1
    assert quote["price_per_30_days"] == pytest.approx(72)
    assert held["held_credits"] == quote["hold"] == pytest.approx(0.15)
    assert running["credit_ends_at"] == quote["credit_would_end_at"]
    assert quote["credit_ends_at"] is None
    assert running["seconds_to_empty"] == (50 - 0.05) / 0.1 * 3600 - platform.settings.billing.suspend_before_seconds
    assert quote["is_affordable"] is True


@pytest.mark.parametrize("overrides", [{"billing": {"welcome_credits": 1.0}}])
async def test_the_credit_ends_in_the_second_that_was_told(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    await platform.given_vm(account)
    await platform.advance(minutes=7)
    await platform.given_vm(account, instance_type="large")

    told = (await _ask(platform, account, "GET", "/billing/credits")).json()
    await platform.advance(meter=False, seconds=told["seconds_to_empty"] + 300)
    await platform.inner.meter.tick()
    await platform.settle()

    async with platform.database.read() as tx:
        query = sa.select(segments.c.exhausted_at).order_by(segments.c.exhausted_at.is_(None), segments.c.exhausted_at)
        ended = (await tx.execute(query.limit(1))).scalar_one()
    assert ended == datetime.fromisoformat(told["credit_ends_at"])


async def test_a_forecast_of_a_million_steps_is_refused_and_one_that_fails_says_what_and_when(
    platform: PlatformUnderTest,
) -> None:
    account = await platform.signup()
    nightly = {"instance_type": "small", "count": 50, "stop_at": "20:00", "start_at": "06:00"}

    endless = await _ask(
        platform,
        account,
        "POST",
        "/billing/forecast",
        days=366,
        machines=[{"name": f"m{number}", **nightly} for number in range(28)],
    )
    failing = await _ask(
        platform,
        account,
        "POST",
        "/billing/forecast",
        days=10,
        machines=[
            {"name": "big", "instance_type": "xlarge"},
            {"name": "late", "instance_type": "xlarge", "create_after_minutes": 60 * 24 * 9},
        ],
    )

    assert (endless.status_code, endless.json()["error_code"]) == (409, "FORECAST_TOO_LARGE")
    first = failing.json()["first_failure"]
    assert (first["what"], first["name"]) == ("stopped for credit", "big")
    last = failing.json()["failures"][-1]
    assert (last["what"], last["name"], last["required"]) == ("create refused", "late", 0.45)
    assert len(failing.json()["curve"]) == 11


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize(
    "seeds",
    [range(2), *(pytest.param(range(first, first + 40), marks=pytest.mark.long) for first in range(0, 1_000, 40))],
)
async def test_a_forecast_comes_true_to_the_micro_credit(database_url: str, tmp_path: Path, seeds: range) -> None:
    migrated = sa.make_url(database_url).database
    assert migrated is not None
    for seed in seeds:
        plan = _plan(Random(seed))
        place = tmp_path / str(seed)
        place.mkdir()
        shutil.copy(migrated, place / "zentry.db")
        settings = settings_for_tests(
            place,
            database={"url": f"sqlite:///{place / 'zentry.db'}"},
            billing={
                "welcome_credits": Random(seed).choice((2.0, 9.0, 50.0)),
                "renew_first": Random(seed).choice(("oldest", "newest", "cheapest", "dearest")),
                # What is removed is removed within a minute, so that a disk with a price may cost a minute more.
                "grace_days": 0 if "storage" in plan.get("prices", {}) else Random(seed).choice((0, 0.5)),
                "warn_hours": [],
            },
        )
        async with open_under_test(settings) as platform:
            await _come_true(platform, plan, seed)
        shutil.rmtree(place)


async def _come_true(platform: PlatformUnderTest, plan: dict[str, Any], seed: int) -> None:
    account, admin = await platform.signup(), await platform.given_admin()
    await _given_past(platform, account, Random(seed))
    forecast = await _ask(platform, account, "POST", "/billing/forecast", **plan)
    assert forecast.status_code == httpx.codes.OK, forecast.text
    start = platform.clock.now()

    if "prices" in plan:
        prices = dict(plan["prices"])
        effective_at = start + timedelta(minutes=prices.pop("after_minutes"))
        answer = await _ask(
            platform, admin, "POST", "/admin/price-lists", effective_at=effective_at.isoformat(), **prices
        )
        assert answer.status_code == httpx.codes.CREATED, answer.text
        await platform.inner.keeping.tick()
    project_id = await platform.given_project(account)
    ids: dict[str, str] = {}
    for at, kind, name in sorted(_steps(plan, start), key=lambda step: (step[0], ORDER[step[1]])):
        await _live_until(platform, account, at)
        if kind == "create":
            machine = next(one for one in plan["machines"] if one["name"] == name)
            answer = await _ask(
                platform,
                account,
                "POST",
                "/vms",
                name=name,
                instance_type=machine["instance_type"],
                image="debian-12",
                project_id=project_id,
            )
            if answer.is_success:
                ids[name] = answer.json()["id"]
        elif kind == "credit":
            await platform.inner.resumption.tick()
            await platform.settle()
            await _ask(platform, account, "POST", "/billing/credits/add", amount=float(name))
            await _tick(platform)
            await platform.inner.resumption.tick()
        elif name in ids:
            method, path = ("DELETE", "") if kind == "delete" else ("POST", f"/{kind}")
            await _ask(platform, account, method, f"/vms/{ids[name]}{path}")
        await platform.settle()
    await _live_until(platform, account, start + timedelta(days=plan["days"]))

    outcome = (await _ask(platform, account, "GET", "/billing/credits")).json()
    left = round(outcome["current_credits"] * 1e6) - round(outcome["accrued_cost"] * 1e6)
    assert left - round(forecast.json()["credits"] * 1e6) == 0, f"seed {seed}"
    assert await broken_invariants(platform.database) == []


async def _given_past(platform: PlatformUnderTest, account: Account, random: Random) -> None:
    """Let machines be there already: some run, some were stopped, some stand still for credit."""
    project_id = await platform.given_project(account, "past")
    vms = []
    for number in range(random.randrange(3)):
        machine = {"name": f"past-{number}", "instance_type": random.choice(TYPES), "image": "debian-12"}
        answer = await _ask(platform, account, "POST", "/vms", project_id=project_id, **machine)
        vms += [answer.json()["id"]] if answer.is_success else []
        await platform.settle()
        await _live_until(platform, account, platform.clock.now() + timedelta(minutes=random.randrange(500)))
    if vms and random.random() < 0.3:
        await _ask(platform, account, "POST", f"/vms/{vms[0]}/stop")
        await platform.settle()


ORDER = {"delete": 0, "stop": 1, "credit": 2, "create": 3, "start": 4}


def _plan(random: Random) -> dict[str, Any]:
    days = random.randrange(2, 5)
    machines = []
    minutes = random.sample(range(days * 700), 3)  # Which of two that are asked for at once comes first is chance.
    for number in range(random.randrange(1, 4)):
        machine: dict[str, Any] = {
            "name": f"m{number}",
            "instance_type": random.choice(TYPES),
            "create_after_minutes": minutes[number],
        }
        if random.random() < 0.3:
            machine["delete_after_minutes"] = machine["create_after_minutes"] + random.randrange(1, 3_000)
        if random.random() < 0.6:
            machine |= {"stop_at": f"{random.randrange(24):02}:17", "start_at": f"{random.randrange(24):02}:43"}
        machines.append(machine)
    credits_ = [
        {"after_minutes": random.randrange(days * 1440), "amount": random.choice((0.5, 3.25))}
        for _ in range(random.randrange(3))
    ]
    plan: dict[str, Any] = {"days": days, "machines": machines, "credits": credits_}
    if days > 2 and random.random() < 0.6:
        types = [{"instance_type": "small", "price": 0.0713}, {"instance_type": "large", "price": 0.150001}]
        extra = {"storage": 0.000333, "address": 0.001} if random.random() < 0.5 else {}
        plan["prices"] = {"after_minutes": random.randrange(49 * 60, days * 1440), "instance_types": types, **extra}
    return plan


def _steps(plan: dict[str, Any], start: datetime) -> Iterator[tuple[datetime, str, str]]:
    until = start + timedelta(days=plan["days"])
    for machine in plan["machines"]:
        created = start + timedelta(minutes=machine["create_after_minutes"])
        deleted = until
        yield created, "create", machine["name"]
        if "delete_after_minutes" in machine:
            deleted = start + timedelta(minutes=machine["delete_after_minutes"])
            if deleted <= until:
                yield deleted, "delete", machine["name"]
        for kind in ("stop", "start"):
            if f"{kind}_at" in machine:
                hour, minute = map(int, machine[f"{kind}_at"].split(":"))
                at = datetime(created.year, created.month, created.day, hour, minute, tzinfo=UTC)
                while at < min(deleted, until):
                    if at > created:
                        yield at, kind, machine["name"]
                    at += timedelta(days=1)
    for one in plan["credits"]:
        yield start + timedelta(minutes=one["after_minutes"]), "credit", str(one["amount"])


async def _live_until(platform: PlatformUnderTest, account: Account, until: datetime) -> None:
    """Let time pass, with a meter that comes in the very second in which something is due."""
    while True:
        async with platform.database.read() as tx:
            query = sa.select(users.c.meter_due_at).where(users.c.id == UUID(account.id))
            due = (await tx.execute(query)).scalar_one()
        if due is None or due > until:
            break
        platform.clock.advance(max(due - platform.clock.now(), timedelta(0)))
        await _tick(platform)
    platform.clock.advance(until - platform.clock.now())


async def _tick(platform: PlatformUnderTest) -> None:
    await platform.inner.meter.tick()
    await platform.settle()
