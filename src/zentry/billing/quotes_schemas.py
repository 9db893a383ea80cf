"""Quotes and forecasts on the wire. Amounts are credits as JSON numbers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from zentry.billing.prices_schemas import InstanceTypePrice, OptionalPrice
from zentry.platform.wire import WHOLE, ReadModel, WriteModel, one_of_catalogue, pattern_in_words

_TIME: Final = pattern_in_words("^([01][0-9]|2[0-3]):[0-5][0-9]$", "a time of the day such as 18:30")
_YEAR: Final = 366 * 24 * 60
_SOONEST: Final = 26 * 60
_Type = Annotated[
    str,
    Field(
        min_length=1,
        max_length=50,
        description="A type of `GET /instance-types`.",
        examples=["small"],
        json_schema_extra=one_of_catalogue("instance-types"),
    ),
]
_Minutes = Annotated[int, Field(ge=0, le=_YEAR), WHOLE]
_Time = Annotated[str, Field(pattern=_TIME, examples=["18:30"])]


class QuoteRequest(WriteModel):
    """Machines that might be created."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"instance_type": "small", "count": 2}]})

    instance_type: _Type
    count: Annotated[int, Field(ge=1, le=100), WHOLE] = Field(1, description="How many of them.")


class QuoteResponse(ReadModel):
    """What machines would cost you, at the prices in force and those that are announced."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "instance_type": "small",
                    "count": 2,
                    "currency": "USD",
                    "price_version": 1,
                    "discount_percent": 0.0,
                    "price_per_hour": 0.1,
                    "price_per_30_days": 72.0,
                    "create_fee": 0.1,
                    "hold": 0.2,
                    "required": 0.2,
                    "available": 50.0,
                    "is_affordable": True,
                    "credit_ends_at": None,
                    "credit_would_end_at": "2026-01-22T05:00:00Z",
                }
            ]
        }
    )

    instance_type: str
    count: int
    currency: str
    price_version: int
    discount_percent: float
    price_per_hour: float = Field(description="Of all of them, while they run, less the discount.")
    price_per_30_days: float = Field(description="720 hours from now on, price changes that are announced included.")
    create_fee: float = Field(description="Charged once, when they first run.")
    hold: float = Field(description="What would be held at the request: the fees and a first window.")
    required: float = Field(description="What has to be available for that.")
    available: float
    is_affordable: bool
    credit_ends_at: datetime | None = Field(
        description="When the first thing would stop as it is; null where nothing runs, or not within a year."
    )
    credit_would_end_at: datetime | None = Field(description="The same with these machines.")


class PlannedMachines(WriteModel):
    """Machines of a plan."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "web", "instance_type": "small", "stop_at": "20:00"}]}
    )

    name: str = Field(min_length=1, max_length=64, description="What the forecast calls them.", examples=["web"])
    instance_type: _Type
    count: Annotated[int, Field(ge=1, le=50), WHOLE] = Field(1, description="How many of them.")
    create_after_minutes: _Minutes = Field(0, description="They are created so many minutes from now.")
    delete_after_minutes: _Minutes | None = Field(None, description="They are deleted so many minutes from now.")
    stop_at: _Time | None = Field(None, description="They are stopped every day at this time (UTC).")
    start_at: _Time | None = Field(None, description="They are started every day at this time (UTC).")


class PlannedCredit(WriteModel):
    """Credits that are to be added."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"after_minutes": 1440, "amount": 10}]})

    after_minutes: _Minutes = Field(description="So many minutes from now.")
    amount: float = Field(ge=0.000001, le=1_000_000, description="Credits.", json_schema_extra={"multipleOf": 0.000001})


class PlannedPrices(WriteModel):
    """A price list that might come. What is not named stays as in the list before."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"after_minutes": 2880, "storage": 0.0001}]})

    after_minutes: Annotated[int, Field(ge=_SOONEST, le=_YEAR), WHOLE] = Field(
        description="So many minutes from now, at least 26 hours. What is announced for later gives way to it."
    )
    instance_types: list[InstanceTypePrice] = Field(default=[], max_length=100, description="Per hour of running.")
    vm_create: OptionalPrice = None
    storage: OptionalPrice = None
    address: OptionalPrice = None
    snapshot: OptionalPrice = None


class ForecastRequest(WriteModel):
    """A plan: what is to happen beside what runs now, which goes on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "days": 30,
                    "machines": [
                        {
                            "name": "web",
                            "instance_type": "small",
                            "count": 2,
                            "stop_at": "20:00",
                            "start_at": "06:00",
                        }
                    ],
                    "credits": [{"after_minutes": 14400, "amount": 10}],
                    "prices": {
                        "after_minutes": 10080,
                        "instance_types": [{"instance_type": "small", "price": 0.06}],
                    },
                }
            ]
        }
    )

    days: Annotated[int, Field(ge=1, le=366), WHOLE] = Field(30, description="How far ahead.")
    machines: list[PlannedMachines] = Field(default=[], max_length=50, description="Beside what runs now.")
    credits: list[PlannedCredit] = Field(default=[], max_length=100, description="Credits that are to be added.")
    prices: PlannedPrices | None = Field(None, description="A price list that might come.")


class ForecastPoint(ReadModel):
    """The account at an instant."""

    at: datetime
    credits: float = Field(description="What is left, without everything that was used by then.")
    available: float = Field(description="What could be spent or held.")
    price_per_hour: float = Field(description="What everything costs per hour then.")
    spent: float = Field(description="What was used since now.")


class ForecastFailure(ReadModel):
    """Something that would not go as planned."""

    at: datetime
    what: str = Field(description="`create refused`, `start refused` or `stopped for credit`.")
    name: str = Field(description="The machine: by its name in the plan, or by its id.")
    required: float | None = Field(description="What a refused machine would have needed.")
    available: float | None = Field(description="What there would have been.")


class ForecastResponse(ReadModel):
    """What would come of a plan."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "start": "2026-01-01T12:00:00Z",
                    "until": "2026-01-02T12:00:00Z",
                    "spent": 1.25,
                    "credits": 48.75,
                    "first_failure": None,
                    "failures": [],
                    "curve": [
                        {
                            "at": "2026-01-01T12:00:00Z",
                            "credits": 49.95,
                            "available": 49.9,
                            "price_per_hour": 0.05,
                            "spent": 0.05,
                        }
                    ],
                }
            ]
        }
    )

    start: datetime
    until: datetime
    spent: float
    credits: float = Field(description="What is left at the end.")
    first_failure: ForecastFailure | None
    failures: list[ForecastFailure] = Field(description="The first hundred.")
    curve: list[ForecastPoint] = Field(description="One point a day, from now to the end.")
