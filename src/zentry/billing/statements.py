"""Monthly statements. Runs inside the caller's transaction and never commits.

A statement is a stretch of the account's books: the entries that follow the last statement's, up to the last
one of its month. Entries have positions without a gap and are never changed, so that every entry is in one
statement and in no other, and a statement says the same for ever. Should an entry of a month be written after
the month was closed, it is in the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.ledger import Books
from zentry.billing.records import RECORD, Record
from zentry.billing.repository import BillingRepository
from zentry.events.recorder import EventRecorder
from zentry.platform.db import Transaction, values
from zentry.platform.errors import NotFound
from zentry.platform.settings import BillingSettings
from zentry.schema.billing import LedgerAccount, billing_records, ledger_entries, statement_schedule, statements

_SPENDABLE: Final = (LedgerAccount.AVAILABLE.value, LedgerAccount.HELD.value)
_entry = ledger_entries.c
_COLUMNS: Final = (
    statements.c.id,
    statements.c.number,
    statements.c.period_start,
    statements.c.period_end,
    statements.c.currency,
    statements.c.first_position,
    statements.c.last_position,
    statements.c.line_count,
    statements.c.opening_micros,
    statements.c.added_micros,
    statements.c.charged_micros,
    statements.c.deducted_micros,
    statements.c.closing_micros,
    statements.c.closed_at,
)
_OF_USER: Final = sa.select(*_COLUMNS).where(statements.c.user_id == sa.bindparam("user_id"))
_LAST: Final = _OF_USER.order_by(statements.c.number.desc()).limit(1)
_ONE: Final = _OF_USER.where(statements.c.id == sa.bindparam("statement_id"))
_PAGE: Final = (
    _OF_USER.where(statements.c.number < sa.bindparam("below"))
    .order_by(statements.c.number.desc())
    .limit(sa.bindparam("most"))
)
_AFTER: Final = (_entry.user_id == sa.bindparam("user_id"), _entry.position > sa.bindparam("after"))
_FIRST: Final = sa.select(_entry.position, _entry.created_at).where(*_AFTER).order_by(_entry.position).limit(1)
# The month ends before the first entry that is later.
_LATER: Final = (
    sa.select(_entry.position)
    .where(*_AFTER, _entry.created_at >= sa.bindparam("end", type_=_entry.created_at.type))
    .order_by(_entry.position)
    .limit(1)
)
_gains = _entry.credit.in_(_SPENDABLE)
_loses = _entry.debit.in_(_SPENDABLE)
_earned = _entry.credit == LedgerAccount.REVENUE.value


def _sum_where(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    return sa.func.coalesce(sa.func.sum(sa.case((sa.and_(*conditions), _entry.amount), else_=0)), 0)


_STRETCH: Final = (
    _entry.user_id == sa.bindparam("user_id"),
    _entry.position >= sa.bindparam("first"),
    _entry.position <= sa.bindparam("last"),
)
_FIGURES: Final = sa.select(
    _sum_where(_gains, ~_loses).label("added"),
    _sum_where(_loses, _earned).label("charged"),
    _sum_where(_loses, ~_gains, ~_earned).label("deducted"),
    sa.func.count(_entry.record_id.distinct()).label("lines"),
).where(*_STRETCH)
_LINES: Final = (
    sa.select(_entry.position, *RECORD)
    .join(billing_records, billing_records.c.id == _entry.record_id)
    .where(*_STRETCH)
    .order_by(_entry.position)
    .limit(sa.bindparam("most"))
)
_of_stretch = sa.select(_entry.record_id).where(*_STRETCH, _entry.record_id.is_not(None))
_for_what = (
    billing_records.c.action_type,
    billing_records.c.project_id,
    billing_records.c.vm_id,
    billing_records.c.resource_type,
    billing_records.c.rate_micros_per_hour,
    billing_records.c.price_version,
    billing_records.c.meter,
    billing_records.c.unit,
    billing_records.c.quantity,
    billing_records.c.price_micros,
    billing_records.c.discount_basis_points,
)
_took = sa.extract("epoch", billing_records.c.period_end) - sa.extract("epoch", billing_records.c.period_start)
_ITEMS: Final = (
    sa.select(
        *_for_what,
        sa.func.count().label("lines"),
        sa.func.coalesce(sa.func.sum(_took), 0).label("seconds"),
        sa.func.sum(billing_records.c.amount).label("micros"),
    )
    .where(billing_records.c.id.in_(_of_stretch))
    .group_by(*_for_what)
    .order_by(sa.func.min(billing_records.c.created_at), *(column.asc() for column in _for_what))
    .limit(sa.bindparam("most"))
)
_DUE: Final = (
    sa.select(statement_schedule.c.user_id)
    .where(statement_schedule.c.due_at <= sa.bindparam("now", type_=statement_schedule.c.due_at.type))
    .order_by(statement_schedule.c.due_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_RESCHEDULE: Final = (
    sa.update(statement_schedule)
    .where(statement_schedule.c.user_id == sa.bindparam("whose"))
    .values(due_at=sa.bindparam("next_due_at"))
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A closed month of an account; amounts in micro-credits."""

    id: UUID
    number: int
    period_start: datetime
    period_end: datetime
    currency: str
    first_position: int
    last_position: int
    line_count: int
    opening_micros: int
    added_micros: int
    charged_micros: int
    deducted_micros: int
    closing_micros: int
    closed_at: datetime


