"""Forgets counters that protect nothing any more and sessions that are over, a bounded number at a time."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from zentry.platform.db import Transaction
from zentry.schema.accounts import account_links, login_failures, rate_limits, sessions

BATCH: Final = 1000


async def sweep_counters(tx: Transaction) -> int:
    """Delete counters and sessions whose time is over and return how many; a full batch says that there may be more."""
    swept = 0
    for key, ends_at in (
        (login_failures.c.key, login_failures.c.expires_at),
        (rate_limits.c.key, rate_limits.c.expires_at),
        (account_links.c.hash, account_links.c.expires_at),
        (sessions.c.id, sessions.c.expires_at),  # Their refresh tokens go with them.
    ):
        over = sa.select(key).where(ends_at <= tx.now).order_by(ends_at).limit(BATCH)
        # The time is asked once more: a counter that was used since it was chosen stays.
        done = await tx.execute(sa.delete(key.table).where(key.in_(over), ends_at <= tx.now))
        swept += done.rowcount
    return swept
