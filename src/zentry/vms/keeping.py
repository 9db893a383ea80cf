"""What stands still and has a price: metered from when it got one, removed when it was not paid for too long.

A price for what was free is announced days ahead; until it takes effect everything that stands still
is found here and metered, at no charge yet. What is found is true or void in the transaction in which
it is acted upon.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog

from zentry.billing.prices import PriceLists
from zentry.billing.service import BillingService
from zentry.billing.types import AT_REST, SNAPSHOT
from zentry.compute.types import Capabilities
from zentry.platform.clock import Clock
from zentry.platform.db import Database, Transaction
from zentry.platform.errors import Conflict
from zentry.platform.settings import Settings
from zentry.platform.tasks import Stop
from zentry.schema.billing import is_kept_open, segments
from zentry.schema.vms import is_available, is_stopped, snapshots, vms
from zentry.vms.repository import VMRepository
from zentry.vms.service import VMService
from zentry.vms.snapshots import SnapshotService
from zentry.vms.snapshots_repository import SnapshotRepository

_log = structlog.get_logger(__name__)
_MOST: Final = 500
"""Things looked at in one tick."""


def _unmetered(table: sa.Table, condition: sa.ColumnElement[bool], meter: str) -> sa.Select[Any]:
    metered = sa.exists().where(segments.c.resource_id == table.c.id, segments.c.meter == meter, is_kept_open)
    first = table.c.id > sa.literal(UUID(int=0), sa.Uuid)  # So that an index of few rows is searched.
    return sa.select(table.c.id, table.c.user_id).where(condition, first, ~metered).order_by(table.c.id).limit(_MOST)


_STOPPED: Final = {meter: _unmetered(vms, is_stopped, meter) for meter in AT_REST}
_SNAPSHOTS: Final = _unmetered(snapshots, is_available, SNAPSHOT)
_unpaid = (
    sa.select(segments.c.resource_id)
    .where(is_kept_open, segments.c.paid_until < sa.bindparam("before"), vms.c.delete_protection.is_(sa.false()))
    .order_by(segments.c.paid_until)
    .limit(_MOST)
)
_UNPAID_VMS: Final = _unpaid.join(vms, vms.c.id == segments.c.resource_id).where(segments.c.meter.in_(AT_REST))
_UNPAID_SNAPSHOTS: Final = _unpaid.join(vms, vms.c.id == segments.c.vm_id).where(segments.c.meter == SNAPSHOT)


class Keeping:
    """Looks after what stands still."""

    def __init__(self, *, database: Database, settings: Settings, clock: Clock, capabilities: Capabilities) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._capabilities = capabilities

    async def run(self, stop: Stop) -> None:
        """Tick until told to stop."""
        while not stop.is_set():
            try:
                await self.tick()
            except Exception:  # noqa: BLE001 - a process edge: the next tick is the retry
                _log.exception("keeping.tick_failed")
            await stop.pause(self._clock.sleep(self._settings.billing.resume_seconds))

    async def tick(self) -> int:
        """Meter what has got a price, and remove what was kept unpaid long enough; return how many things."""
        async with self._database.read() as tx:
            prices = await PriceLists(tx, self._settings.billing).get_in_force()
            lists = (prices, *prices.following)
            priced = [meter for meter in AT_REST if any(one.price(meter) for one in lists)]
            stopped = {row.id: row.user_id for meter in priced for row in await _rows(tx, _STOPPED[meter])}
            kept = await _rows(tx, _SNAPSHOTS) if any(one.price(SNAPSHOT) for one in lists) else ()
        for vm_id, user_id in stopped.items():
            await self._meter_vm(vm_id, user_id)
        for row in kept:
            await self._meter_snapshot(row.id, row.user_id)
        return len(stopped) + len(kept) + (await self._expire() if self._settings.billing.grace_days else 0)

    async def _meter_vm(self, vm_id: UUID, user_id: UUID) -> None:
        async with self._database.work() as tx:
            billing = BillingService(tx, self._settings.billing)
            await billing.lock_account(user_id)  # Whoever starts or removes it holds this lock as well.
            vm = await VMRepository(tx).find(vm_id)
            if vm is not None and vm.status == "stopped" and vm.wanted != "terminated":
                await billing.start_keeping(vm.resource)

    async def _meter_snapshot(self, snapshot_id: UUID, user_id: UUID) -> None:
        async with self._database.work() as tx:
            billing = BillingService(tx, self._settings.billing)
            await billing.lock_account(user_id)
            snapshot = await SnapshotRepository(tx).find_of_account(snapshot_id, user_id=user_id)
            if snapshot is not None and snapshot.status == "available":
                await billing.start_keeping(snapshot.resource)

    async def _expire(self) -> int:
        """Remove what was kept unpaid longer than the grace; what is protected, or a part of it, stays."""
        grace = timedelta(days=self._settings.billing.grace_days)
        async with self._database.read() as tx:
            before = tx.now - grace
            unpaid_vms = [row.resource_id for row in await _rows(tx, _UNPAID_VMS, before=before)]
            unpaid_snapshots = [row.resource_id for row in await _rows(tx, _UNPAID_SNAPSHOTS, before=before)]
        expired = 0
        for vm_id in dict.fromkeys(unpaid_vms):
            with contextlib.suppress(Conflict):
                async with self._database.work() as tx:
                    await VMService(tx, self._settings).expire_unpaid_vm(vm_id, before=before)
                expired += 1
        for snapshot_id in unpaid_snapshots:
            with contextlib.suppress(Conflict):  # Its machine is busy, or one is being made from it: next time.
                async with self._database.work() as tx:
                    await SnapshotService(tx, self._settings, self._capabilities).expire_unpaid_snapshot(
                        snapshot_id, before=before
                    )
                expired += 1
        return expired


async def _rows(tx: Transaction, query: sa.Select[Any], **parameters: object) -> Sequence[sa.Row[Any]]:
    return (await tx.execute(query, parameters)).all()
