"""One partition for each day on PostgreSQL: made days ahead, and dropped as a whole when it is too old.

A row for whose day there is no partition lies in the default one, so nothing is ever refused at
midnight; it moves when the partition of its day is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.schema import DropTable

from zentry.platform.db import Database, Transaction
from zentry.schema.monitoring import vm_metrics, vm_metrics_5m

_DAYS_AHEAD: Final = 3
_DAY: Final = timedelta(days=1)
_LOCK: Final = 0x7A656E7061727473
"""Key of the advisory lock, "zenparts" in ASCII."""
_COLUMNS: Final = {vm_metrics.name: "recorded_at", vm_metrics_5m.name: "starts_at"}
_UPPER: Final = re.compile(r"TO \('([^']+)'\)")
_PARTITIONS: Final = sa.text(
    "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound FROM pg_inherits i "
    "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = CAST(:table AS regclass)"
)


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of a table, and the instant before which its rows lie."""

    name: str
    until: datetime | None
    """None for the default one."""


class Partitions:
    """Arranges the partitions of the tables that have them; nothing to do on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def arrange(self, *, now: datetime, keep: Mapping[str, datetime]) -> None:
        """Make the partitions of today and the next days, and drop those whose rows are all too old."""
        if self._database.dialect != "postgresql":
            return
        for table, column in _COLUMNS.items():
            for day in _days(now):
                await self._ensure(table, column, day)
            await self._drop(table, before=keep[table])

    async def list(self, table: str) -> Sequence[Partition]:
        """Return the partitions of a table."""
        async with self._database.read() as tx:
            return await _list(tx, table)

    async def _ensure(self, table: str, column: str, day: datetime) -> None:
        name, until = f"{table}_{day:%Y%m%d}", day + _DAY
        async with self._database.work() as tx:
            there = await _list(tx, table)
            bounds = [partition.until for partition in there if partition.until is not None]
            if name in {partition.name for partition in there} or (bounds and until <= _first_bound(there)):
                return
            if not await _alone(tx):
                return
            # Others read and write all the while: only the default partition is held, and it is empty or small.
            within = f"{column} >= '{_spelt(day)}' AND {column} < '{_spelt(until)}'"
            moved = (
                "WITH moved AS (DELETE FROM {rows} WHERE {within} RETURNING *) INSERT INTO {name} SELECT * FROM moved"
            )
            for statement in (
                f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)",
                moved.format(rows=f"{table}_default", within=within, name=name),
                f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{_spelt(day)}') TO ('{_spelt(until)}')",
            ):
                await tx.execute(sa.text(statement))

    async def _drop(self, table: str, *, before: datetime) -> None:
        for partition in await self.list(table):
            if partition.until is None or partition.until > before:
                continue
            async with self._database.work() as tx:
                if await _alone(tx):
                    await tx.execute(DropTable(sa.Table(partition.name, sa.MetaData()), if_exists=True))


async def _alone(tx: Transaction) -> bool:
    """Tell whether this process may change partitions; a lock that does not come soon must not make others queue."""
    await tx.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
    lock = sa.text("SELECT pg_try_advisory_xact_lock(:key)")
    return bool((await tx.execute(lock, {"key": _LOCK})).scalar_one())


async def _list(tx: Transaction, table: str) -> list[Partition]:
    rows = await tx.execute(_PARTITIONS, {"table": table})
    return [Partition(row.relname, _upper(row.bound)) for row in rows]


def _upper(bound: str) -> datetime | None:
    found = _UPPER.search(bound)
    return None if found is None else datetime.fromisoformat(found[1]).astimezone(UTC)


def _first_bound(partitions: Sequence[Partition]) -> datetime:
    """Return until when the table that was there before there were partitions reaches."""
    early = [one.until for one in partitions if one.until is not None and one.name.endswith("_before_partitions")]
    return min(early, default=datetime.min.replace(tzinfo=UTC))


def _days(now: datetime) -> Iterator[datetime]:
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today + number * _DAY for number in range(_DAYS_AHEAD + 1))


def _spelt(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S+00")
