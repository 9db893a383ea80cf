"""The one statement that reads averages and peaks of a span from rows.

Each part of the span comes from the coarsest rows that divide its step: whole hours from the roll-ups of an
hour, whole five minutes at the ends from those of five minutes, the rest and what is not rolled up yet from the
samples. Statements are built once for each shape: to build one takes a third as long as to run it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from zentry.monitoring.rollups import TIERS, floor_to
from zentry.monitoring.store import MAX_POINTS, MAX_VALUES, Aggregation, Bucket, Metric, Query
from zentry.platform.db import Dialect
from zentry.schema.monitoring import vm_metrics


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the span, and the table that it is read from."""

    table: sa.Table
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Shape:
    """What the text of a statement depends on."""

    dialect: Dialect
    step_seconds: int
    names: tuple[Metric, ...]
    aggregations: tuple[Aggregation, ...]
    tables: tuple[sa.Table, ...]


Statement = Callable[[Shape], sa.Select[Any]]


def has_tiers(query: Query) -> bool:
    """Tell whether any roll-up divides the step."""
    return any(query.step_seconds % width.total_seconds() == 0 for _, width in TIERS)


def parts_of(query: Query, rolled: Mapping[str, datetime]) -> list[Part]:
    """Cut the span of a query; `rolled` tells until when each table of roll-ups is filled."""
    tiers = [
        _Tier(table, width, rolled[table.name])
        for table, width in reversed(TIERS)
        if table.name in rolled and query.step_seconds % width.total_seconds() == 0
    ]
    return list(_cut(query.start, query.end, tiers))


def shape_of(query: Query, parts: Sequence[Part], dialect: Dialect) -> Shape:
    """Return the shape of the statement that answers a query."""
    tables = tuple(part.table for part in parts)
    return Shape(dialect, query.step_seconds, tuple(query.names), tuple(query.aggregations), tables)


def bounds_of(query: Query, parts: Sequence[Part]) -> dict[str, Any]:
    """Return what the statement is given."""
    bounds: dict[str, Any] = {"vm_ids": list(query.vm_ids)}
    for number, part in enumerate(parts):
        bounds |= {f"start_{number}": part.start, f"end_{number}": part.end}
    return bounds


@lru_cache(maxsize=128)
def per_machine(shape: Shape) -> sa.Select[Any]:
    """Return one row for each machine and step: whose, which step, samples, averages, peaks."""
    return _per_machine(shape).order_by(sa.text("number")).limit(MAX_VALUES)


@lru_cache(maxsize=128)
def together(shape: Shape) -> sa.Select[Any]:
    """Return one row for each step: the mean of the machines' averages, or their sum, and the highest peak."""
    each = _per_machine(shape).subquery("machines")
    columns: list[sa.ColumnElement[Any]] = [each.c.number, sa.func.sum(each.c.samples).label("samples")]
    if Aggregation.AVERAGE in shape.aggregations:
        for name in shape.names:
            unite = sa.func.sum if name.adds_up else sa.func.avg
            columns.append(unite(each.c[f"average_{name}"]))
    if Aggregation.PEAK in shape.aggregations:
        columns += [sa.func.max(each.c[f"peak_{name}"]) for name in shape.names]
    return sa.select(*columns).group_by(each.c.number).order_by(each.c.number).limit(MAX_POINTS + 1)


def bucket_of(query: Query, row: Sequence[Any]) -> Bucket:
    """Return a step from its row: which it is, samples, averages, peaks."""
    number, samples, *values = row
    averages = len(query.names) if Aggregation.AVERAGE in query.aggregations else 0
    return Bucket(
        starts_at=query.starts_at(number),
        samples=int(samples),
        average=dict(zip(query.names, values[:averages], strict=False)),
        peak=dict(zip(query.names, values[averages:], strict=False)),
    )


@dataclass(frozen=True, slots=True)
class _Tier:
    """Roll-ups of one width, and until when they are made."""

    table: sa.Table
    width: timedelta
    until: datetime


def _cut(start: datetime, end: datetime, tiers: Sequence[_Tier]) -> Iterator[Part]:
    """Cut a span into what each table answers: the coarsest in the middle, finer ones beside it."""
    if start >= end:
        return
    if not tiers:
        yield Part(vm_metrics, start, end)
        return
    tier, *finer = tiers
    first = floor_to(start + tier.width - timedelta(microseconds=1), tier.width)
    last = min(tier.until, floor_to(end, tier.width))
    if first >= last:
        yield from _cut(start, end, finer)
        return
    yield from _cut(start, first, finer)
    yield Part(tier.table, first, last)
    yield from _cut(last, end, finer)


def _per_machine(shape: Shape) -> sa.Select[Any]:
    """Put the parts together: they may meet inside of a step."""
    sums = (_sums(shape, table, part) for part, table in enumerate(shape.tables))
    united = sa.union_all(*sums).subquery("parts")
    samples = sa.func.sum(united.c.samples)
    columns = [united.c.vm_id, united.c.number.label("number"), samples.label("samples")]
    if Aggregation.AVERAGE in shape.aggregations:
        columns += [(sa.func.sum(united.c[f"sum_{name}"]) / samples).label(f"average_{name}") for name in shape.names]
    if Aggregation.PEAK in shape.aggregations:
        columns += [sa.func.max(united.c[f"peak_{name}"]).label(f"peak_{name}") for name in shape.names]
    return sa.select(*columns).group_by(united.c.vm_id, united.c.number)


def _sums(shape: Shape, table: sa.Table, part: int) -> sa.Select[Any]:
    """Return samples, sums and maxima of a part, by machine and step."""
    rolled = table is not vm_metrics
    time = table.c.starts_at if rolled else table.c.recorded_at
    grouped, number = (text.format(time=time.name, step=shape.step_seconds) for text in _STEP[shape.dialect])
    columns: list[sa.ColumnElement[Any]] = [
        table.c.vm_id,
        sa.literal_column(number, sa.BigInteger).label("number"),
        (sa.func.sum(table.c.samples) if rolled else sa.func.count()).label("samples"),
    ]
    for name in shape.names:
        if Aggregation.AVERAGE in shape.aggregations:
            value = table.c[name] * table.c.samples if rolled else table.c[name]
            columns.append(sa.func.sum(value).label(f"sum_{name}"))
        if Aggregation.PEAK in shape.aggregations:
            columns.append(sa.func.max(table.c[f"{name}_peak" if rolled else name]).label(f"peak_{name}"))
    return (
        sa.select(*columns)
        .where(
            table.c.vm_id.in_(sa.bindparam("vm_ids", expanding=True)),
            time >= sa.bindparam(f"start_{part}"),
            time < sa.bindparam(f"end_{part}"),
        )
        .group_by(table.c.vm_id, sa.literal_column(grouped))
    )


# What rows are grouped by, and the number of the step since the epoch. The step is a whole number of ours; as a
# literal the grouped expression stays one and the same. PostgreSQL's `extract` counts in decimals, so it is asked
# once for each step and not for each row. SQLite keeps times as text in UTC, and would round a fraction up.
_BIN: Final = "date_bin('{step} seconds', {time}, '1970-01-01 00:00:00+00')"
_NUMBER: Final = "CAST(strftime('%s', substr({time}, 1, 19)) AS INTEGER) / {step}"
_STEP: Final[Mapping[Dialect, tuple[str, str]]] = {
    "postgresql": (_BIN, f"CAST(extract(epoch FROM {_BIN}) AS bigint) / {{step}}"),
    "sqlite": (_NUMBER, _NUMBER),
}
