"""Why a line of the bill is what it is: from the rows alone, so that anyone may compute it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.records import Entry, Record, RecordReader
from zentry.billing.types import BASIS_POINTS, CREATE_FEE, KEPT, ActionType
from zentry.platform import money
from zentry.platform.db import Transaction, values
from zentry.platform.errors import NotFound
from zentry.schema.billing import LedgerAccount, price_lists, prices, segments
from zentry.schema.events import events

_MOST_EVENTS: Final = 50
_REFUND: Final = "refund:"
_SPENDABLE: Final = frozenset({LedgerAccount.AVAILABLE, LedgerAccount.HELD})
_SEGMENT: Final = sa.select(segments.c.started_at, segments.c.meter, segments.c.ended_at).where(
    segments.c.id == sa.bindparam("segment_id")
)
_PRICE: Final = (
    sa.select(
        price_lists.c.version,
        price_lists.c.effective_at,
        price_lists.c.currency,
        prices.c.item,
        prices.c.unit,
        prices.c.micros,
    )
    .join(prices, prices.c.version == price_lists.c.version)
    .where(price_lists.c.version == sa.bindparam("version"), prices.c.item == sa.bindparam("item"))
)
_EVENT: Final = (events.c.id, events.c.kind, events.c.resource_type, events.c.resource_id, events.c.created_at)
_OPENING: Final = (
    sa.select(*_EVENT)
    .where(
        events.c.resource_id == sa.bindparam("resource_id"),
        events.c.created_at >= sa.bindparam("first", type_=events.c.created_at.type),
        events.c.created_at < sa.bindparam("end", type_=events.c.created_at.type),
    )
    .order_by(events.c.created_at, events.c.id)
    .limit(_MOST_EVENTS)
)
_WRITTEN_WITH: Final = (
    sa.select(*_EVENT)
    .where(
        events.c.user_id == sa.bindparam("user_id"),
        events.c.created_at == sa.bindparam("at", type_=events.c.created_at.type),
    )
    .order_by(events.c.id)
    .limit(_MOST_EVENTS)
)


@dataclass(frozen=True, slots=True)
class Price:
    """What a version of the price list says for an item."""

    version: int
    effective_at: datetime
    currency: str
    item: str
    unit: str
    micros: int


@dataclass(frozen=True, slots=True)
class Happening:
    """An event that bears on a line."""

    id: UUID
    kind: str
    resource_type: str
    resource_id: UUID
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Metered:
    """How the seconds of a segment became an amount.

    F(t) = floor(rate × t / 3600) is what t seconds from the segment's start have cost. A line charges
    F(to) - F(from); what the floor has left over is not lost, but carried into the next line.
    """

    segment_id: UUID
    meter: str
    segment_started_at: datetime
    from_second: int
    to_second: int
    rate_micros_per_hour: int
    quantity: int
    price_micros: int | None
    """Of one unit, as listed; None in lines from before units were kept, whose rate is the price."""
    discount_basis_points: int

    @property
    def list_rate(self) -> int:
        """The rate before the discount."""
        return self.rate_micros_per_hour if self.price_micros is None else self.price_micros * self.quantity

    @property
    def rate(self) -> int:
        """The rate, computed again from price, quantity and discount."""
        if self.price_micros is None:
            return self.rate_micros_per_hour
        return self.list_rate * (BASIS_POINTS - self.discount_basis_points) // BASIS_POINTS

    @property
    def rate_formula(self) -> str:
        """How the rate follows from the price, with its numbers."""
        if self.price_micros is None:
            return str(self.rate)
        kept = BASIS_POINTS - self.discount_basis_points
        return f"floor({self.price_micros} × {self.quantity} × {kept} / {BASIS_POINTS}) = {self.rate}"

    @property
    def cumulated_from(self) -> int:
        """F(from)."""
        return self._cumulated(self.from_second)

    @property
    def cumulated_to(self) -> int:
        """F(to)."""
        return self._cumulated(self.to_second)

    @property
    def charged(self) -> int:
        """F(to) - F(from)."""
        return self.cumulated_to - self.cumulated_from

    def remainder_at(self, second: int) -> int:
        """Return what F has left over at a second, in 3600ths of a micro-credit."""
        return self.rate * second % money.SECONDS_PER_HOUR

    @property
    def formula(self) -> str:
        """The arithmetic with its numbers, as a person would write it down."""
        rate, hour = self.rate, money.SECONDS_PER_HOUR
        return (
            f"floor({rate} × {self.to_second} / {hour}) - floor({rate} × {self.from_second} / {hour})"
            f" = {self.cumulated_to} - {self.cumulated_from} = {self.charged}"
        )

    def _cumulated(self, second: int) -> int:
        return money.cumulated_cost(rate_micros_per_hour=self.rate, elapsed_seconds=second)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A line with everything that it follows from."""

    record: Record
    price: Price | None
    metered: Metered | None
    entries: Sequence[Entry]
    happenings: Sequence[Happening]
    refund: Entry | None

    @property
    def moved(self) -> int:
        """What the entries behind the line have done to the balance, in micro-credits."""
        return sum(
            entry.amount * ((entry.credit in _SPENDABLE) - (entry.debit in _SPENDABLE)) for entry in self.entries
        )

    @property
    def recomputed(self) -> int:
        """The amount of the line, computed again: from the seconds, from the price, or from the entries."""
        if self.metered is not None:
            return -self.metered.charged
        if self.record.action_type == ActionType.VM_CREATE and self.price is not None:
            return -self.price.micros
        return self.moved

    @property
    def formula(self) -> str:
        """How the amount follows, in one line."""
        if self.metered is not None:
            return f"-({self.metered.formula})"
        if self.record.action_type == ActionType.VM_CREATE and self.price is not None:
            return f"-(1 × {self.price.micros}) = {self.recomputed}"
        terms = [f"{entry.amount} from {entry.debit} to {entry.credit}" for entry in self.entries]
        return f"{'; '.join(terms) or 'nothing was moved'}: {self.recomputed}"


