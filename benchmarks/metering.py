"""What a tick of the meter costs where few of many machines are due, and what a balance costs to look up.

The cost of a tick is to follow what is due, whatever else runs; the balance, whatever was charged before.

    python -m benchmarks.metering [FEW [MANY [ROUNDS [LINES]]]]
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

import httpx
import sqlalchemy as sa

from benchmarks.harness import PASSWORD, Figure, directory, postgres, settings_for, show
from zentry.platform.clock import ManualClock
from zentry.platform.db import Transaction
from zentry.platform.logging import configure_logging
from zentry.platform.settings import LogSettings, Settings
from zentry.schema.accounts import users
from zentry.schema.billing import billing_records, daily_spend, holds, ledger_entries, segments
from zentry.wiring import Platform, open_platform

_NOON: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
_EACH: Final = 10
"""Machines of one account."""
_DUE: Final = 1_000
_RATE: Final = 50_000
_BATCH: Final = 5_000


def main(few: int = 10_000, many: int = 1_000_000, rounds: int = 5, lines: int = 1_000_000) -> None:
    configure_logging(LogSettings(level="error"))
    sizes = sorted({few, min(100_000, many), many})
    for name, database in (("SQLite", _sqlite), ("PostgreSQL", postgres)):
        figures = []
        ticks = {}
        for machines in sizes:
            with directory() as place, database() as url:
                settings = settings_for(place / "data", database={"url": url} if url else {})
                ticks[machines] = asyncio.run(_ticks(settings, machines, rounds))
            figures.append(Figure(f"a tick over {machines:,} machines, {_DUE:,} due", ticks[machines], "s"))
        growth = [last / first for first, last in zip(ticks[sizes[0]], ticks[sizes[-1]], strict=True)]
        figures.append(Figure(f"{sizes[-1]:,} / {sizes[0]:,} machines", growth, "×", goal="≤ 1.5 ×"))
        with directory() as place, database() as url:
            settings = settings_for(place / "data", database={"url": url} if url else {})
            short, long = asyncio.run(_balances(settings, lines, rounds))
        figures += [
            Figure("`GET /billing/credits` at 10 lines", short, "ms"),
            Figure(f"`GET /billing/credits` at {lines:,} lines", long, "ms"),
            Figure("long / short", [b / a for a, b in zip(short, long, strict=True)], "×", goal="≤ 1.5 ×"),
        ]
        show(f"Metering on {name}", figures)


@contextlib.contextmanager
def _sqlite() -> Iterator[str]:
    yield ""


async def _ticks(settings: Settings, machines: int, rounds: int) -> list[float]:
    clock = ManualClock(_NOON)
    async with open_platform(settings, clock=clock, random=Random(1)) as platform:
        await platform.migrations.upgrade()
        ids = await _seed(platform, machines // _EACH)
        clock.advance(timedelta(seconds=3_500))
        await _analyse(platform)
        times = []
        for number in range(rounds):
            due = ids[number * _DUE // _EACH : (number + 1) * _DUE // _EACH]
            async with platform.database.work() as tx:
                await tx.execute(
                    sa.update(users).where(users.c.id.in_(due)).values(meter_due_at=_NOON + timedelta(seconds=3_480))
                )
            started = time.perf_counter()
            assert await platform.meter.tick() == len(due)
            times.append(time.perf_counter() - started)
        return times


async def _seed(platform: Platform, accounts: int) -> Sequence[UUID]:
    """Write accounts with machines that have run for an hour that is paid."""
    ids: list[UUID] = []
    for first in range(0, accounts, _BATCH // _EACH):
        async with platform.database.work() as tx:
            made = [tx.new_id() for _ in range(min(_BATCH // _EACH, accounts - first))]
            await tx.execute(sa.insert(users), [_account(user_id) for user_id in made])
            owned = [(user_id, tx.new_id()) for user_id in made for _ in range(_EACH)]
            await tx.execute(sa.insert(holds), [_hold(tx, *one) for one in owned])
            await tx.execute(sa.insert(segments), [_segment(tx, *one) for one in owned])
        ids += made
    return ids


def _account(user_id: UUID) -> dict[str, Any]:
    return {
        "id": user_id,
        "email": f"{user_id}@example.com",
        "email_key": f"{user_id}@example.com",
        "name": "Ada Bench",
        "hashed_password": "",
        "role": "user",
        "is_active": True,
        "created_at": _NOON,
        "credits": 100_000_000,
        "held": _EACH * _RATE,
        "meter_due_at": _NOON + timedelta(days=1),
    }


def _hold(tx: Transaction, user_id: UUID, vm_id: UUID) -> dict[str, Any]:
    return {
        "id": tx.new_id(),
        "user_id": user_id,
        "resource_id": vm_id,
        "remaining": _RATE,
        "status": "open",
        "created_at": _NOON,
    }


def _segment(tx: Transaction, user_id: UUID, vm_id: UUID) -> dict[str, Any]:
    return {
        "id": tx.new_id(),
        "user_id": user_id,
        "project_id": user_id,
        "resource_id": vm_id,
        "resource_type": "small",
        "meter": "compute",
        "price_version": 1,
        "rate_micros_per_hour": _RATE,
        "started_at": _NOON,
        "paid_until": _NOON + timedelta(hours=1),
        "charged_until": _NOON,
        "charged_micros": 0,
        "price_micros": _RATE,
    }


async def _balances(settings: Settings, lines: int, rounds: int) -> tuple[list[float], list[float]]:
    """Return milliseconds for a look at a young account and at one with many lines, in turns."""
    async with open_platform(settings) as platform:
        await platform.migrations.upgrade()
        transport = httpx.ASGITransport(app=platform.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://benchmark.test") as client:
            people = []
            for number, count in enumerate((9, lines - 1)):
                person = {"email": f"user{number}@example.com", "name": "Ada Bench", "password": PASSWORD}
                signed_up = (await client.post("/auth/signup", json=person)).raise_for_status().json()
                people.append({"Authorization": f"Bearer {signed_up['access_token']}"})
                await _write_lines(platform, UUID(signed_up["user"]["id"]), count)
            await _analyse(platform)
            short: list[float] = []
            long: list[float] = []
            for _ in range(rounds):
                for headers, times in zip(people, (short, long), strict=True):
                    times.append(await _look(client, headers))
            return short, long


async def _write_lines(platform: Platform, user_id: UUID, count: int) -> None:
    start = _NOON - timedelta(days=365)
    for first in range(0, count, _BATCH):
        async with platform.database.work() as tx:
            numbers = range(first, min(count, first + _BATCH))
            rows = [(number, tx.new_id(), start + timedelta(seconds=30 * number)) for number in numbers]
            await tx.execute(sa.insert(billing_records), [_line(user_id, id_, at) for _, id_, at in rows])
            await tx.execute(sa.insert(ledger_entries), [_entry(tx, user_id, *row) for row in rows])
    days = [
        {"user_id": user_id, "day": start.date() + timedelta(days=day), "micros": 1_000}
        for day in range(max(1, count // 2_880))
    ]
    async with platform.database.work() as tx:
        await tx.execute(sa.insert(daily_spend), days)


def _line(user_id: UUID, record_id: UUID, at: datetime) -> dict[str, Any]:
    return {
        "id": record_id,
        "user_id": user_id,
        "vm_id": user_id,
        "action_type": "vm_usage",
        "amount": -1,
        "description": "Usage of small",
        "created_at": at,
    }


def _entry(tx: Transaction, user_id: UUID, number: int, record_id: UUID, at: datetime) -> dict[str, Any]:
    return {
        "id": tx.new_id(),
        "user_id": user_id,
        "position": number + 2,
        "debit": "held",
        "credit": "revenue",
        "amount": 1,
        "cause": f"benchmark:{user_id}:{number}",
        "record_id": record_id,
        "created_at": at,
        "hash": "",
    }


async def _look(client: httpx.AsyncClient, headers: dict[str, str]) -> float:
    times = []
    for _ in range(40):
        started = time.perf_counter()
        (await client.get("/billing/credits", headers=headers)).raise_for_status()
        times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2] * 1_000


async def _analyse(platform: Platform) -> None:
    async with platform.database.work() as tx:
        await tx.execute(sa.text("ANALYZE"))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
