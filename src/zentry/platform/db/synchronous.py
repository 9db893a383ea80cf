"""A database in memory whose units of work never suspend, for virtual time.

aiosqlite answers from a thread, and while it does a virtual clock would jump to the next timer.
Here a statement runs at once, in the thread that asks. Services see the same `Transaction` and
run the same statements.

There is one connection. A unit of work that waited for anything while it was open would let
another begin inside of it; that is refused, as it would be a fault of the platform: no transaction
may be held across a call to the world.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from random import Random
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import StaticPool

from zentry.platform.clock import Clock
from zentry.platform.db.database import Database, to_json
from zentry.platform.db.migrations import build_schema
from zentry.platform.db.observe import QueryWatch
from zentry.platform.db.prepared import Parameters, PreparedStatements
from zentry.platform.db.rows import Rows
from zentry.platform.db.transaction import Transaction
from zentry.platform.signals import Signals

_STATEMENTS: Final = 1024
_URL: Final = "sqlite://"


class _Unwatched(QueryWatch):
    """Notes nothing: how long a statement took says nothing on virtual time."""

    def note(self, statement: str, seconds: float) -> None:
        """Do nothing."""


_UNWATCHED: Final = _Unwatched(slow_seconds=math.inf)


class MemoryStore:
    """One SQLite database in memory that can be made new at once.

    All that happens in one life of it happens in one transaction, which is never committed: units of work are
    savepoints inside of it. Another life begins by rolling it back, so SQLite need not compile its statements again,
    as it would for a schema that is new.
    """

    def __init__(self) -> None:
        self.raw = sqlite3.connect(":memory:", isolation_level=None, cached_statements=_STATEMENTS)
        self._engine = _engine(self.raw)
        self.connection = self._engine.connect()
        self.prepared = PreparedStatements(self._engine.dialect)
        self.is_working = False
        """Whether a unit of work is open."""
        _template().backup(self.raw)
        self.raw.execute("PRAGMA foreign_keys = ON")
        self.raw.execute("BEGIN")

    def reset(self) -> None:
        """Throw everything away and begin with the schema and its catalogue."""
        self.raw.execute("ROLLBACK")
        self.raw.execute("BEGIN")
        self.is_working = False

    def close(self) -> None:
        """Let go of the memory."""
        self.connection.close()
        self._engine.dispose()
        self.raw.close()


class SynchronousDatabase(Database):
    """A `Database` over a store in memory; everything in it happens at once."""

    def __init__(
        self,
        store: MemoryStore,
        *,
        clock: Clock,
        random: Random,
        signals: Signals,
        on_commit: Callable[[], None] | None = None,
    ) -> None:
        """Open the store; `on_commit` is called after each unit of work that was committed."""
        self.dialect = "sqlite"
        self.url = sa.make_url(_URL)
        self._store = store
        self._statements = _Statements(store)
        self._clock = clock
        self._random = random
        self._signals = signals
        self._on_commit = on_commit

    async def before_look(self) -> None:
        """Do nothing; what may be late, or not come at all, says so here."""

    def at_commit(self) -> None:
        """Do nothing; what may die says so here, just before each commit and just after it."""

    @asynccontextmanager
    async def work(self) -> AsyncIterator[Transaction]:
        """Open a transaction that commits when the block ends well and rolls back when it does not."""
        await self.before_look()
        store = self._store
        assert not store.is_working, "a unit of work is open and waits for something: nothing may wait inside of one"
        store.raw.execute("SAVEPOINT work")
        store.is_working = True
        try:
            tx = self._begin()
            yield tx
            self.at_commit()
        except BaseException:
            store.raw.execute("ROLLBACK TO work")
            raise
        finally:
            store.raw.execute("RELEASE work")
            store.is_working = False
        if self._on_commit is not None:
            self._on_commit()
        self._signals.announce(tx.signals)
        self.at_commit()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """Look at what is committed."""
        await self.before_look()
        assert not self._store.is_working, "a unit of work is open: look inside of it, or after it"
        yield self._begin()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Transaction]:
        """Open a read in which all statements see one and the same state."""
        async with self.read() as tx:
            yield tx

    @property
    def writer(self) -> AsyncEngine:
        """Refuse: there is no engine behind, and the schema came with the store."""
        raise NotImplementedError

    def pool_state(self) -> dict[str, int]:
        """Return how many connections may be open, are in use, and lie ready."""
        in_use = int(self._store.is_working)
        return {"limit": 1, "in_use": in_use, "idle": 1 - in_use}

    async def close(self) -> None:
        """Do nothing: the store is its owner's."""

    def _begin(self) -> Transaction:
        now = self._clock.now()
        return Transaction(self._statements, now=now, random=self._random, dialect=self.dialect, watch=_UNWATCHED)


class _Statements:
    """A connection that answers before it returns."""

    def __init__(self, store: MemoryStore) -> None:
        self._raw = store.raw
        self._slow = store.connection
        self._prepared = store.prepared

    async def execute(self, statement: sa.Executable, parameters: Parameters = None, /) -> Rows:
        """Run one Core statement."""
        prepared = self._prepared.find(statement, parameters)
        if prepared is None:
            return Rows.of(self._slow.execute(statement, parameters))
        sql, values = prepared.bind(statement, parameters)
        try:
            cursor = (self._raw.executemany if prepared.is_for_many else self._raw.execute)(sql, values)
            rows = cursor.fetchall()
        except sqlite3.Error as error:
            raise sa.exc.DBAPIError.instance(sql, values, error, sqlite3.Error) from error
        if cursor.description is None:
            return Rows((), rowcount=cursor.rowcount, sql=sql)
        return Rows(prepared.read(rows, cursor.description), rowcount=len(rows), sql=sql)

    async def copy_unless_there(
        self, table: sa.Table, columns: Sequence[str], records: Sequence[tuple[Any, ...]]
    ) -> bool:
        """Refuse: this is not PostgreSQL."""
        raise NotImplementedError


@cache
def _template() -> sqlite3.Connection:
    """Return a database with the newest schema, made by the migrations once per process."""
    raw = sqlite3.connect(":memory:", isolation_level=None)
    engine = _engine(raw)
    with engine.connect() as connection:
        raw.execute("BEGIN")
        build_schema(connection)
        raw.execute("COMMIT")
    return raw


def _engine(raw: sqlite3.Connection) -> sa.Engine:
    return sa.create_engine(
        _URL,
        creator=lambda: raw,
        poolclass=StaticPool,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",  # We say BEGIN ourselves, past the engine: it costs a third as much.
        json_serializer=to_json,
        json_deserializer=msgspec.json.decode,
    )
