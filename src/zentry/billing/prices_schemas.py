"""Price lists, discounts and grants that end, on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field

from zentry.billing.schemas import BillingUnit
from zentry.platform.wire import WHOLE, GivenTime, ReadModel, WriteModel

_Price = Annotated[
    float,
    Field(ge=0, le=1000, description="Credits, with at most six decimal places.", examples=[0.05]),
    Field(json_schema_extra={"multipleOf": 0.000001}),
]
OptionalPrice = Annotated[_Price | None, Field(description="Credits; left out, it stays as it is.")]


class Price(ReadModel):
    """What one unit of something costs."""

    price: float
    unit: BillingUnit


class PriceListResponse(ReadModel):
    """One version of the prices."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "version": 2,
                    "effective_at": "2026-03-01T00:00:00Z",
                    "in_force": False,
                    "currency": "USD",
                    "prices": {"small": {"price": 0.06, "unit": "hour"}},
                }
            ]
        }
    )

    version: int
    effective_at: datetime = Field(description="From this second on it is charged by.")
    in_force: bool
    currency: str
    prices: dict[str, Price] = Field(description="By instance type, fee or meter. What is not named is free.")


class PriceLists(ReadModel):
    """Every price list, the newest first."""

    price_lists: list[PriceListResponse]


class InstanceTypePrice(WriteModel):
    """What a running machine of a type costs per hour."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"instance_type": "small", "price": 0.06}]})

    instance_type: str = Field(min_length=1, max_length=50, examples=["small"])
    price: _Price


class PriceListAnnouncement(WriteModel):
    """Prices that are to come. What is not named stays as in the list before."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "effective_at": "2100-03-01T00:00:00Z",
                    "instance_types": [{"instance_type": "small", "price": 0.06}],
                    "storage": 0.0001,
                }
            ]
        }
    )

    effective_at: GivenTime = Field(
        description="From this second on it is charged by. It must be later than every list that is announced, and far "
        "enough ahead."
    )
    instance_types: list[InstanceTypePrice] = Field(
        default=[], max_length=100, description="Per hour of running, with disk and address."
    )
    vm_create: _Price | None = Field(None, description="Once, when a machine first runs.")
    storage: _Price | None = Field(None, description="Per GiB and hour, for the disk of a machine that stands still.")
    address: _Price | None = Field(None, description="Per hour, for the address of a machine that stands still.")
    snapshot: _Price | None = Field(None, description="Per GiB and hour of a snapshot.")


class DiscountChange(WriteModel):
    """A discount on every rate of an account."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"percent": 12.5, "reason": "University"}]})

    percent: float = Field(
        ge=0, le=100, description="0 ends it. At most two decimal places.", json_schema_extra={"multipleOf": 0.01}
    )
    reason: str = Field(min_length=1, max_length=200, description="Kept in the event log.")


class Discount(ReadModel):
    """The discount of an account."""

    user_id: UUID
    percent: float
    since: datetime = Field(description="From this second on everything is charged with it.")


class GrantCreate(WriteModel):
    """Credit that ends."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"amount": 25, "days": 90, "reason": "Spring course"}]})

    amount: float = Field(
        ge=0.000001,
        le=1_000_000,
        description="Credits, with at most six decimal places.",
        json_schema_extra={"multipleOf": 0.000001},
    )
    days: Annotated[int, Field(ge=1, le=3650), WHOLE] = Field(description="It ends so many days from now.")
    reason: str = Field(min_length=1, max_length=200, description="Shown in the history of the account.")


class GrantResponse(ReadModel):
    """Credit that ends, and what was not spent of it."""

    id: UUID
    reason: str
    amount: float
    remaining: float = Field(description="What was not spent of it by the last charge.")
    expires_at: datetime
    taken_back: float | None = Field(description="What was taken back at its end; null before.")


class Grants(ReadModel):
    """Grants that end, in the order in which they are spent; those that have ended come last."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "grants": [
                        {
                            "id": "01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10",
                            "reason": "Spring course",
                            "amount": 25.0,
                            "remaining": 11.25,
                            "expires_at": "2026-06-01T12:00:00Z",
                            "taken_back": None,
                        }
                    ]
                }
            ]
        }
    )

    grants: list[GrantResponse]
