"""A statement that comes again is prepared, and brings what SQLAlchemy brings."""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from random import Random
from weakref import ref

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from tests.simulation.storm import store
from tests.support.repeating import IDS, STATEMENTS, run_thrice
from zentry.platform.db.prepared import PreparedStatements
from zentry.platform.db.synchronous import SynchronousDatabase
from zentry.platform.signals import Signals
from zentry.schema.events import events
from zentry.simulation.virtual_time import VirtualClock, VirtualLoop, run_virtually


def test_on_virtual_time_it_makes_no_difference_how_often_a_statement_was_run() -> None:
    store().reset()
    loop = VirtualLoop()
    clock = VirtualClock(loop, start=datetime(2026, 3, 2, tzinfo=UTC))
    database = SynchronousDatabase(store(), clock=clock, random=Random(1), signals=Signals())

    async def run() -> dict[str, list[tuple[object, ...]]]:
        return {name: await run_thrice(database, *case) for name, case in STATEMENTS.items()}

    told = run_virtually(run(), loop)

    assert {name: runs for name, runs in told.items() if runs != [runs[0]] * 3} == {}


def test_the_second_run_is_prepared_and_text_never_is() -> None:
    prepared = PreparedStatements(sqlite.dialect())
    query, text = sa.select(events.c.id).where(events.c.kind == sa.bindparam("kind")), sa.text("SELECT 1")

    found = [prepared.find(statement, ("kind",)) for statement in (query, query, query, text, text, text)]

    assert [one is not None for one in found] == [False, True, True, False, False, False]
    assert found[1] is found[2]


def test_what_was_prepared_is_forgotten_with_its_statement() -> None:
    prepared = PreparedStatements(sqlite.dialect())
    query = sa.select(events).where(events.c.id.in_(sa.bindparam("ids", expanding=True)))
    last_user = ref(query)
    for ids in (IDS[:1], IDS):
        prepared.find(query, ("ids",))
        if (one := prepared.find(query, ("ids",))) is not None:
            one.bind(query, {"ids": ids})

    del query
    gc.collect()

    assert last_user() is None
