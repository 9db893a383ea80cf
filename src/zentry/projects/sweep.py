"""Forgets invitations that ended unaccepted a while ago, a bounded number at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from zentry.platform.db import Transaction
from zentry.schema.projects import project_invitations

_BATCH: Final = 1000
_REMEMBERED: Final = timedelta(days=30)
"""For as long an invitation that has expired is listed and can be sent again."""


async def sweep_invitations(tx: Transaction) -> int:
    """Delete what expired long ago and return how many."""
    over = (
        sa.select(project_invitations.c.id)
        .where(project_invitations.c.expires_at < tx.now - _REMEMBERED)
        .order_by(project_invitations.c.expires_at)
        .limit(_BATCH)
    )
    done = await tx.execute(sa.delete(project_invitations).where(project_invitations.c.id.in_(over)))
    return done.rowcount
