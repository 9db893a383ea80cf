"""Averages and peaks of five minutes and of an hour, made from samples once their time is over.

A window is rolled up when it has been over for longer than any transaction that might still bring
a sample of it can last. Whoever records a sample of a window that is over notes the window, and it is
made again as a whole. So averages and peaks are those of all samples, whenever they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from zentry.platform.db import Database, Transaction
from zentry.schema.monitoring import (
    METRICS,
    metric_late_windows,
    metric_rollups,
    vm_metrics,
    vm_metrics_1h,
    vm_metrics_5m,
)

FIVE_MINUTES: Final = timedelta(minutes=5)
HOUR: Final = timedelta(hours=1)
TIERS: Final = ((vm_metrics_5m, FIVE_MINUTES), (vm_metrics_1h, HOUR))
GRACE: Final = timedelta(seconds=90)
"""A sample is on time while its window has been over for no longer; a transaction ends within this as well."""

_WINDOWS_AT_ONCE: Final = 24
_ROUNDS: Final = 8
_LATE_AT_ONCE: Final = 100
_NAMES: Final = tuple(name for name, _ in METRICS)


def floor_to(instant: datetime, width: timedelta) -> datetime:
    """Return the beginning of the window that an instant lies in."""
    seconds = int(width.total_seconds())
    return datetime.fromtimestamp(int(instant.timestamp()) // seconds * seconds, UTC)


class Rollups:
    """Fills the tables of averages and peaks; one process does at a time."""

    def __init__(self, database: Database, *, raw_for: timedelta) -> None:
        self._database = database
        self._raw_for = raw_for

    async def roll(self) -> int:
        """Roll up what is due, a bounded number of windows; return how many were made."""
        made = 0
        for _ in range(_ROUNDS):
            async with self._database.work() as tx:
                fresh = await self._advance(tx)
                made += fresh + await self._correct(tx)
            if fresh < _WINDOWS_AT_ONCE:
                break
        return made

    async def _advance(self, tx: Transaction) -> int:
        """Roll up the windows that have come to their end since the last time."""
        limit = floor_to(tx.now - 2 * GRACE, FIVE_MINUTES)
        until = await _claim(tx, vm_metrics_5m.name)
        if until is None or until >= limit:
            return 0
        made, start = 0, until
        while start < limit and made < _WINDOWS_AT_ONCE:
            first = await _first_sample(tx, start)
            if first is None or first >= limit:
                start = limit
                break
            start = floor_to(first, FIVE_MINUTES)
            await tx.execute(_ROLL[tx.dialect, vm_metrics_5m.name], {"start": start, "end": start + FIVE_MINUTES})
            made, start = made + 1, start + FIVE_MINUTES
        await tx.execute(_MOVE, {"name_": vm_metrics_5m.name, "until": start})
        await self._advance_hours(tx, until=floor_to(start, HOUR))
        return made

    async def _advance_hours(self, tx: Transaction, *, until: datetime) -> None:
        done = await _claim(tx, vm_metrics_1h.name)
        if done is None or done >= until:
            return
        hour = await _instant(tx, _FIRST_WINDOW, {"since": done})
        while hour is not None and (hour := floor_to(hour, HOUR)) < until:
            await tx.execute(_ROLL[tx.dialect, vm_metrics_1h.name], {"start": hour, "end": hour + HOUR})
            hour = await _instant(tx, _FIRST_WINDOW, {"since": hour + HOUR})
        await tx.execute(_MOVE, {"name_": vm_metrics_1h.name, "until": until})

    async def _correct(self, tx: Transaction) -> int:
        """Make those windows again that samples came late for."""
        found = (await tx.execute(_LATE)).all()
        if not found:
            return 0
        rolled = {row.name: row.rolled_until for row in await tx.execute(sa.select(metric_rollups))}
        ids: list[UUID] = [row.id for row in found]
        await tx.execute(sa.delete(metric_late_windows).where(metric_late_windows.c.id.in_(ids)))
        windows = {row.starts_at for row in found if row.starts_at < rolled[vm_metrics_5m.name]}
        # Where the samples have begun to go, what is left of a window says less than its average does.
        whole = {window for window in windows if window >= tx.now - self._raw_for}
        await self._again(tx, vm_metrics_5m, whole, FIVE_MINUTES)
        hours = {floor_to(window, HOUR) for window in whole}
        await self._again(tx, vm_metrics_1h, {hour for hour in hours if hour < rolled[vm_metrics_1h.name]}, HOUR)
        return len(whole)

    async def _again(self, tx: Transaction, table: sa.Table, starts: Iterable[datetime], width: timedelta) -> None:
        for start in sorted(starts):
            await tx.execute(_ROLL[tx.dialect, table.name], {"start": start, "end": start + width})


async def _claim(tx: Transaction, name: str) -> datetime | None:
    """Return until when a table is filled and hold on to it; None while another process does."""
    until = await _instant(tx, _LOCK_ROLLED, {"name_": name})
    if until is not None:
        return until
    if await _instant(tx, _ROLLED, {"name_": name}) is not None:
        return None
    width = next(width for table, width in TIERS if table.name == name)
    oldest = await _instant(tx, _OLDEST, {})
    begin = floor_to(oldest or tx.now, width)
    there = await tx.insert_unless_there(metric_rollups, {"name": name, "rolled_until": begin})
    return begin if there else None


async def _first_sample(tx: Transaction, since: datetime) -> datetime | None:
    return await _instant(tx, _FIRST_SAMPLE, {"since": since})


async def _instant(tx: Transaction, query: sa.Select[Any], given: Mapping[str, Any]) -> datetime | None:
    found: datetime | None = (await tx.execute(query, given)).scalar_one_or_none()
    return found


def _five_minutes(insert: postgresql.Insert | sqlite.Insert) -> sa.Insert:
    """Return the statement that makes one window of five minutes from its samples, or makes it again."""
    averages = [sa.func.avg(vm_metrics.c[name]) for name in _NAMES]
    peaks = [sa.func.max(vm_metrics.c[name]) for name in _NAMES]
    rows = (
        sa.select(vm_metrics.c.vm_id, _START, sa.func.count(), *averages, *peaks)
        .where(vm_metrics.c.recorded_at >= _START, vm_metrics.c.recorded_at < _END)
        .group_by(vm_metrics.c.vm_id)
    )
    return _replacing(insert, rows)


def _hour(insert: postgresql.Insert | sqlite.Insert) -> sa.Insert:
    """Return the statement that makes one hour from its windows of five minutes, or makes it again."""
    finer = vm_metrics_5m.c
    samples = sa.func.sum(finer.samples)
    averages = [sa.func.sum(finer[name] * finer.samples) / samples for name in _NAMES]
    peaks = [sa.func.max(finer[f"{name}_peak"]) for name in _NAMES]
    rows = (
        sa.select(finer.vm_id, _START, samples, *averages, *peaks)
        .where(finer.starts_at >= _START, finer.starts_at < _END)
        .group_by(finer.vm_id)
    )
    return _replacing(insert, rows)


def _replacing(insert: postgresql.Insert | sqlite.Insert, rows: sa.Select[Any]) -> sa.Insert:
    columns = ["vm_id", "starts_at", "samples", *_NAMES, *(f"{name}_peak" for name in _NAMES)]
    changed = {name: insert.excluded[name] for name in columns[2:]}
    made = insert.from_select(columns, rows)
    return made.on_conflict_do_update(index_elements=["vm_id", "starts_at"], set_=changed)


_START: Final = sa.bindparam("start", type_=vm_metrics.c.recorded_at.type)
_END: Final = sa.bindparam("end", type_=vm_metrics.c.recorded_at.type)
_ROLL: Final = {
    ("postgresql", vm_metrics_5m.name): _five_minutes(postgresql.insert(vm_metrics_5m)),
    ("postgresql", vm_metrics_1h.name): _hour(postgresql.insert(vm_metrics_1h)),
    ("sqlite", vm_metrics_5m.name): _five_minutes(sqlite.insert(vm_metrics_5m)),
    ("sqlite", vm_metrics_1h.name): _hour(sqlite.insert(vm_metrics_1h)),
}
_ROLLED: Final = sa.select(metric_rollups.c.rolled_until).where(metric_rollups.c.name == sa.bindparam("name_"))
_LOCK_ROLLED: Final = _ROLLED.with_for_update(skip_locked=True)
_OLDEST: Final = sa.select(sa.func.min(vm_metrics.c.recorded_at))
_FIRST_SAMPLE: Final = sa.select(sa.func.min(vm_metrics.c.recorded_at)).where(
    vm_metrics.c.recorded_at >= sa.bindparam("since")
)
_FIRST_WINDOW: Final = sa.select(sa.func.min(vm_metrics_5m.c.starts_at)).where(
    vm_metrics_5m.c.starts_at >= sa.bindparam("since")
)
_MOVE: Final = (
    sa.update(metric_rollups)
    .where(metric_rollups.c.name == sa.bindparam("name_"))
    .values(rolled_until=sa.bindparam("until"))
)
_LATE: Final = sa.select(metric_late_windows).order_by(metric_late_windows.c.id).limit(_LATE_AT_ONCE)
