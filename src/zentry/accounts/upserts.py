"""INSERT … ON CONFLICT: both databases speak it alike, and each has its own construct for it."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from zentry.platform.db import Transaction


def insert_into(table: sa.Table, tx: Transaction) -> postgresql.Insert | sqlite.Insert:
    """Return an insert that can say what happens on a conflict."""
    return postgresql.insert(table) if tx.dialect == "postgresql" else sqlite.insert(table)
