"""Rounds of sampling: which machines a worker measures next.

A round hands out the running machines page by page, in the order of their ids, to whichever worker
asks; so several workers share a fleet, and none measures what another does. A worker that dies with
a page leaves a gap of one sample. A round that takes longer than its time skips those that it overlaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from zentry.platform.db import Transaction
from zentry.schema.monitoring import sampling_rounds
from zentry.schema.vms import is_running, vms

_LONG_AGO: Final = timedelta(days=1)
_LOCK_ROUND: Final = (
    sa.select(sampling_rounds.c.due_at, sampling_rounds.c.after)
    .where(sampling_rounds.c.driver == sa.bindparam("driver_"))
    .with_for_update(skip_locked=True)
)


_FIRST_PAGE: Final = sa.select(vms.c.id).where(is_running).order_by(vms.c.id).limit(sa.bindparam("most"))
_PAGE: Final = _FIRST_PAGE.where(vms.c.id > sa.bindparam("beyond"))
_GO_ON: Final = (
    sa.update(sampling_rounds)
    .where(sampling_rounds.c.driver == sa.bindparam("driver_"))
    .values(due_at=sa.bindparam("due"), after=sa.bindparam("last"))
)


class SamplingRounds:
    """Hands out pages of machines of one driver."""

    def __init__(self, tx: Transaction, driver: str) -> None:
        self._tx = tx
        self._driver = driver

    async def next_page(self, *, period: timedelta, limit: int) -> Sequence[UUID]:
        """Return the machines of the next page; none while no round is due, or at the end of one."""
        begun = await self._claim()
        if begun is None:
            return []
        due_at, after = begun
        now = self._tx.now
        if after is None:
            if due_at > now:
                return []
            # At a steady pace, unless it has fallen behind: then what was missed is not made up for.
            due_at = due_at + period if due_at + period > now else now + period
        bounds = {"most": limit} if after is None else {"most": limit, "beyond": after}
        page = (await self._tx.execute(_FIRST_PAGE if after is None else _PAGE, bounds)).scalars().all()
        last = page[-1] if len(page) == limit else None
        await self._tx.execute(_GO_ON, {"driver_": self._driver, "due": due_at, "last": last})
        return page

    async def _claim(self) -> tuple[datetime, UUID | None] | None:
        """Hold on to the round; None while another worker takes a page."""
        row = (await self._tx.execute(_LOCK_ROUND, {"driver_": self._driver})).one_or_none()
        if row is not None:
            return row.due_at, row.after
        long_ago = self._tx.now - _LONG_AGO
        first = {"driver": self._driver, "due_at": long_ago, "after": None}
        return (long_ago, None) if await self._tx.insert_unless_there(sampling_rounds, first) else None
