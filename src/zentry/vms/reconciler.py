"""Compares what the rows say with what the hosts have, both ways, and makes the hosts follow.

It takes no input, does not remember, and may run twice, late, or after a crash: what it finds is
true or void at the moment at which it acts. A pass that fails leaves everything to the next one.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter

from zentry.compute.driver import ComputeDriver, DriverError, StaleFence
from zentry.compute.types import Observation
from zentry.platform.clock import Clock
from zentry.platform.db import Database
from zentry.platform.settings import Settings
from zentry.platform.signals import Signals
from zentry.platform.tasks import Stop
from zentry.vms.regions import RECONCILER_DUE, Region, Regions
from zentry.vms.repairs import Finding, MovedOn, Repairs, Row, compare

_log = structlog.get_logger(__name__)
_FIRST_SECONDS: Final = 1.0
_MAX_REGIONS_PER_TICK: Final = 10_000
_A_DAY: Final = 86_400.0

REGIONS: Final = Counter("zentry_reconciler_regions_total", "Regions of machines that were compared with the hosts.")
FINDINGS: Final = Counter(
    "zentry_reconciler_findings_total", "Machines whose row and whose host disagreed, by how.", ["finding"]
)
REPAIRS: Final = Counter("zentry_reconciler_repairs_total", "What the reconciler did about it.", ["finding"])
FAILURES: Final = Counter("zentry_reconciler_failures_total", "Looks and orders that the driver failed.")


class Reconciler:
    """Looks after every region once per interval, and sooner where something has failed."""

    def __init__(
        self,
        *,
        database: Database,
        driver: ComputeDriver,
        settings: Settings,
        clock: Clock,
        signals: Signals,
        owner: str,
    ) -> None:
        self._database = database
        self._driver = driver
        self._settings = settings
        self._own = settings.reconciler
        self._clock = clock
        self._signals = signals
        self._owner = owner
        self._lease = timedelta(seconds=self._own.lease_seconds)

    async def run(self, stop: Stop) -> None:
        """Tick until told to stop."""
        with self._signals.listen(RECONCILER_DUE) as due:
            await stop.pause(self._clock.sleep(min(_FIRST_SECONDS, self._own.interval_seconds)))
            while not stop.is_set():
                try:
                    await self.tick()
                except Exception:  # noqa: BLE001 - a process edge: the next tick is the retry
                    FAILURES.inc()
                    _log.exception("reconciler.tick_failed")
                await stop.pause(due.wait(_A_DAY), self._clock.sleep(self._own.interval_seconds))

    async def tick(self) -> int:
        """Look after every region that is due; return how many machines were mended."""
        mended = 0
        for _ in range(_MAX_REGIONS_PER_TICK):
            async with self._database.work() as tx:
                region = await Regions(tx).claim(owner=self._owner, lease=self._lease)
            if region is None:
                break
            mended += await self._look_after(region)
        return mended

    async def _look_after(self, region: Region) -> int:
        """Walk through one region; give it back also where the driver could not be asked."""
        walk = _Walk(self._own.repairs_per_region)
        try:
            async with asyncio.timeout(self._own.pass_seconds):
                if not await self._walk(region, walk):
                    return walk.mended
            REGIONS.inc()
        except (DriverError, TimeoutError) as error:
            FAILURES.inc()
            _log.warning("reconciler.driver_failed", driver=self._driver.name, error=str(error) or "timeout")
        if walk.found:
            _log.warning("reconciler.found", mended=walk.mended, **{str(key): n for key, n in walk.found.items()})
        async with self._database.work() as tx:
            await Regions(tx).release(
                region,
                due_in=timedelta(seconds=self._own.interval_seconds),
                cut_at=walk.middle if walk.machines > self._own.region_machines else None,
            )
        return walk.mended

    async def _walk(self, region: Region, walk: _Walk) -> bool:
        """Compare page by page; False when the region was lost to another worker."""
        position = region.starts_after
        while True:
            async with self._database.read() as tx:
                rows = await Repairs(tx, self._settings).list_alive(
                    after=position, until=region.ends_at, limit=self._own.page_machines
                )
            is_last = len(rows) < self._own.page_machines
            until = region.ends_at if is_last else rows[-1].id
            # After the rows: what happens in between raises a fence, and what was found is void.
            observed = await self._list_machines(after=position, until=until)
            await self._compare(rows, observed, walk)
            walk.add_page(rows)
            if is_last:
                return True
            position = rows[-1].id
            async with self._database.work() as tx:
                if not await Regions(tx).renew(region, lease=self._lease):
                    return False

    async def _list_machines(self, *, after: UUID, until: UUID | None) -> dict[UUID, Observation]:
        """Return what the hosts have in a range of ids."""
        found: dict[UUID, Observation] = {}
        limit = self._own.page_machines
        while True:
            page = await self._driver.inventory(after=after, limit=limit)
            found |= {one.vm_id: one for one in page if until is None or one.vm_id <= until}
            if len(page) < limit or (until is not None and page[-1].vm_id >= until):
                return found
            after = page[-1].vm_id

    async def _compare(self, rows: Sequence[Row], observed: dict[UUID, Observation], walk: _Walk) -> None:
        for row in rows:
            await self._handle(row.id, row, observed.pop(row.id, None), walk)
        # What is left has no row that lives: it is terminated, has come since, or is none of ours.
        strangers = list(observed)
        for start in range(0, len(strangers), self._own.page_machines):
            vm_ids = strangers[start : start + self._own.page_machines]
            async with self._database.read() as tx:
                found = await Repairs(tx, self._settings).list_by_id(vm_ids)
            by_id = {row.id: row for row in found}
            for vm_id in vm_ids:
                stranger = by_id.get(vm_id)
                if stranger is None or stranger.terminated_at is not None:
                    await self._handle(vm_id, stranger, observed[vm_id], walk)

    async def _handle(self, vm_id: UUID, row: Row | None, observed: Observation | None, walk: _Walk) -> None:
        finding = compare(row, observed)
        if finding is None:
            return
        FINDINGS.labels(str(finding)).inc()
        walk.found[finding] += 1
        if row is None or finding not in _MENDED or walk.mended >= walk.repairs:
            return
        try:
            is_mended = await self._mend(row, observed, finding)
        except (MovedOn, StaleFence):
            return
        except DriverError as error:
            FAILURES.inc()
            _log.warning("reconciler.order_failed", vm_id=str(vm_id), finding=str(finding), error=error.message)
            return
        if is_mended:
            REPAIRS.labels(str(finding)).inc()
            walk.mended += 1

    async def _mend(self, row: Row, observed: Observation | None, finding: Finding) -> bool:
        async with self._database.work() as tx:
            repairs = Repairs(tx, self._settings)
            if finding is Finding.DOWN:
                await repairs.take_down(row, observed=observed)
                return True
            if finding is Finding.UNDELETED:
                await repairs.delete_again(row)
                return True
            if finding is Finding.ORPHAN:
                assert row.terminated_at is not None, "an orphan is the machine of a terminated row"
                if tx.now - row.terminated_at < timedelta(seconds=self._own.orphan_grace_seconds):
                    return False
            fence = await repairs.raise_fence(row, finding)
        if finding is Finding.ORPHAN:
            await self._driver.ensure_absent(row.id, fence=fence)
        else:
            grace = timedelta(seconds=self._settings.compute.stop_grace_seconds)
            await self._driver.ensure_stopped(row.id, fence=fence, grace=grace)
        return True


_MENDED: Final = frozenset({Finding.DOWN, Finding.STRAY, Finding.ORPHAN, Finding.UNDELETED})
"""What is mended; the rest is counted and left to people."""


@dataclass(slots=True)
class _Walk:
    """What one walk through a region has met."""

    repairs: int
    """Most machines to mend."""
    mended: int = 0
    machines: int = 0
    found: Tally[Finding] = field(default_factory=Tally)
    page_ends: list[UUID] = field(default_factory=list)

    def add_page(self, rows: Sequence[Row]) -> None:
        """Note how far it has come."""
        self.machines += len(rows)
        if rows:
            self.page_ends.append(rows[-1].id)

    @property
    def middle(self) -> UUID | None:
        """The end of the page in the middle, None where there is nothing to cut."""
        return self.page_ends[(len(self.page_ends) - 1) // 2] if len(self.page_ends) > 1 else None
