"""What a transaction runs its statements on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from asyncpg.exceptions import UniqueViolationError
from sqlalchemy.ext.asyncio import AsyncConnection

from zentry.platform.db.prepared import Parameters, PreparedStatements
from zentry.platform.db.rows import Rows


class Connection(Protocol):
    """An open connection to one of the two databases."""

    async def execute(self, statement: sa.Executable, parameters: Parameters = None, /) -> Rows:
        """Run one Core statement."""
        ...

    async def copy_unless_there(
        self, table: sa.Table, columns: Sequence[str], records: Sequence[tuple[Any, ...]]
    ) -> bool:
        """Write many rows by COPY; False, and nothing written, when one of them is there already."""
        ...


class PooledConnection:
    """A connection of an engine's pool, on which SQLAlchemy runs every statement."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(self, statement: sa.Executable, parameters: Parameters = None, /) -> Rows:
        """Run one Core statement."""
        return Rows.of(await self._connection.execute(statement, parameters))

    async def copy_unless_there(
        self, table: sa.Table, columns: Sequence[str], records: Sequence[tuple[Any, ...]]
    ) -> bool:
        """Write many rows by COPY, on PostgreSQL alone."""
        connection = self._connection
        # The savepoint also begins the transaction, should nothing have been asked in it yet.
        await connection.exec_driver_sql("SAVEPOINT copying")
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None, "the connection is open"
        try:
            await raw.copy_records_to_table(table.name, columns=columns, records=records)
        except UniqueViolationError:
            await connection.exec_driver_sql("ROLLBACK TO SAVEPOINT copying")
            return False
        await connection.exec_driver_sql("RELEASE SAVEPOINT copying")
        return True


class PostgreSQLConnection(PooledConnection):
    """A connection to PostgreSQL, on which what is prepared goes to the driver past SQLAlchemy.

    SQLAlchemy's cursor over asyncpg stays in between: it begins the transaction, keeps the server's prepared
    statements, and tells errors in the words of SQLAlchemy.
    """

    def __init__(self, connection: AsyncConnection, prepared: PreparedStatements) -> None:
        super().__init__(connection)
        self._prepared = prepared
        self._driver: Any = None
        self._errors: type[Exception] = connection.dialect.loaded_dbapi.Error

    async def execute(self, statement: sa.Executable, parameters: Parameters = None, /) -> Rows:
        """Run one Core statement."""
        prepared = self._prepared.find(statement, parameters)
        if prepared is None:
            return await super().execute(statement, parameters)
        sql, values = prepared.bind(statement, parameters)
        if self._driver is None:
            self._driver = (await self._connection.get_raw_connection()).dbapi_connection
        cursor = self._driver.cursor()
        try:
            # Their public names want a greenlet.
            run = cursor._executemany if prepared.is_for_many else cursor._prepare_and_execute  # noqa: SLF001
            await run(sql, values)
        except self._errors as error:
            raise await self._failure(sql, values, error) from error
        except asyncio.CancelledError:
            await self._connection.invalidate()  # An answer may still come, which nobody should read.
            raise
        if cursor.description is None:
            return Rows((), rowcount=cursor.rowcount, sql=sql)
        rows = cursor.fetchall()
        return Rows(prepared.read(rows, cursor.description), rowcount=len(rows), sql=sql)

    async def _failure(self, sql: str, values: list[Any], error: Any) -> BaseException:
        dialect = self._connection.dialect
        module: Any = dialect.loaded_dbapi
        driver, self._driver = self._driver, None
        if dialect.is_disconnect(error, driver, None):
            await self._connection.exec_driver_sql("SELECT 1")  # SQLAlchemy sees it, raises, and clears its pool.
        is_outdated = isinstance(error, module.InvalidCachedStatementError)
        if is_outdated:
            await self._connection.invalidate(error)  # What the server has prepared on it is for another schema.
        told: BaseException = sa.exc.DBAPIError.instance(
            sql, tuple(values), error, module.Error, connection_invalidated=is_outdated, dialect=dialect
        )
        return told
