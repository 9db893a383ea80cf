"""One unit of work as the services see it: statements, one time, new ids, signals after commit."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from random import Random
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from zentry.platform import ids
from zentry.platform.db.connections import Connection
from zentry.platform.db.observe import QUERY_SECONDS, QueryWatch
from zentry.platform.db.prepared import Parameters
from zentry.platform.db.rows import Rows

Dialect = Literal["sqlite", "postgresql"]


def values(row: sa.Row[*tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return a row as a plain tuple; what its columns hold is known where it was selected."""
    return tuple(row)


class Transaction:
    """An open transaction and the single instant that everything inside it uses.

    Services and repositories get one; the edge that opened it commits or rolls back.
    """

    def __init__(
        self, connection: Connection, *, now: datetime, random: Random, dialect: Dialect, watch: QueryWatch
    ) -> None:
        self._connection = connection
        self._random = random
        self._watch = watch
        self.now = now
        self.dialect = dialect
        self.signals: list[str] = []

    async def execute(self, statement: sa.Executable, parameters: Parameters = None) -> Rows:
        """Run one Core statement."""
        started = time.perf_counter()
        rows = await self._connection.execute(statement, parameters)
        self._watch.note(rows.sql, time.perf_counter() - started)
        return rows

    async def copy_unless_there(
        self, table: sa.Table, columns: Sequence[str], records: Sequence[tuple[Any, ...]]
    ) -> bool:
        """Write many rows by COPY, on PostgreSQL alone; False, and nothing written, when one of them is there already.

        The values go to the server as they are, past the types of the columns.
        """
        started = time.perf_counter()
        is_new = await self._connection.copy_unless_there(table, columns, records)
        QUERY_SECONDS.observe(time.perf_counter() - started)
        return is_new

    async def insert_unless_there(self, table: sa.Table, values: Mapping[str, Any]) -> bool:
        """Insert a row; False when a uniqueness rule of the table stands against it.

        The database decides and the transaction stays usable, which a caught violation
        would not leave it on PostgreSQL.
        """
        result = await self.execute(_unless_there(self.dialect, table), values)
        return result.rowcount == 1

    async def insert_or_add(self, table: sa.Table, values: Mapping[str, Any], *, add: Sequence[str]) -> None:
        """Insert a row, or add the named columns to the row that has this primary key."""
        await self.execute(_or_add(self.dialect, table, tuple(add)), values)

    def new_id(self) -> UUID:
        """Return a fresh row id of this instant."""
        return ids.new_id(self.now, self._random)

    def random_below(self, bound: int) -> int:
        """Return a random integer in [0, bound)."""
        return self._random.randrange(bound)

    def after_commit(self, topic: str) -> None:
        """Poke a topic once the work is committed; nothing is poked if it is not."""
        if topic not in self.signals:
            self.signals.append(topic)


# Statements are made once and given their values when they run: to make one takes longer than to send it.
@cache
def _unless_there(dialect: Dialect, table: sa.Table) -> sa.Insert:
    return _insert(dialect, table).on_conflict_do_nothing()


@cache
def _or_add(dialect: Dialect, table: sa.Table, columns: tuple[str, ...]) -> sa.Insert:
    insert = _insert(dialect, table)
    sums = {name: table.c[name] + insert.excluded[name] for name in columns}
    return insert.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=sums)


def _insert(dialect: Dialect, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
