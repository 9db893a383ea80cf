"""Statements on the wire. Amounts are whole micro-credits and, beside them, credits as JSON numbers."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Self
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

from zentry.billing.records import Record
from zentry.billing.statements import Item, Statement
from zentry.billing.types import ActionType
from zentry.platform.money import to_credits
from zentry.platform.wire import ReadModel

_EXAMPLE: Final[dict[str, JsonValue]] = {
    "id": "01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10",
    "number": 1,
    "period_start": "2026-01-01T00:00:00Z",
    "period_end": "2026-02-01T00:00:00Z",
    "currency": "USD",
    "opening_balance": 0.0,
    "added": 50.0,
    "charged": 1.25,
    "deducted": 0.0,
    "closing_balance": 48.75,
    "opening_micros": 0,
    "added_micros": 50000000,
    "charged_micros": 1250000,
    "deducted_micros": 0,
    "closing_micros": 48750000,
    "line_count": 27,
    "first_position": 1,
    "last_position": 54,
    "closed_at": "2026-02-01T01:00:00Z",
}


class StatementSummary(ReadModel):
    """A closed month. It stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    number: int = Field(description="1, 2, 3 … within the account, without a gap.")
    period_start: datetime
    period_end: datetime = Field(description="The first instant after the month, in UTC.")
    currency: str
    opening_balance: float = Field(description="Credits at the beginning, what is held included.")
    added: float = Field(description="Credits that were added.")
    charged: float = Field(description="Credits that were charged.")
    deducted: float = Field(description="Credits that were taken back.")
    closing_balance: float = Field(description="Opening + added - charged - deducted.")
    opening_micros: int
    added_micros: int
    charged_micros: int
    deducted_micros: int
    closing_micros: int
    line_count: int = Field(description="Lines of the history that moved something.")
    first_position: int = Field(description="Its first entry in the account's books.")
    last_position: int = Field(description="Its last one.")
    closed_at: datetime

    @classmethod
    def of(cls, statement: Statement) -> Self:
        """Return a statement as it is shown."""
        return cls(**_figures(statement))


def _figures(statement: Statement) -> dict[str, object]:
    return {
        **{name: getattr(statement, name) for name in StatementSummary.model_fields if hasattr(statement, name)},
        "opening_balance": to_credits(statement.opening_micros),
        "added": to_credits(statement.added_micros),
        "charged": to_credits(statement.charged_micros),
        "deducted": to_credits(statement.deducted_micros),
        "closing_balance": to_credits(statement.closing_micros),
    }


class StatementList(ReadModel):
    """Statements, the newest first."""

    statements: list[StatementSummary]
    next_before: int | None = Field(description="Send as `before` for the older ones.")


class StatementItem(ReadModel):
    """Lines for one thing at one rate, added up."""

    action_type: ActionType
    project_id: UUID | None
    vm_id: UUID | None
    resource_type: str | None
    rate_micros_per_hour: int | None
    price_version: int | None
    meter: str | None = Field(None, description="What was metered: `compute`, `storage`, `address` or `snapshot`.")
    unit: str | None = Field(None, description="What the price is for.", examples=["hour"])
    quantity: int | None = Field(None, description="How many units at once.")
    price_micros: int | None = Field(None, description="Micro-credits for one unit, as listed.")
    discount_basis_points: int | None = Field(None, description="Hundredths of a percent taken off the rate.")
    lines: int
    seconds: int
    amount: float = Field(description="Credits: charges negative, additions positive.")
    amount_micros: int

    @classmethod
    def of(cls, item: Item) -> Self:
        """Return an item as it is shown."""
        return cls(
            action_type=ActionType(item.action_type),
            project_id=item.project_id,
            vm_id=item.vm_id,
            resource_type=item.resource_type,
            rate_micros_per_hour=item.rate_micros_per_hour,
            price_version=item.price_version,
            meter=item.meter,
            unit=item.unit,
            quantity=item.quantity,
            price_micros=item.price_micros,
            discount_basis_points=item.discount_basis_points,
            lines=item.lines,
            seconds=item.seconds,
            amount=to_credits(item.micros),
            amount_micros=item.micros,
        )


class StatementDetail(StatementSummary):
    """A closed month, and what it consists of."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_EXAMPLE, "items": [], "other_lines": 0, "other_micros": 0}]}
    )

    items: list[StatementItem] = Field(description="At most 1,000, in the order of their first line.")
    other_lines: int = Field(description="Lines beyond those of `items`.")
    other_micros: int = Field(description="What those add up to; with the items, it is the change of the balance.")

    @classmethod
    def with_items(cls, statement: Statement, items: list[Item]) -> Self:
        """Return a statement with its items as it is shown."""
        change = statement.closing_micros - statement.opening_micros
        return cls(
            **_figures(statement),
            items=[StatementItem.of(item) for item in items],
            other_lines=statement.line_count - sum(item.lines for item in items),
            other_micros=change - sum(item.micros for item in items),
        )


class StatementLine(ReadModel):
    """A line of the history, as part of a statement."""

    position: int = Field(description="Its entry in the account's books.")
    record_id: UUID
    created_at: datetime
    action_type: ActionType
    description: str
    vm_id: UUID | None
    project_id: UUID | None
    period_start: datetime | None
    period_end: datetime | None
    unit: str | None = Field(None, description="What the price is for.", examples=["hour"])
    quantity: int | None = Field(None, description="How many units at once.")
    price_micros: int | None = Field(None, description="Micro-credits for one unit, as listed.")
    discount_basis_points: int | None = Field(None, description="Hundredths of a percent taken off the rate.")
    list_amount_micros: int = Field(description="The amount without the discount.")
    amount: float
    amount_micros: int

    @classmethod
    def of(cls, position: int, record: Record) -> Self:
        """Return a line as it is shown."""
        return cls(
            position=position,
            record_id=record.id,
            created_at=record.created_at,
            action_type=ActionType(record.action_type),
            description=record.description,
            vm_id=record.vm_id,
            project_id=record.project_id,
            period_start=record.period_start,
            period_end=record.period_end,
            unit=record.unit,
            quantity=record.quantity,
            price_micros=record.price_micros,
            discount_basis_points=record.discount_basis_points,
            list_amount_micros=record.list_amount,
            amount=to_credits(record.amount),
            amount_micros=record.amount,
        )


class StatementLines(ReadModel):
    """Lines of a statement, in the order of the books."""

    lines: list[StatementLine]
    next_after: int | None = Field(description="Send as `after` for the following ones.")
