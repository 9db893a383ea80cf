"""What a transaction runs its statements on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from asyncpg.exceptions import UniqueViolationError
from sqlalchemy.ext.asyncio import AsyncConnection

from zentry.platform.db.rows import Rows

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


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
    """A connection of an engine's pool."""

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
