"""What was used and what it has cost, added up by machine, project, type, label or day. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.platform.db import Transaction
from zentry.schema.billing import billing_records
from zentry.schema.projects import projects
from zentry.schema.vms import vm_labels, vms


class GroupBy(StrEnum):
    """What usage is added up by."""

    VM = "vm"
    PROJECT = "project"
    TYPE = "type"
    LABEL = "label"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Usage:
    """One group: its key, what it is called, and its sums."""

    key: str | None
    name: str | None
    lines: int
    seconds: int
    micros: int


_line = billing_records.c
_took = sa.extract("epoch", _line.period_end) - sa.extract("epoch", _line.period_start)
_SUMS: Final = (
    sa.func.count().label("lines"),
    sa.func.coalesce(sa.func.sum(_took), 0).label("seconds"),
    (-sa.func.sum(_line.amount)).label("micros"),
)


class UsageReport:
    """Adds up the charges of one account in a period."""

    def __init__(self, tx: Transaction, user_id: UUID, *, start: datetime, end: datetime) -> None:
        self._tx = tx
        self._charges = (
            _line.user_id == user_id,
            _line.created_at >= start,
            _line.created_at < end,
            _line.price_version.is_not(None),
        )

    async def total(self) -> Usage:
        """Return the sum of everything."""
        row = (await self._tx.execute(sa.select(*_SUMS).where(*self._charges))).one()
        return Usage(None, None, row.lines, int(row.seconds), int(row.micros or 0))

    async def groups(self, by: GroupBy, *, label_key: str | None, limit: int) -> Sequence[Usage]:
        """Return the groups that have cost the most; days in their order."""
        key, source = self._key(by, label_key)
        query = sa.select(key.label("key"), *_SUMS).select_from(source).where(*self._charges).group_by(key)
        order = (key,) if by is GroupBy.DAY else (sa.desc("micros"), key)
        rows = (await self._tx.execute(query.order_by(*order).limit(limit))).all()
        names = await self._names(by, [row.key for row in rows])
        return [
            Usage(
                None if row.key is None else str(row.key),
                names.get(row.key),
                row.lines,
                int(row.seconds),
                int(row.micros),
            )
            for row in rows
        ]

    def _key(self, by: GroupBy, label_key: str | None) -> tuple[sa.ColumnElement[Any], sa.FromClause]:
        if by is GroupBy.LABEL:
            labelled = sa.and_(vm_labels.c.vm_id == _line.vm_id, vm_labels.c.key == label_key)
            return vm_labels.c.value, billing_records.outerjoin(vm_labels, labelled)
        if by is GroupBy.DAY:
            at = sa.func.timezone("UTC", _line.created_at) if self._tx.dialect == "postgresql" else _line.created_at
            return sa.func.date(at), billing_records
        columns = {GroupBy.VM: _line.vm_id, GroupBy.PROJECT: _line.project_id, GroupBy.TYPE: _line.resource_type}
        return columns[by], billing_records

    async def _names(self, by: GroupBy, keys: Sequence[Any]) -> Mapping[Any, str]:
        table = {GroupBy.VM: vms, GroupBy.PROJECT: projects}.get(by)
        if table is None:
            return {}
        known = [key for key in keys if key is not None]
        rows = await self._tx.execute(sa.select(table.c.id, table.c.name).where(table.c.id.in_(known)))
        return {row.id: row.name for row in rows.all()}
