"""Everything that lies in a database, to tell whether anything has changed."""

from __future__ import annotations

import sqlalchemy as sa

from zentry.platform.db import Database
from zentry.schema.metadata import metadata


async def contents(database: Database) -> dict[str, list[str]]:
    """Return the rows of every table."""
    async with database.snapshot() as tx:
        return {
            table.name: sorted(repr(row) for row in (await tx.execute(sa.select(table))).all())
            for table in metadata.sorted_tables
        }