@dataclass(frozen=True, slots=True)
class Item:
    """Lines of a statement for one thing at one rate, added up."""

    action_type: str
    project_id: UUID | None
    vm_id: UUID | None
    resource_type: str | None
    rate_micros_per_hour: int | None
    price_version: int | None
    meter: str | None
    unit: str | None
    quantity: int | None
    price_micros: int | None
    """Of one unit, as listed."""
    discount_basis_points: int | None
    lines: int
    seconds: int
    micros: int


class StatementReader:
    """The closed statements of one account."""

    def __init__(self, tx: Transaction, user_id: UUID) -> None:
        self._tx = tx
        self._user_id = user_id

    async def get(self, statement_id: UUID | None) -> Statement:
        """Return one, or raise `NotFound`."""
        found = None
        if statement_id is not None:
            found = (await self._tx.execute(_ONE, {"user_id": self._user_id, "statement_id": statement_id})).first()
        if found is None:
            raise NotFound("Statement")
        return Statement(*values(found))

    async def list(self, *, below: int, limit: int) -> Sequence[Statement]:
        """Return statements, the newest first, with numbers below one."""
        rows = await self._tx.execute(_PAGE, {"user_id": self._user_id, "below": below, "most": limit})
        return [Statement(*values(row)) for row in rows.all()]

    async def lines(self, statement: Statement, *, after: int, limit: int) -> Sequence[tuple[int, Record]]:
        """Return lines of a statement with their positions in the books, after a position."""
        stretch = self._stretch(statement, first=max(after + 1, statement.first_position))
        rows = (await self._tx.execute(_LINES, {**stretch, "most": limit})).all()
        return [(row[0], Record(*values(row)[1:])) for row in rows]

    async def items(self, statement: Statement, *, limit: int) -> Sequence[Item]:
        """Return the lines of a statement added up by what they are for."""
        rows = (await self._tx.execute(_ITEMS, {**self._stretch(statement), "most": limit})).all()
        return [Item(*values(row)[:-3], *map(int, values(row)[-3:])) for row in rows]

    def _stretch(self, statement: Statement, *, first: int | None = None) -> dict[str, Any]:
        return {
            "user_id": self._user_id,
            "first": statement.first_position if first is None else first,
            "last": statement.last_position,
        }


