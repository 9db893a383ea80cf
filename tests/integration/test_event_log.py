"""Every committed event gets one position, whatever commits late and whoever dies; what is old goes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from tests.support.platform import PlatformUnderTest
from zentry.events.log import EventLog
from zentry.events.recorder import EventRecorder
from zentry.events.retention import EventRetention
from zentry.platform.db import Database, Transaction
from zentry.platform.signals import EVENTS_LOGGED
from zentry.platform.tasks import Stop
from zentry.schema.events import event_details, event_head, event_log, event_queue, events

RESOURCE = UUID(int=7)


async def record(tx: Transaction, kind: str) -> None:
    await EventRecorder(tx).record(kind, resource_type="test", resource_id=RESOURCE, user_id=None)


async def kinds(database: Database) -> Sequence[str]:
    """Return what the log tells of the resource, in its order."""
    query = (
        sa.select(events.c.kind)
        .join(event_log, event_log.c.event_id == events.c.id)
        .where(events.c.resource_id == RESOURCE)
        .order_by(event_log.c.position)
    )
    async with database.read() as tx:
        return list((await tx.execute(query)).scalars())


async def rows(database: Database, table: sa.Table) -> list[Any]:
    async with database.read() as tx:
        return list((await tx.execute(sa.select(table))).all())


async def test_a_log_of_what_happened_is_chained_and_personal_data_lies_beside(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    await platform.given_vm(account)
    async with platform.database.work() as tx:
        for number in range(3):
            await record(tx, f"test.{number}")

    await platform.inner.sequencer.tick()

    # That the chain holds, the fixture checks.
    assert await kinds(platform.database) == ["test.0", "test.1", "test.2"]
    logged = await rows(platform.database, event_log)
    assert [row.position for row in logged] == list(range(1, len(logged) + 1))
    assert await rows(platform.database, event_queue) == []
    details = await rows(platform.database, event_details)
    assert {row.actor_id for row in details} == {UUID(account.id)}
    assert {row.address for row in details} == {"127.0.0.1"}
    assert any(row.session_id is not None for row in details)
    assert all(row.agent.startswith("python-httpx") for row in details)
    async with platform.database.work() as tx:
        await tx.execute(sa.delete(event_details))


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_what_is_committed_late_is_not_skipped(platform: PlatformUnderTest) -> None:
    database, sequencer = platform.database, platform.inner.sequencer
    async with database.work() as late:
        await record(late, "test.late")
        async with database.work() as tx:
            await record(tx, "test.early")
        assert await sequencer.tick() == 1
        async with database.work() as tx:
            await record(tx, "test.later")
    assert await sequencer.tick() == 2

    assert await kinds(database) == ["test.early", "test.late", "test.later"]


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_many_writers_and_two_sequencers_leave_neither_gap_nor_repetition(platform: PlatformUnderTest) -> None:
    database = platform.database
    written = asyncio.Event()

    async def write(writer: int) -> None:
        for number in range(10):
            async with database.work() as tx:
                await record(tx, f"test.{writer}.{number}")
                await asyncio.sleep(0.002 * ((writer * 7 + number * 3) % 5))

    async def sequence() -> None:
        while not written.is_set():
            await platform.inner.sequencer.tick()
            await asyncio.sleep(0)

    sequencers = [asyncio.create_task(sequence()) for _ in range(2)]
    await asyncio.gather(*(write(writer) for writer in range(6)))
    written.set()
    await asyncio.gather(*sequencers)
    await platform.inner.sequencer.tick()

    logged = await kinds(database)
    assert sorted(logged) == sorted(f"test.{writer}.{number}" for writer in range(6) for number in range(10))
    for writer in range(6):
        own = [kind for kind in logged if kind.startswith(f"test.{writer}.")]
        assert own == [f"test.{writer}.{number}" for number in range(10)]


class Died(Exception):
    """A sequencer is gone before its commit."""


async def append_and_die(platform: PlatformUnderTest) -> None:
    async with platform.database.work() as tx:
        log = EventLog(tx)
        head = await log.lock_head()
        assert head is not None
        assert await log.append_waiting(head, most=10) == 1
        assert await platform.inner.sequencer.tick() is None
        raise Died


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_one_process_at_a_time_sequences_and_the_next_takes_over(platform: PlatformUnderTest) -> None:
    database, sequencer = platform.database, platform.inner.sequencer
    async with database.work() as tx:
        await record(tx, "test.first")

    with pytest.raises(Died):
        await append_and_die(platform)

    assert await sequencer.tick() == 1
    assert await kinds(database) == ["test.first"]


async def test_the_log_is_sequenced_while_the_platform_runs(platform: PlatformUnderTest) -> None:
    stop = Stop()
    running = asyncio.create_task(platform.inner.sequencer.run(stop))
    told: list[str] = []
    with platform.inner.signals.listen(EVENTS_LOGGED) as logged:
        for kind in ("test.one", "test.two"):
            told.append(kind)
            async with platform.database.work() as tx:
                await record(tx, kind)
            # Woken, and not for this alone: whoever is woken looks.
            while await kinds(platform.database) != told:
                assert await logged.wait(30)
    stop.set()
    await running

    assert await kinds(platform.database) == ["test.one", "test.two"]


async def test_what_is_old_is_let_go_and_the_rest_still_follows_from_its_anchor(platform: PlatformUnderTest) -> None:
    retention = EventRetention(platform.settings.events)
    await platform.signup()
    async with platform.database.work() as tx:
        await record(tx, "test.old")
    await platform.inner.sequencer.tick()
    await platform.advance(days=91, meter=False)
    async with platform.database.work() as tx:
        await retention(tx)
    assert await rows(platform.database, event_details) == []
    assert len(await rows(platform.database, event_log)) > 1

    await platform.advance(days=310, meter=False)
    async with platform.database.work() as tx:
        await record(tx, "test.new")
        await record(tx, "test.newer")
    await platform.inner.sequencer.tick()
    async with platform.database.work() as tx:
        gone = await retention(tx)

    assert gone > 1
    assert await kinds(platform.database) == ["test.new", "test.newer"]
    (head,) = await rows(platform.database, event_head)
    assert head.kept_from == gone + 1
    assert len(await rows(platform.database, events)) == 2
    with pytest.raises(sa.exc.IntegrityError, match="append-only"):
        async with platform.database.work() as tx:
            await tx.execute(sa.delete(event_log))


async def test_an_event_that_awaits_its_position_cannot_be_deleted(platform: PlatformUnderTest) -> None:
    async with platform.database.work() as tx:
        await record(tx, "test.waiting")

    with pytest.raises(sa.exc.IntegrityError, match="append-only"):
        async with platform.database.work() as tx:
            await tx.execute(sa.delete(events).where(events.c.id != uuid4()))
