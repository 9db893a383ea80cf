"""Engines and units of work for both databases.

SQLite has one writer, so there is a write pool of one whose transactions all start with
BEGIN IMMEDIATE: a deferred transaction that reads and then writes fails with "database is
locked" at once, whatever the timeout. Reads have a pool beside it, which WAL lets run on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache
from random import Random
from typing import Any, Final, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from zentry.platform.clock import Clock
from zentry.platform.db.connections import PooledConnection, PostgreSQLConnection
from zentry.platform.db.dialects import DRIVERS, SHARED, PostgreSQL
from zentry.platform.db.observe import QueryWatch
from zentry.platform.db.prepared import PreparedStatements
from zentry.platform.db.tls import split_tls
from zentry.platform.db.transaction import Dialect, Transaction
from zentry.platform.settings import DatabaseSettings
from zentry.platform.signals import Signals

_NO_OFFSET: Final = timedelta(0)


def dialect_of(url: str) -> Dialect:
    """Return which of the two databases a URL names, or raise ValueError."""
    name = sa.make_url(url).get_backend_name()
    if name not in DRIVERS:
        raise ValueError(f"{name!r} is not a supported database; use sqlite:/// or postgresql://")
    return cast("Dialect", name)


class Database:
    """Opens units of work: `work()` to write, `read()` to look."""

    def __init__(self, settings: DatabaseSettings, *, clock: Clock, random: Random, signals: Signals) -> None:
        self.dialect = dialect_of(settings.url)
        self.url, self._tls = _driver_url(settings.url, self.dialect)
        self._settings = settings
        self._clock = clock
        self._random = random
        self._signals = signals
        # How far the database's clock is ahead of this process's: PostgreSQL's is the one time.
        self._offset = _NO_OFFSET
        self._watch = QueryWatch(slow_seconds=settings.slow_query_seconds)
        if self.dialect == "sqlite":
            self._writer = self._sqlite_engine(settings, begin="BEGIN IMMEDIATE", size=1)
            self._reader = self._sqlite_engine(settings, begin="BEGIN", size=settings.pool_size)
        else:
            self._writer = self._reader = self._postgresql_engine(settings)

    @asynccontextmanager
    async def work(self) -> AsyncIterator[Transaction]:
        """Open a transaction that commits when the block ends well and rolls back when it does not."""
        async with self._writer.begin() as connection:
            tx = await self._transaction(connection)
            yield tx
        self._signals.announce(tx.signals)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """Open a connection for looking only; each statement sees what is committed by then."""
        async with self._reader.connect() as connection:
            if self.dialect == "postgresql":
                # A look needs no BEGIN and no ROLLBACK: two round trips less per request.
                _set_isolation(connection, "AUTOCOMMIT")
            yield self._open(connection, self._clock.now() + self._offset)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Transaction]:
        """Open a read in which all statements see one and the same state."""
        async with self._reader.connect() as connection:
            if self.dialect == "postgresql":
                _set_isolation(connection, "REPEATABLE READ")
            yield self._open(connection, self._clock.now() + self._offset)

    @property
    def writer(self) -> AsyncEngine:
        """The engine behind `work()`, for migrations and health."""
        return self._writer

    def connection_arguments(self, url: str = "") -> dict[str, Any]:
        """Return with what asyncpg reaches the server of `url`, or this one, apart from the pool."""
        chosen, tls = _driver_url(url, "postgresql") if url else (self.url, self._tls)
        _, arguments = self._writer.dialect.create_connect_args(chosen)
        for pooled in ("prepared_statement_cache_size", "prepared_statement_name_func", "async_creator_fn"):
            arguments.pop(pooled, None)
        return {
            **arguments,
            **tls,
            "timeout": self._settings.connect_timeout_seconds,
            "server_settings": {"application_name": "zentry-notifications"},
        }

    def pool_state(self) -> dict[str, int]:
        """Return how many connections may be open, are in use, and lie ready."""
        engines = (self._writer, self._reader) if self.dialect == "sqlite" else (self._writer,)
        pools = [cast("sa.QueuePool", engine.pool) for engine in engines]
        limit = sum(pool.size() + max(pool._max_overflow, 0) for pool in pools)  # noqa: SLF001 - it has no public name
        return {
            "limit": limit,
            "in_use": sum(pool.checkedout() for pool in pools),
            "idle": sum(pool.checkedin() for pool in pools),
        }

    async def close(self) -> None:
        """Close every connection."""
        await self._writer.dispose()
        if self.dialect == "sqlite":
            await self._reader.dispose()

    async def _transaction(self, connection: AsyncConnection) -> Transaction:
        now = self._clock.now()
        if self.dialect == "postgresql" and self._clock.follows_database:
            tx = self._open(connection, now)
            tx.now = (await tx.execute(_NOW)).scalar_one()
            self._offset = tx.now - now
            return tx
        return self._open(connection, now)

    def _open(self, connection: AsyncConnection, now: datetime) -> Transaction:
        # Who listens to an engine hears of all statements: SQLAlchemy runs them then.
        if self.dialect == "postgresql" and not connection.sync_engine.dispatch.before_cursor_execute:
            opened: PooledConnection = PostgreSQLConnection(connection, _prepared())
        else:
            opened = PooledConnection(connection)
        return Transaction(opened, now=now, random=self._random, dialect=self.dialect, watch=self._watch)

    def _postgresql_engine(self, settings: DatabaseSettings) -> AsyncEngine:
        return create_async_engine(
            self.url,
            pool_size=settings.pool_size,
            max_overflow=settings.pool_overflow,
            pool_timeout=settings.pool_timeout_seconds,
            pool_recycle=settings.pool_recycle_seconds,
            pool_pre_ping=False,
            json_serializer=to_json,
            json_deserializer=msgspec.json.decode,
            execution_options=SHARED,
            connect_args={
                **self._tls,
                "timeout": settings.connect_timeout_seconds,
                "server_settings": {
                    "application_name": "zentry",
                    "statement_timeout": str(int(settings.statement_timeout_seconds * 1000)),
                    "idle_in_transaction_session_timeout": "60000",
                },
            },
        )

    def _sqlite_engine(self, settings: DatabaseSettings, *, begin: str, size: int) -> AsyncEngine:
        engine = create_async_engine(
            self.url,
            pool_size=size,
            max_overflow=0,
            pool_timeout=settings.pool_timeout_seconds,
            json_serializer=to_json,
            json_deserializer=msgspec.json.decode,
            execution_options=SHARED,
        )

        def configure(connection: DBAPIConnection, _: object) -> None:
            cast("Any", connection).isolation_level = None  # We say BEGIN ourselves.
            cursor = connection.cursor()
            for pragma in (
                "busy_timeout=10000",
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                "temp_store=MEMORY",
                f"cache_size=-{settings.sqlite_cache_kib}",
            ):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        def start(connection: sa.Connection) -> None:
            connection.exec_driver_sql(begin)

        sa.event.listen(engine.sync_engine, "connect", configure)
        sa.event.listen(engine.sync_engine, "begin", start)
        return engine


def _driver_url(text: str, dialect: Dialect) -> tuple[sa.URL, dict[str, Any]]:
    """Return the URL for our driver, and what it is told beside it."""
    url = sa.make_url(text).set(drivername=DRIVERS[dialect])
    return split_tls(url) if dialect == "postgresql" else (url, {})


_NOW: Final = sa.select(sa.func.clock_timestamp())


@cache
def _prepared() -> PreparedStatements:
    """Return what this process has prepared for PostgreSQL, whatever server it speaks to."""
    return PreparedStatements(PostgreSQL(json_serializer=to_json))  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it out


def _set_isolation(connection: AsyncConnection, level: str) -> None:
    """Say how the connection is to be used until it goes back; the driver notes it and speaks to nobody."""
    assert connection.sync_connection is not None, "the connection is open"
    connection.sync_connection.execution_options(isolation_level=level)


def to_json(value: object) -> str:
    """Return the text that a document is kept as."""
    return msgspec.json.encode(value).decode()
