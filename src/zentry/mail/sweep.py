"""Forgets mails that ended a while ago, a bounded number at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from zentry.platform.db import Transaction
from zentry.schema.mail import mails

BATCH: Final = 1000
_REMEMBERED: Final = timedelta(days=7)
"""For as long a repeat of the same cause sends no second mail."""


async def sweep_mails(tx: Transaction) -> int:
    """Delete mails that ended long ago and return how many."""
    over = sa.select(mails.c.id).where(mails.c.ended_at < tx.now - _REMEMBERED).order_by(mails.c.ended_at).limit(BATCH)
    done = await tx.execute(sa.delete(mails).where(mails.c.id.in_(over)))
    return done.rowcount
