"""The explanation of a line, on the wire. Amounts are whole micro-credits, so that they can be computed with."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import ConfigDict, Field

from zentry.billing.explanations import Explanation, Metered, Price
from zentry.billing.records import Entry, Record
from zentry.billing.types import ActionType
from zentry.platform.money import to_credits
from zentry.platform.wire import ReadModel


class ExplainedPrice(ReadModel):
    """The price that the line names."""

    version: int = Field(description="Version of the price list.")
    effective_at: datetime = Field(description="From when that version applies.")
    currency: str
    item: str = Field(description="The instance type, or `vm_create`.", examples=["small"])
    unit: str = Field(
        description="Micro-credits per `hour`, per `gib_hour` (GiB and hour), or `each` piece.", examples=["hour"]
    )
    micros: int = Field(description="Micro-credits per unit, as listed, before any discount.", examples=[50000])

    @classmethod
    def of(cls, price: Price) -> Self:
        """Return a price as it is shown."""
        return cls.model_validate(price)


class ExplainedInterval(ReadModel):
    """The seconds that the line is for, and how they became an amount."""

    segment_id: UUID = Field(description="The unbroken stretch of use at one rate that the interval is a part of.")
    meter: str = Field(description="What was measured.", examples=["compute"])
    segment_started_at: datetime
    period_start: datetime
    period_end: datetime
    from_second: int = Field(description="Seconds from the segment's start to `period_start`.")
    to_second: int = Field(description="Seconds from the segment's start to `period_end`.")
    quantity: int = Field(description="How many units of the price at once: 1 machine, or GiB.")
    discount_basis_points: int = Field(description="Hundredths of a percent that are taken off the account's rates.")
    list_rate_micros_per_hour: int = Field(description="Price × quantity.")
    rate_micros_per_hour: int = Field(description="floor(list rate × (10000 - discount) / 10000).")
    rate_formula: str = Field(description="That arithmetic, with its numbers.")
    cumulated_from_micros: int = Field(description="floor(rate × from_second / 3600).")
    cumulated_to_micros: int = Field(description="floor(rate × to_second / 3600).")
    remainder_from: int = Field(description="3600ths of a micro-credit carried in from the line before.")
    remainder_to: int = Field(description="3600ths of a micro-credit carried into the line after.")

    @classmethod
    def of(cls, record: Record, metered: Metered) -> Self:
        """Return an interval as it is shown."""
        assert record.period_start is not None
        assert record.period_end is not None
        return cls(
            segment_id=metered.segment_id,
            meter=metered.meter,
            segment_started_at=metered.segment_started_at,
            period_start=record.period_start,
            period_end=record.period_end,
            from_second=metered.from_second,
            to_second=metered.to_second,
            quantity=metered.quantity,
            discount_basis_points=metered.discount_basis_points,
            list_rate_micros_per_hour=metered.list_rate,
            rate_micros_per_hour=metered.rate_micros_per_hour,
            rate_formula=metered.rate_formula,
            cumulated_from_micros=metered.cumulated_from,
            cumulated_to_micros=metered.cumulated_to,
            remainder_from=metered.remainder_at(metered.from_second),
            remainder_to=metered.remainder_at(metered.to_second),
        )


class LedgerEntryShown(ReadModel):
    """One entry of the books."""

    position: int = Field(description="Its place in the account's books: 1, 2, 3 …")
    id: UUID
    debit: str = Field(description="The account that the amount leaves.", examples=["held"])
    credit: str = Field(description="The account that it reaches.", examples=["revenue"])
    amount_micros: int
    cause: str = Field(description="What it was for; a cause posts once.")
    record_id: UUID | None
    created_at: datetime
    hash: str = Field(description="SHA-256 over this entry and the hash of the one before it.")

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """Return an entry as it is shown."""
        return cls(
            position=entry.position,
            id=entry.id,
            debit=entry.debit,
            credit=entry.credit,
            amount_micros=entry.amount,
            cause=entry.cause,
            record_id=entry.record_id,
            created_at=entry.created_at,
            hash=entry.hash,
        )


class ExplainedEvent(ReadModel):
    """An event that opened or closed the interval, or was written together with the line."""

    id: UUID
    kind: str = Field(examples=["vm.running"])
    resource_type: str
    resource_id: UUID
    created_at: datetime


class LineExplanation(ReadModel):
    """A line of the bill and everything that it follows from."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "record_id": "01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10",
                    "action_type": "vm_usage",
                    "description": "Usage of small: 3600 s at 0.05 per hour",
                    "amount": -0.05,
                    "amount_micros": -50000,
                    "list_amount_micros": -50000,
                    "discount_micros": 0,
                    "created_at": "2026-01-31T13:00:00Z",
                    "price": None,
                    "interval": None,
                    "formula": "-(floor(50000 × 3600 / 3600) - floor(50000 × 0 / 3600) = 50000 - 0 = 50000)",
                    "recomputed_micros": -50000,
                    "difference_micros": 0,
                    "entries": [],
                    "events": [],
                    "refunded_micros": 0,
                }
            ]
        }
    )

    record_id: UUID
    action_type: ActionType
    description: str
    amount: float = Field(description="Credits: charges negative, additions positive.")
    amount_micros: int = Field(description="The same in micro-credits.")
    list_amount_micros: int = Field(description="The amount without the discount.")
    discount_micros: int = Field(description="What the discount has spared: `amount_micros` - `list_amount_micros`.")
    created_at: datetime
    price: ExplainedPrice | None = Field(description="None for lines without a price, such as added credit.")
    interval: ExplainedInterval | None = Field(description="None for lines that are for no time.")
    formula: str = Field(description="The arithmetic, with its numbers.")
    recomputed_micros: int = Field(description="The amount, computed anew from interval, price or entries.")
    difference_micros: int = Field(description="`recomputed_micros` - `amount_micros`: 0.")
    entries: list[LedgerEntryShown] = Field(description="The entries of the books behind the line.")
    events: list[ExplainedEvent] = Field(description="At most 100 of them.")
    refunded_micros: int = Field(description="What was given back for the line.")

    @classmethod
    def of(cls, found: Explanation) -> Self:
        """Return an explanation as it is shown."""
        record = found.record
        return cls(
            record_id=record.id,
            action_type=ActionType(record.action_type),
            description=record.description,
            amount=to_credits(record.amount),
            amount_micros=record.amount,
            list_amount_micros=record.list_amount,
            discount_micros=record.amount - record.list_amount,
            created_at=record.created_at,
            price=None if found.price is None else ExplainedPrice.of(found.price),
            interval=None if found.metered is None else ExplainedInterval.of(record, found.metered),
            formula=found.formula,
            recomputed_micros=found.recomputed,
            difference_micros=found.recomputed - record.amount,
            entries=[LedgerEntryShown.of(entry) for entry in found.entries],
            events=[ExplainedEvent.model_validate(one) for one in found.happenings],
            refunded_micros=0 if found.refund is None else found.refund.amount,
        )
