"""Moves sealed texts to the newest key, so that an old one can be retired.

Which columns are sealed, and for whom, the tables say themselves (`schema.metadata.sealed_for`). The
work is done in small transactions in the order of primary keys. A row is changed only if it still
holds what was read, so whatever the platform writes meanwhile wins, and a run that dies has done a
part of the work and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.platform.db import Database, Transaction
from zentry.platform.db.transaction import values
from zentry.platform.sealing import HEAD_BYTES, Sealer, Unreadable, key_id_of
from zentry.schema.metadata import SEALED_FOR, metadata

_BATCH: Final = 200
# Part of the text of the statement: PostgreSQL does not see that two parameters group alike.
_HEAD: Final[sa.ColumnElement[int]] = sa.literal_column(str(HEAD_BYTES), sa.Integer)


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column that holds sealed texts, and where its row says whose they are."""

    column: sa.Column[Any]
    owner: sa.Column[Any]

    @property
    def table(self) -> sa.Table:
        """Its table."""
        return self.column.table

    @property
    def key(self) -> sa.Column[Any]:
        """The primary key by which its rows are walked through."""
        return next(iter(self.table.primary_key.columns))

    @property
    def head(self) -> sa.ColumnElement[bytes]:
        """What says under which key a text is sealed."""
        return sa.func.substr(self.column, sa.literal_column("1"), _HEAD, type_=sa.LargeBinary)

    @property
    def joined(self) -> sa.FromClause:
        """Its table, with the one that knows the owner."""
        return self.table if self.owner.table is self.table else self.table.join(self.owner.table)


@dataclass(slots=True)
class Resealing:
    """What a run has done."""

    sealed: int = 0
    unreadable: list[str] = field(default_factory=list)


def sealed_columns() -> Iterator[SealedColumn]:
    """Return every sealed column that the tables declare."""
    for table in metadata.sorted_tables:
        for column in table.columns:
            if SEALED_FOR in column.info:
                other, _, name = column.info[SEALED_FOR].rpartition(".")
                yield SealedColumn(column, (metadata.tables[other] if other else table).c[name])


async def count_by_key(database: Database) -> Counter[str]:
    """Return how many texts are sealed under the key of each id."""
    found: Counter[str] = Counter()
    async with database.read() as tx:
        for sealed in sealed_columns():
            query = sa.select(sealed.head, sa.func.count()).where(sealed.column.is_not(None)).group_by(sealed.head)
            for head, count in map(values, await tx.execute(query)):
                found[key_id_of(head)] += count
    return found


async def reseal(database: Database, sealer: Sealer, *, batch: int = _BATCH) -> Resealing:
    """Seal anew what is not under the newest key, and say which texts could not be opened."""
    done = Resealing()
    for sealed in sealed_columns():
        after: Any = None
        while True:
            async with database.work() as tx:
                rows = await _outdated(tx, sealed, sealer.head, after=after, limit=batch)
                for row_key, owner, text in rows:
                    await _reseal(tx, sealed, sealer, done, row_key=row_key, owner=owner, text=text)
            if len(rows) < batch:
                break
            after = rows[-1][0]
    return done


async def _outdated(
    tx: Transaction, sealed: SealedColumn, head: bytes, *, after: Any, limit: int
) -> Sequence[tuple[Any, ...]]:
    query = (
        sa.select(sealed.key, sealed.owner, sealed.column)
        .select_from(sealed.joined)
        .where(sealed.column.is_not(None), sealed.head != head)
        .order_by(sealed.key)
        .limit(limit)
    )
    if after is not None:
        query = query.where(sealed.key > after)
    return [values(row) for row in await tx.execute(query)]


async def _reseal(
    tx: Transaction, sealed: SealedColumn, sealer: Sealer, done: Resealing, *, row_key: Any, owner: UUID, text: bytes
) -> None:
    try:
        anew = sealer.seal(sealer.unseal(text, owner=owner), owner=owner)
    except Unreadable as error:
        done.unreadable.append(f"{sealed.table.name} {row_key}: {error}")
        return
    change = sa.update(sealed.table).where(sealed.key == row_key, sealed.column == text).values({sealed.column: anew})
    done.sealed += (await tx.execute(change)).rowcount
