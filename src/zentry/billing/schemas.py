"""Billing on the wire. Amounts are credits as JSON numbers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from zentry.billing.types import ActionType
from zentry.platform.wire import ReadModel, WriteModel

Credits = Annotated[float, Field(description="Credits.", examples=[12.5])]


class BillingUnit(StrEnum):
    """What a line counts."""

    HOUR = "hour"
    GIB_HOUR = "gib_hour"
    EACH = "each"
    CREDIT = "credit"


class CreditBalance(ReadModel):
    """An account's money now."""

    current_credits: Credits = Field(description="Balance, of which `held_credits` is reserved for what runs.")
    available_credits: Credits = Field(description="What can be spent on something new.")
    held_credits: Credits = Field(description="Reserved for machines that run or are being created.")
    accrued_cost: Credits = Field(description="Used since the last charge; the next charges take it from what is held.")
    burn_rate_per_hour: Credits = Field(description="What everything that runs costs per hour.")
    credit_ends_at: datetime | None = Field(
        None,
        description="When the first machine stops, or the first disk is not paid any longer, if all goes on as it is; "
        "null where nothing runs, or not within a year.",
    )
    seconds_to_empty: int | None = Field(None, description="Seconds until `credit_ends_at`.")
    discount_percent: float = Field(0.0, description="Taken off every rate.")
    total_spent: Credits = Field(description="Everything that was ever charged.")
    monthly_spending: Credits = Field(description="Charged since the first of this month (UTC).")
    weekly_spending: Credits = Field(description="Charged in the last seven days.")
    daily_spending: Credits = Field(description="Charged today (UTC).")
    projected_monthly_cost: Credits = Field(description="Today's spending × 30.")
    last_transaction: datetime | None = Field(description="Time of the newest line of the history.")
    credit_history_count: int = Field(description="Number of lines in the history.")
    timestamp: datetime


class BillingRecord(ReadModel):
    """One line of the history."""

    id: str = Field(examples=["01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10"])
    user_id: str
    vm_id: str | None
    project_id: str | None
    action_type: ActionType
    amount: float = Field(description="Credits: charges negative, additions positive.", examples=[-0.05])
    description: str
    created_at: datetime
    unit: BillingUnit = Field(description="What `quantity` counts: machines for an hour, GiB for an hour, or pieces.")
    quantity: int | None = Field(None, description="How many units; null where the line is not for use.")
    unit_price: float | None = Field(None, description="Credits for one unit, as listed.")
    discount_percent: float | None = Field(None, description="What is taken off; null where the line is not for use.")
    price_version: int | None = Field(None, description="The price list.")
    period_start: datetime | None = Field(None, description="Start of the time that is charged.")
    period_end: datetime | None = Field(None, description="End of the time that is charged.")


class BillingHistory(ReadModel):
    """A page of the history, the newest line first."""

    items: list[BillingRecord]
    total: int = Field(description="Lines that the filter finds.")
    page: int
    limit: int
    pages: int
    has_next: bool
    has_prev: bool
    next_cursor: str | None = Field(description="Send as `cursor` for the page after this one.")


class AddCredits(WriteModel):
    """How many credits to add."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"amount": 25, "description": "March"}]})

    amount: float = Field(
        gt=0,
        le=1_000_000,
        description="Credits to add, with at most six decimal places.",
        examples=[25],
        json_schema_extra={"multipleOf": 0.000001},
    )
    description: str = Field("", max_length=200, description="Shown in the history.")


class CreditsAdded(ReadModel):
    """What the addition did."""

    amount_added: float
    previous_balance: float
    new_balance: float
    transaction_id: str
    timestamp: datetime


class CreditsAddedResponse(ReadModel):
    """The answer to adding credits."""

    success: Literal[True] = True
    message: str
    data: CreditsAdded
    errors: list[str] | None = None
    timestamp: datetime


class UsageSummary(ReadModel):
    """What the account runs and what that costs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user_id": "01980f3c-7c1e-7d42-9a56-2f4f0f1f6a10",
                    "total_vms": 2,
                    "active_vms": 1,
                    "hourly_cost": 0.05,
                    "projected_monthly_cost": 36.0,
                    "current_credits": 48.75,
                    "total_spent": 1.25,
                    "billing_records_count": 9,
                    "period_start": "2026-01-01T12:00:00Z",
                    "period_end": "2026-01-31T12:00:00Z",
                }
            ]
        }
    )

    user_id: str
    total_vms: int = Field(description="Machines that are not terminated.")
    active_vms: int = Field(description="Machines that run.")
    hourly_cost: float = Field(description="What everything that runs costs per hour.")
    projected_monthly_cost: float = Field(description="Hourly cost × 24 × 30.")
    current_credits: float
    total_spent: float = Field(description="Charged within the period.")
    billing_records_count: int = Field(description="Lines within the period.")
    period_start: datetime
    period_end: datetime


class MostExpensiveVM(ReadModel):
    """The machine that cost the most within the period."""

    vm_id: str
    name: str
    cost: float


class CostAnalysis(ReadModel):
    """Where the credits of a period went."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "period_days": 30,
                    "period_start": "2026-01-01T12:00:00Z",
                    "period_end": "2026-01-31T12:00:00Z",
                    "total_cost": 1.25,
                    "cost_by_vm_type": {"small": 1.25},
                    "cost_by_action": {"vm_create": 0.05, "vm_usage": 1.2},
                    "daily_average": 0.041666,
                    "weekly_trend": [0.0, 0.0, 0.0, 0.0, 0.05, 0.6, 0.6],
                    "most_expensive_vm": {
                        "vm_id": "01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10",
                        "name": "web-1",
                        "cost": 1.25,
                    },
                    "cost_optimization_tips": ["Stop machines that you do not use."],
                    "analysis_timestamp": "2026-01-31T12:00:00Z",
                }
            ]
        }
    )

    period_days: int
    period_start: datetime
    period_end: datetime
    total_cost: float
    cost_by_vm_type: dict[str, float]
    cost_by_action: dict[str, float]
    daily_average: float
    weekly_trend: list[float] = Field(description="The last seven days, the oldest first.")
    most_expensive_vm: MostExpensiveVM | None
    cost_optimization_tips: list[str]
    analysis_timestamp: datetime


class CostEstimate(ReadModel):
    """What a machine of a type costs for a time."""

    instance_type: str
    hours: float
    cost: float
    cost_per_hour: float
    price_version: int
