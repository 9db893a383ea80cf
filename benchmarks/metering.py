"""What a tick of the meter costs where few of many machines are due, and what a balance costs to look up.

The cost of a tick is to follow what is due, whatever else runs; the balance, whatever was charged before.

    python -m benchmarks.metering [FEW [MANY [ROUNDS [LINES]]]]
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any, Final
from uuid import UUID

import httpx
import sqlalchemy as sa

from benchmarks.harness import PASSWORD, Figure, directory, postgres, settings_for, show
from zentry.platform.clock import ManualClock
from zentry.platform.db import Transaction
from zentry.platform.db.types import Instant
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
_FIRST_ID: Final = 2**56
_FEW_LINES: Final = 1_000
_BATCH: Final = 20_000
"""Rows of one statement, so that none takes longer than a statement may."""


def main(few: int = 10_000, many: int = 1_000_000, rounds: int = 5, lines: int = 1_000_000) -> None:
    configure_logging(LogSettings(level="error"))
    sizes = sorted({few, min(100_000, many), many})
    for name, database in (("SQLite", _sqlite), ("PostgreSQL", postgres)):
        with contextlib.ExitStack() as stack:
            places = {size: _settings(stack, database) for size in sizes}
            ticks = asyncio.run(_ticks(places, rounds))
            short, long = asyncio.run(_balances(_settings(stack, database), lines, rounds))
        figures = [Figure(f"a tick over {size:,} machines, {_DUE:,} due", ticks[size], "s") for size in sizes]
        growth = [last / first for first, last in zip(ticks[sizes[0]], ticks[sizes[-1]], strict=True)]
        figures += [
            Figure(f"{sizes[-1]:,} / {sizes[0]:,} machines", growth, "×", goal="≤ 1.5 ×"),
            Figure("`GET /billing/credits` at 10 lines", short, "ms"),
            Figure(f"`GET /billing/credits` at {lines:,} lines", long, "ms"),
            Figure("long / short", [b / a for a, b in zip(short, long, strict=True)], "×", goal="≤ 1.5 ×"),
        ]
        show(f"Metering on {name}", figures)


def _settings(stack: contextlib.ExitStack, database: Callable[[], AbstractContextManager[str]]) -> Settings:
    place, url = stack.enter_context(directory()), stack.enter_context(database())
    return settings_for(place / "data", database={"url": url} if url else {})


@contextlib.contextmanager
def _sqlite() -> Iterator[str]:
    yield ""


async def _ticks(places: Mapping[int, Settings], rounds: int) -> Mapping[int, list[float]]:
    """Return the seconds of ticks over each number of machines, in turns, so that each meets the same machine."""
    clock = ManualClock(_NOON)
    async with contextlib.AsyncExitStack() as stack:
        platforms = {}
        for size, settings in places.items():
            platform = await stack.enter_async_context(open_platform(settings, clock=clock, random=Random(1)))
            await platform.migrations.upgrade()
            platforms[size] = (platform, await _seed(platform, size // _EACH))
            await _analyse(platform)
        clock.advance(timedelta(seconds=3_500))
        times: dict[int, list[float]] = {size: [] for size in places}
        for number in range(rounds):
            for size, (platform, ids) in platforms.items():
                due = ids[number * _DUE // _EACH : (number + 1) * _DUE // _EACH]
                async with platform.database.work() as tx:
                    await tx.execute(
                        sa.update(users)
                        .where(users.c.id.in_(due))
                        .values(meter_due_at=_NOON + timedelta(seconds=3_480))
                    )
                started = time.perf_counter()
                assert await platform.meter.tick() == len(due)
                times[size].append(time.perf_counter() - started)
        return times


async def _seed(platform: Platform, accounts: int) -> Sequence[UUID]:
    """Write accounts with machines that have run for an hour that is paid."""
    async with platform.database.work() as tx:
        await _fill(
            tx,
            users,
            accounts,
            lambda number: {
                "id": _id(tx, number, of=1),
                "email": sa.cast(number, sa.Text),
                "email_key": sa.cast(number, sa.Text),
                "name": "Ada Bench",
                "hashed_password": "",
                "role": "user",
                "is_active": True,
                "created_at": _NOON,
                "credits": 100_000_000,
                "held": _EACH * _RATE,
                "meter_due_at": _NOON + timedelta(days=1),
            },
        )
        for table, values in ((holds, _hold), (segments, _segment)):
            await _fill(tx, table, accounts * _EACH, partial(values, tx))
    return [UUID(int=_FIRST_ID + number) for number in range(accounts)]


def _hold(tx: Transaction, number: sa.ColumnElement[int]) -> dict[str, Any]:
    return {
        "id": _id(tx, number, of=2),
        "user_id": _id(tx, number // _EACH, of=1),
        "resource_id": _id(tx, number, of=3),
        "remaining": _RATE,
        "status": "open",
        "created_at": _NOON,
    }


def _segment(tx: Transaction, number: sa.ColumnElement[int]) -> dict[str, Any]:
    return {
        "id": _id(tx, number, of=4),
        "user_id": _id(tx, number // _EACH, of=1),
        "project_id": _id(tx, number // _EACH, of=1),
        "resource_id": _id(tx, number, of=3),
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


async def _fill(
    tx: Transaction,
    table: sa.Table,
    count: int,
    values: Callable[[sa.ColumnElement[int]], Mapping[str, Any]],
) -> None:
    """Let the database itself write so many rows: a million through a driver takes longer than what is measured."""
    for first in range(0, count, _BATCH):
        last = min(count, first + _BATCH) - 1
        if tx.dialect == "postgresql":
            numbers: Any = sa.func.generate_series(first, last).table_valued("i").render_derived()
        else:
            start = sa.select(sa.literal(first).label("i")).cte("numbers", recursive=True)
            numbers = start.union_all(sa.select(start.c.i + 1).where(start.c.i < last))
        made = values(numbers.c.i)
        cells = [
            (value if isinstance(value, sa.ColumnElement) else sa.literal(value, table.c[name].type)).label(name)
            for name, value in made.items()
        ]
        await tx.execute(sa.insert(table).from_select(list(made), sa.select(*cells)))


def _id(tx: Transaction, number: sa.ColumnElement[int], *, of: int) -> sa.ColumnElement[Any]:
    """Return an id that grows with the number, as those of the platform grow with time."""
    value = sa.cast(number, sa.BigInteger) + (_FIRST_ID + (of - 1) * 2**32)
    if tx.dialect == "postgresql":
        return sa.cast(sa.func.lpad(sa.func.to_hex(value), 32, "0"), sa.Uuid)
    return sa.type_coerce(sa.func.printf("%032x", value), sa.Text)


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
    async with platform.database.work() as tx:
        of = 10 + 2 * (count > _FEW_LINES)

        def line(number: sa.ColumnElement[int]) -> dict[str, Any]:
            return {
                "id": _id(tx, number, of=of),
                "user_id": user_id,
                "vm_id": user_id,
                "action_type": "vm_usage",
                "amount": -1,
                "description": "Usage of small",
                "created_at": _later(tx, start, number),
            }

        def entry(number: sa.ColumnElement[int]) -> dict[str, Any]:
            return {
                "id": _id(tx, number, of=of + 1),
                "user_id": user_id,
                "position": number + 2,
                "debit": "held",
                "credit": "revenue",
                "amount": 1,
                "cause": sa.literal(f"benchmark:{count}:") + sa.cast(number, sa.Text),
                "record_id": _id(tx, number, of=of),
                "created_at": _later(tx, start, number),
                "hash": "",
            }

        await _fill(tx, billing_records, count, line)
        await _fill(tx, ledger_entries, count, entry)
        days = [
            {"user_id": user_id, "day": start.date() + timedelta(days=day), "micros": 1_000}
            for day in range(max(1, count // 2_880))
        ]
        await tx.execute(sa.insert(daily_spend), days)


def _later(tx: Transaction, start: datetime, number: sa.ColumnElement[int]) -> sa.ColumnElement[Any]:
    """Return an instant half a minute later for each number."""
    if tx.dialect == "postgresql":
        at = sa.literal(start, Instant)
        return at + sa.func.make_interval(0, 0, 0, 0, 0, 0, number * 30)
    shift = sa.cast(number * 30, sa.Text) + " seconds"
    return sa.type_coerce(sa.func.strftime("%Y-%m-%d %H:%M:%S.000000", f"{start:%Y-%m-%d %H:%M:%S}", shift), sa.Text)


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
