"""A statement that comes again is prepared, and brings what SQLAlchemy brings."""

from __future__ import annotations

import asyncio
import gc
from datetime import UTC, datetime
from random import Random
from weakref import ref

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from tests.simulation.storm import store
from tests.support.platform import PlatformUnderTest
from tests.support.repeating import IDS, STATEMENTS, run_thrice
from zentry.platform.db.faults import is_database_away
from zentry.platform.db.prepared import PreparedStatements
from zentry.platform.db.synchronous import SynchronousDatabase
from zentry.platform.signals import Signals
from zentry.schema.events import events
from zentry.simulation.virtual_time import VirtualClock, VirtualLoop, run_virtually

_SLEEP = sa.select(sa.func.pg_sleep(sa.bindparam("seconds", type_=sa.Float)))


def test_on_virtual_time_it_makes_no_difference_how_often_a_statement_was_run() -> None:
    store().reset()
    loop = VirtualLoop()
    clock = VirtualClock(loop, start=datetime(2026, 3, 2, tzinfo=UTC))
    database = SynchronousDatabase(store(), clock=clock, random=Random(1), signals=Signals())

    async def run() -> dict[str, list[tuple[object, ...]]]:
        return {name: await run_thrice(database, *case) for name, case in STATEMENTS.items()}

    told = run_virtually(run(), loop)

    assert {name: runs for name, runs in told.items() if runs != [runs[0]] * 3} == {}


async def test_it_makes_no_difference_how_often_a_statement_was_run(platform: PlatformUnderTest) -> None:
    told = {name: await run_thrice(platform.database, *case) for name, case in STATEMENTS.items()}

    assert {name: runs for name, runs in told.items() if runs != [runs[0]] * 3} == {}


async def test_a_statement_that_is_cancelled_leaves_no_answer_to_the_next(platform: PlatformUnderTest) -> None:
    if platform.database.dialect != "postgresql":
        pytest.skip("SQLite cannot be made to wait")
    for seconds in (0.0, 0.0):
        async with platform.database.read() as tx:
            await tx.execute(_SLEEP, {"seconds": seconds})

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), platform.database.work() as tx:
            await tx.execute(_SLEEP, {"seconds": 30.0})

    async with platform.database.read() as tx:
        assert (await tx.execute(sa.select(sa.literal(7)))).scalar_one() == 7


async def test_a_connection_that_is_lost_is_told_as_such_and_replaced(platform: PlatformUnderTest) -> None:
    if platform.database.dialect != "postgresql":
        pytest.skip("SQLite has no connection to lose")
    for seconds in (0.0, 0.0):
        async with platform.database.read() as tx:
            await tx.execute(_SLEEP, {"seconds": seconds})

    async def lose_it() -> None:
        async with platform.database.work() as tx:
            own = (await tx.execute(sa.select(sa.func.pg_backend_pid()))).scalar_one()
            async with platform.database.work() as other:
                await other.execute(sa.select(sa.func.pg_terminate_backend(own)))
            await tx.execute(_SLEEP, {"seconds": 0.0})

    with pytest.raises(sa.exc.DBAPIError) as told:
        await lose_it()

    assert is_database_away(told.value)
    async with platform.database.work() as tx:
        await tx.execute(_SLEEP, {"seconds": 0.0})


def test_the_second_run_is_prepared_and_text_never_is() -> None:
    prepared = PreparedStatements(sqlite.dialect())
    query, text = sa.select(events.c.id).where(events.c.kind == sa.bindparam("kind")), sa.text("SELECT 1")

    found = [prepared.find(statement, {"kind": "x"}) for statement in (query, query, query, text, text, text)]

    assert [one is not None for one in found] == [False, True, True, False, False, False]
    assert found[1] is found[2]


def test_what_was_prepared_is_forgotten_with_its_statement() -> None:
    prepared = PreparedStatements(sqlite.dialect())
    query = sa.select(events).where(events.c.id.in_(sa.bindparam("ids", expanding=True)))
    last_user = ref(query)
    for ids in (IDS[:1], IDS):
        prepared.find(query, {"ids": ids})
        if (one := prepared.find(query, {"ids": ids})) is not None:
            one.bind(query, {"ids": ids})

    del query
    gc.collect()

    assert last_user() is None