class StatementService:
    """Closes months, one account and one month in a transaction."""

    def __init__(self, tx: Transaction, settings: BillingSettings) -> None:
        self._tx = tx
        self._margin = timedelta(hours=settings.statement_after_hours)

    async def schedule(self, user_id: UUID) -> None:
        """Let a new account be looked at when this month is over."""
        due_at = month_after(self._tx.now) + self._margin
        await self._tx.insert_unless_there(statement_schedule, {"user_id": user_id, "due_at": due_at})

    async def close_next(self) -> bool:
        """Close a month of an account that is due, or find that there is none to close; False when none is due."""
        user_id = (await self._tx.execute(_DUE, {"now": self._tx.now})).scalar_one_or_none()
        if user_id is None:
            return False
        await Books.open(self._tx, user_id)  # Nobody posts while the month's end is looked for.
        due_at = await self._close(user_id)
        await self._tx.execute(_RESCHEDULE, {"whose": user_id, "next_due_at": due_at})
        return True

    async def _close(self, user_id: UUID) -> datetime:
        """Close the account's oldest month that is over; return when to look again."""
        row = (await self._tx.execute(_LAST, {"user_id": user_id})).first()
        before = None if row is None else Statement(*values(row))
        after = 0 if before is None else before.last_position
        first = (await self._tx.execute(_FIRST, {"user_id": user_id, "after": after})).first()
        if first is None:
            return month_after(self._tx.now) + self._margin
        start = month_of(first.created_at) if before is None else max(month_of(first.created_at), before.period_end)
        end = month_after(start)
        if end + self._margin > self._tx.now:
            return end + self._margin
        later = (await self._tx.execute(_LATER, {"user_id": user_id, "after": after, "end": end})).scalar_one_or_none()
        last = await self._last_position(user_id) if later is None else later - 1
        assert last >= first.position, "the first entry is of this month, or of one before it"
        await self._insert(user_id, before, period=(start, end), stretch=(first.position, last))
        return month_after(end) + self._margin if later is None else self._tx.now

    async def _insert(
        self, user_id: UUID, before: Statement | None, *, period: tuple[datetime, datetime], stretch: tuple[int, int]
    ) -> None:
        figures = (
            await self._tx.execute(_FIGURES, {"user_id": user_id, "first": stretch[0], "last": stretch[1]})
        ).one()
        added, charged, deducted = int(figures.added), int(figures.charged), int(figures.deducted)
        opening = 0 if before is None else before.closing_micros
        number = 1 if before is None else before.number + 1
        lists = await BillingRepository(self._tx).list_price_lists_at(period[0])
        statement_id = self._tx.new_id()
        await self._tx.execute(
            sa.insert(statements),
            {
                "id": statement_id,
                "user_id": user_id,
                "number": number,
                "previous_number": None if before is None else before.number,
                "period_start": period[0],
                "period_end": period[1],
                "currency": lists[0].currency if lists else "",
                "first_position": stretch[0],
                "last_position": stretch[1],
                "line_count": figures.lines,
                "opening_micros": opening,
                "added_micros": added,
                "charged_micros": charged,
                "deducted_micros": deducted,
                "closing_micros": opening + added - charged - deducted,
                "closed_at": self._tx.now,
            },
        )
        await EventRecorder(self._tx).record(
            "statement.closed",
            resource_type="statement",
            resource_id=statement_id,
            user_id=user_id,
            cause="calendar",
            data={"number": number, "period_start": period[0].date().isoformat(), "charged_micros": charged},
        )

    async def _last_position(self, user_id: UUID) -> int:
        query = sa.select(_entry.position).where(_entry.user_id == user_id).order_by(_entry.position.desc()).limit(1)
        return int((await self._tx.execute(query)).scalar_one())


def month_of(instant: datetime) -> datetime:
    """Return the beginning of an instant's month, in UTC."""
    return instant.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def month_after(instant: datetime) -> datetime:
    """Return the beginning of the month after an instant's."""
    return month_of(month_of(instant) + timedelta(days=31))