class LineExplainer:
    """Explains the lines of one account."""

    def __init__(self, tx: Transaction, user_id: UUID) -> None:
        self._tx = tx
        self._user_id = user_id
        self._records = RecordReader(tx, user_id)

    async def explain(self, record_id: UUID | None) -> Explanation:
        """Explain a line of the account, or raise `NotFound`."""
        record = None if record_id is None else await self._records.find(record_id)
        if record is None:
            raise NotFound("Billing record")
        metered = await self._metered(record)
        return Explanation(
            record=record,
            price=await self._price(record, metered),
            metered=metered,
            entries=await self._records.entries_of(record.id),
            happenings=await self._happenings(record, metered),
            refund=await self._records.find_cause(refund_cause(record.id)),
        )

    async def _metered(self, record: Record) -> Metered | None:
        if record.segment_id is None or record.period_start is None or record.period_end is None:
            return None
        segment = (await self._tx.execute(_SEGMENT, {"segment_id": record.segment_id})).one()
        assert record.rate_micros_per_hour is not None, "a metered line names its rate"
        return Metered(
            segment_id=record.segment_id,
            meter=segment.meter,
            segment_started_at=segment.started_at,
            from_second=int((record.period_start - segment.started_at).total_seconds()),
            to_second=int((record.period_end - segment.started_at).total_seconds()),
            rate_micros_per_hour=record.rate_micros_per_hour,
            quantity=record.quantity or 1,
            price_micros=record.price_micros,
            discount_basis_points=record.discount_basis_points or 0,
        )

    async def _price(self, record: Record, metered: Metered | None) -> Price | None:
        if record.price_version is None:
            return None
        item = CREATE_FEE if record.action_type == ActionType.VM_CREATE else record.resource_type
        if metered is not None and metered.meter in KEPT:
            item = metered.meter
        row = (await self._tx.execute(_PRICE, {"version": record.price_version, "item": item})).first()
        return None if row is None else Price(*values(row))

    async def _happenings(self, record: Record, metered: Metered | None) -> Sequence[Happening]:
        """Return what opened the interval, and what was written in one transaction with the line."""
        found: dict[UUID, Happening] = {}
        if metered is not None:
            first = metered.segment_started_at  # A whole second: what opened it happened within that second.
            await self._note(found, _OPENING, resource_id=record.vm_id, first=first, end=first + timedelta(seconds=1))
        await self._note(found, _WRITTEN_WITH, user_id=self._user_id, at=record.created_at)
        return [
            one for one in found.values() if record.vm_id is None or one.resource_id in {record.vm_id, self._user_id}
        ]

    async def _note(self, found: dict[UUID, Happening], query: sa.Select[Any], **parameters: object) -> None:
        rows: Sequence[Any] = (await self._tx.execute(query, parameters)).all()
        found.update((row.id, Happening(*values(row))) for row in rows)


def refund_cause(record_id: UUID) -> str:
    """Return the cause under which a line is given back, which the books take once."""
    return f"{_REFUND}{record_id}"


def refunded_by(cause: str) -> UUID | None:
    """Return the line that is given back under a cause; None where none is."""
    return UUID(cause.removeprefix(_REFUND)) if cause.startswith(_REFUND) else None
