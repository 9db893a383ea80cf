"""The lines of the bill in full, and the entries behind them, read page by page. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.reports import BillingReports, LineFilter
from zentry.platform.db import Transaction, values
from zentry.platform.money import charge
from zentry.schema.billing import billing_records, ledger_entries, segments

PAGE: Final = 1_000
"""Rows that an export reads at a time; no connection is held while a client takes them."""


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that a line of the bill says; the amount in micro-credits, charges negative."""

    id: UUID
    user_id: UUID
    vm_id: UUID | None
    project_id: UUID | None
    action_type: str
    amount: int
    description: str
    created_at: datetime
    segment_id: UUID | None
    period_start: datetime | None
    period_end: datetime | None
    rate_micros_per_hour: int | None
    price_version: int | None
    resource_type: str | None
    meter: str | None
    unit: str | None
    quantity: int | None
    price_micros: int | None
    """Of one unit, as listed."""
    discount_basis_points: int | None
    segment_started_at: datetime | None

    @property
    def seconds(self) -> int:
        """The whole seconds that the line is for; 0 for a line that is for no time."""
        if self.period_start is None or self.period_end is None:
            return 0
        return int((self.period_end - self.period_start).total_seconds())

    @property
    def list_rate_micros_per_hour(self) -> int | None:
        """What the time cost per hour before the discount; None for a line that is for no time."""
        if self.rate_micros_per_hour is None or self.price_micros is None:
            return self.rate_micros_per_hour
        return self.price_micros * (self.quantity or 1)

    @property
    def list_amount(self) -> int:
        """The amount as it would have been without the discount, by the one rounding rule."""
        rate = self.list_rate_micros_per_hour
        if rate is None or self.segment_started_at is None or self.period_start is None or self.period_end is None:
            return self.amount
        first, last = (
            int((at - self.segment_started_at).total_seconds()) for at in (self.period_start, self.period_end)
        )
        return -charge(rate_micros_per_hour=rate, from_second=first, to_second=last)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the books; the amount in micro-credits, always positive."""

    id: UUID
    position: int
    debit: str
    credit: str
    amount: int
    cause: str
    record_id: UUID | None
    created_at: datetime
    hash: str


RECORD: Final[tuple[sa.ColumnElement[Any], ...]] = (
    billing_records.c.id,
    billing_records.c.user_id,
    billing_records.c.vm_id,
    billing_records.c.project_id,
    billing_records.c.action_type,
    billing_records.c.amount,
    billing_records.c.description,
    billing_records.c.created_at,
    billing_records.c.segment_id,
    billing_records.c.period_start,
    billing_records.c.period_end,
    billing_records.c.rate_micros_per_hour,
    billing_records.c.price_version,
    billing_records.c.resource_type,
    billing_records.c.meter,
    billing_records.c.unit,
    billing_records.c.quantity,
    billing_records.c.price_micros,
    billing_records.c.discount_basis_points,
    sa.select(segments.c.started_at)
    .where(segments.c.id == billing_records.c.segment_id)
    .scalar_subquery()
    .label("segment_started_at"),
)
_ENTRY: Final[tuple[sa.ColumnElement[Any], ...]] = (
    ledger_entries.c.id,
    ledger_entries.c.position,
    ledger_entries.c.debit,
    ledger_entries.c.credit,
    ledger_entries.c.amount,
    ledger_entries.c.cause,
    ledger_entries.c.record_id,
    ledger_entries.c.created_at,
    ledger_entries.c.hash,
)
_BY_ID: Final = sa.select(*RECORD).where(
    billing_records.c.id == sa.bindparam("record_id"), billing_records.c.user_id == sa.bindparam("user_id")
)
_BY_IDS: Final = sa.select(*RECORD).where(
    billing_records.c.id.in_(sa.bindparam("record_ids", expanding=True)),
    billing_records.c.user_id == sa.bindparam("user_id"),
)
_OWNER: Final = sa.select(billing_records.c.user_id).where(billing_records.c.id == sa.bindparam("record_id"))
_ENTRIES: Final = (
    sa.select(*_ENTRY)
    .where(ledger_entries.c.user_id == sa.bindparam("user_id"), ledger_entries.c.position > sa.bindparam("after"))
    .order_by(ledger_entries.c.position)
    .limit(sa.bindparam("most"))
)
_ENTRIES_OF: Final = (
    sa.select(*_ENTRY)
    .where(ledger_entries.c.record_id == sa.bindparam("record_id"))
    .order_by(ledger_entries.c.position)
    .limit(sa.bindparam("most"))
)
_ENTRIES_BEHIND: Final = sa.select(*_ENTRY).where(
    ledger_entries.c.record_id.in_(sa.bindparam("record_ids", expanding=True))
)
_CAUSE: Final = sa.select(*_ENTRY).where(ledger_entries.c.cause == sa.bindparam("cause"))


class RecordReader:
    """The lines and entries of one account."""

    def __init__(self, tx: Transaction, user_id: UUID) -> None:
        self._tx = tx
        self._user_id = user_id

    async def find(self, record_id: UUID) -> Record | None:
        """Return one line."""
        row = (await self._tx.execute(_BY_ID, {"record_id": record_id, "user_id": self._user_id})).first()
        return None if row is None else Record(*values(row))

    async def find_all(self, record_ids: Sequence[UUID]) -> Sequence[Record]:
        """Return those of the lines that there are; at most a page of them is asked for."""
        if not record_ids:
            return []
        rows = await self._tx.execute(_BY_IDS, {"record_ids": record_ids, "user_id": self._user_id})
        return [Record(*values(row)) for row in rows.all()]

    async def list(self, wanted: LineFilter, *, limit: int, before: Record | None = None) -> Sequence[Record]:
        """Return lines, the newest first, from the newest or from before one that was seen."""
        after = None if before is None else (before.created_at, before.id)
        query = BillingReports(self._tx, self._user_id).select_lines(RECORD, wanted, limit=limit, before=after)
        return [Record(*values(row)) for row in (await self._tx.execute(query)).all()]

    async def entries(self, *, after: int, limit: int) -> Sequence[Entry]:
        """Return entries of the books in their order, after a position."""
        rows = await self._tx.execute(_ENTRIES, {"user_id": self._user_id, "after": after, "most": limit})
        return [Entry(*values(row)) for row in rows.all()]

    async def entries_of(self, record_id: UUID) -> Sequence[Entry]:
        """Return the entries behind a line of the account."""
        rows = await self._tx.execute(_ENTRIES_OF, {"record_id": record_id, "most": PAGE})
        return [Entry(*values(row)) for row in rows.all()]

    async def entries_behind(self, record_ids: Sequence[UUID]) -> Sequence[Entry]:
        """Return the entries behind lines of the account, at most a page of lines."""
        if not record_ids:
            return []
        rows = await self._tx.execute(_ENTRIES_BEHIND, {"record_ids": record_ids})
        return [Entry(*values(row)) for row in rows.all()]

    async def find_cause(self, cause: str) -> Entry | None:
        """Return the entry of a cause, which posts once."""
        row = (await self._tx.execute(_CAUSE, {"cause": cause})).first()
        return None if row is None else Entry(*values(row))


async def find_owner(tx: Transaction, record_id: UUID) -> UUID | None:
    """Return whose line it is, for an administrator who has only its id."""
    found: UUID | None = (await tx.execute(_OWNER, {"record_id": record_id})).scalar_one_or_none()
    return found
