"""The ids of machines, cut into regions that workers lease one at a time.

A region reaches from its first id, which is outside, to the next region's. Cutting one in two is
inserting a row, so regions follow the fleet as it grows; the first, with every id, came with the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.platform.db import Transaction
from zentry.schema.vms import reconciler_regions

RECONCILER_DUE: Final = "vms.reconciler_due"

# Built once: to build them costs more than to run them.
_DUE: Final = (
    sa.select(reconciler_regions.c.starts_after)
    .where(
        reconciler_regions.c.due_at <= sa.bindparam("now"),
        sa.or_(reconciler_regions.c.lease_until.is_(None), reconciler_regions.c.lease_until < sa.bindparam("now")),
    )
    .order_by(reconciler_regions.c.due_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_CLAIM: Final = (
    sa.update(reconciler_regions)
    .where(reconciler_regions.c.starts_after == sa.bindparam("region"))
    .values(owner=sa.bindparam("owner_"), lease_until=sa.bindparam("until"), fence=reconciler_regions.c.fence + 1)
    .returning(reconciler_regions.c.fence)
)
_FOLLOWING: Final = (
    sa.select(reconciler_regions.c.starts_after)
    .where(reconciler_regions.c.starts_after > sa.bindparam("region"))
    .order_by(reconciler_regions.c.starts_after)
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Region:
    """The right to look after a range of ids until the lease ends."""

    starts_after: UUID
    ends_at: UUID | None
    """None for the last region, which has no end."""
    fence: int


class Regions:
    """Leases regions inside a transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def claim(self, *, owner: str, lease: timedelta) -> Region | None:
        """Take a region that is due and that nobody holds, the most overdue first."""
        starts_after = (await self._tx.execute(_DUE, {"now": self._tx.now})).scalar_one_or_none()
        if starts_after is None:
            return None
        fence = await self._tx.execute(_CLAIM, {"region": starts_after, "owner_": owner, "until": self._tx.now + lease})
        ends_at = (await self._tx.execute(_FOLLOWING, {"region": starts_after})).scalar_one_or_none()
        return Region(starts_after, ends_at, fence.scalar_one())

    async def renew(self, region: Region, *, lease: timedelta) -> bool:
        """Prolong the lease; False when the region is somebody else's by now."""
        return await self._change(region, lease_until=self._tx.now + lease)

    async def release(self, region: Region, *, due_in: timedelta, cut_at: UUID | None = None) -> bool:
        """Give the region back, cut in two behind an id where that is given."""
        if not await self._change(region, owner=None, lease_until=None, due_at=self._tx.now + due_in):
            return False
        if cut_at is not None:
            await self._tx.insert_unless_there(
                reconciler_regions, {"starts_after": cut_at, "due_at": self._tx.now, "fence": 0}
            )
        return True

    async def request(self, vm_id: UUID) -> None:
        """Let the region of a machine be looked after soon."""
        holder = (
            sa.select(reconciler_regions.c.starts_after)
            .where(reconciler_regions.c.starts_after < vm_id)
            .order_by(reconciler_regions.c.starts_after.desc())
            .limit(1)
        )
        await self._tx.execute(
            sa.update(reconciler_regions)
            .where(reconciler_regions.c.starts_after == holder.scalar_subquery())
            .values(due_at=self._tx.now)
        )
        self._tx.after_commit(RECONCILER_DUE)

    async def request_all(self) -> None:
        """Let every region be looked after soon."""
        await self._tx.execute(sa.update(reconciler_regions).values(due_at=self._tx.now))
        self._tx.after_commit(RECONCILER_DUE)

    async def _change(self, region: Region, **changes: Any) -> bool:
        claimed = {"claimed": region.starts_after, "claimed_fence": region.fence}
        changed = await self._tx.execute(
            _changing(tuple(changes)), claimed | {f"new_{name}": value for name, value in changes.items()}
        )
        return changed.rowcount == 1


@cache
def _changing(names: tuple[str, ...]) -> sa.Update:
    return (
        sa.update(reconciler_regions)
        .where(
            reconciler_regions.c.starts_after == sa.bindparam("claimed"),
            reconciler_regions.c.fence == sa.bindparam("claimed_fence"),
        )
        .values({name: sa.bindparam(f"new_{name}") for name in names})
    )
