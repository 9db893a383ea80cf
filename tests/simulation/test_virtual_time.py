"""Virtual time and the database that never suspends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.simulation.storm import store
from zentry.platform.db.synchronous import SynchronousDatabase
from zentry.platform.signals import Signals
from zentry.schema.projects import quotas
from zentry.simulation.virtual_time import VirtualClock, VirtualLoop, run_virtually

START = datetime(2026, 3, 2, tzinfo=UTC)


def _database(clock: VirtualClock) -> SynchronousDatabase:
    store().reset()
    return SynchronousDatabase(store(), clock=clock, random=Random(1), signals=Signals())


def test_a_year_passes_at_once() -> None:
    loop = VirtualLoop()
    clock = VirtualClock(loop, start=START)

    async def wait() -> datetime:
        await clock.sleep(365 * 86_400)
        return clock.now()

    assert run_virtually(wait(), loop) == START + timedelta(days=365)


def test_timers_run_in_the_order_of_their_times_and_then_of_their_making() -> None:
    loop = VirtualLoop()
    log: list[str] = []

    async def note(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        log.append(name)

    async def main() -> None:
        await asyncio.gather(note("late", 2), note("first", 1), note("second", 1), note("now", 0))

    run_virtually(main(), loop)

    assert log == ["now", "first", "second", "late"]


def test_a_timeout_is_virtual_too() -> None:
    loop = VirtualLoop()

    async def wait() -> float:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), timeout=3600)
        return loop.time()

    assert run_virtually(wait(), loop) == 3600


def test_what_would_wait_for_ever_is_an_error() -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="nothing will ever happen"):
        run_virtually(wait(), VirtualLoop())


def test_a_thread_is_called_at_once() -> None:
    async def ask() -> int:
        return await asyncio.to_thread(sum, [1, 2, 3])

    assert run_virtually(ask(), VirtualLoop()) == 6


def test_a_unit_of_work_that_fails_leaves_nothing() -> None:
    loop = VirtualLoop()
    database = _database(VirtualClock(loop, start=START))

    async def fail() -> None:
        async with database.work() as tx:
            await tx.execute(sa.insert(quotas), _quota(tx.new_id()))
            raise ZeroDivisionError

    async def main() -> int:
        with pytest.raises(ZeroDivisionError):
            await fail()
        async with database.read() as tx:
            return int((await tx.execute(sa.select(sa.func.count()).select_from(quotas))).scalar_one())

    assert run_virtually(main(), loop) == 0


def test_a_unit_of_work_that_waits_is_found_out() -> None:
    loop = VirtualLoop()
    database = _database(VirtualClock(loop, start=START))

    async def hold() -> None:
        async with database.work():
            await asyncio.sleep(1)

    async def main() -> None:
        holding = asyncio.create_task(hold())
        await asyncio.sleep(0.5)
        with pytest.raises(AssertionError, match="nothing may wait"):
            await database.work().__aenter__()
        await holding

    run_virtually(main(), loop)


def _quota(owner: UUID) -> dict[str, object]:
    return {"owner_id": owner, "resource": "vms", "used": 0, "maximum": 1}
