"""Routes of what is known before: quotes and forecasts. They change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

from fastapi import APIRouter

from zentry.billing.errors import ForecastTooLarge
from zentry.billing.forecast import Forecast, Plan, PlannedMachine, Trouble
from zentry.billing.quotes import Quote, Quotes
from zentry.billing.quotes_schemas import (
    ForecastFailure,
    ForecastPoint,
    ForecastRequest,
    ForecastResponse,
    PlannedMachines,
    PlannedPrices,
    QuoteRequest,
    QuoteResponse,
)
from zentry.platform.clock import whole_second
from zentry.platform.errors import InvalidInput, NotFound
from zentry.platform.money import InvalidAmount, from_credits, to_credits
from zentry.platform.web import CallerDep, EdgeDep, raises

router = APIRouter(prefix="/billing", tags=["Billing"])

_MOST_FAILURES: Final = 100


@router.post("/quote", summary="Quote machines", responses=raises(NotFound))
async def quote_machines(body: QuoteRequest, caller: CallerDep, edge: EdgeDep) -> QuoteResponse:
    """What machines would cost you per hour and in 30 days, what would be held, and when your credit would end."""
    async with edge.read() as tx:
        quote = await edge.service(Quotes, tx).quote(caller.user_id, body.instance_type, count=body.count)
    return quote_response(quote)


@router.post("/forecast", summary="Forecast a plan", responses=raises(NotFound, ForecastTooLarge))
async def forecast_plan(body: ForecastRequest, caller: CallerDep, edge: EdgeDep) -> ForecastResponse:
    """What a plan would do to your credit, day by day, and the first thing that would fail.

    It is played by the code by which everybody is charged, from your account as it is. A machine of the
    plan runs from the second at which it is asked for.
    """
    async with edge.read() as tx:
        now = whole_second(tx.now)
        plan = Plan(
            until=now + timedelta(days=body.days),
            machines=list(chain.from_iterable(_machines(one, now) for one in body.machines)),
            credits=[(now + timedelta(minutes=one.after_minutes), _amount(one.amount)) for one in body.credits],
        )
        change = None if body.prices is None else _change(body.prices, now)
        forecast = await edge.service(Quotes, tx).forecast(caller.user_id, plan, change=change)
    return _forecast_response(forecast)


def quote_response(quote: Quote) -> QuoteResponse:
    """Return a quote as clients see it."""
    return QuoteResponse(
        instance_type=quote.instance_type,
        count=quote.count,
        currency=quote.currency,
        price_version=quote.price_version,
        discount_percent=quote.discount_basis_points / 100,
        price_per_hour=to_credits(quote.rate_micros_per_hour),
        price_per_30_days=to_credits(quote.month_micros),
        create_fee=to_credits(quote.fee_micros),
        hold=to_credits(quote.hold_micros),
        required=to_credits(quote.required_micros),
        available=to_credits(quote.available_micros),
        is_affordable=quote.required_micros <= quote.available_micros,
        credit_ends_at=quote.ends_now,
        credit_would_end_at=quote.ends_then,
    )


def _machines(planned: PlannedMachines, now: datetime) -> list[PlannedMachine]:
    delete_at = planned.delete_after_minutes
    return [
        PlannedMachine(
            planned.name if planned.count == 1 else f"{planned.name} {number}",
            planned.instance_type,
            now + timedelta(minutes=planned.create_after_minutes),
            None if delete_at is None else now + timedelta(minutes=max(delete_at, planned.create_after_minutes)),
            _minute(planned.stop_at),
            _minute(planned.start_at),
        )
        for number in range(1, planned.count + 1)
    ]


def _minute(time: str | None) -> int | None:
    return None if time is None else int(time[:2]) * 60 + int(time[3:])


def _amount(amount: float) -> int:
    try:
        return from_credits(amount)
    except InvalidAmount as error:
        raise InvalidInput.at("credits", str(error)) from error


def _change(planned: PlannedPrices, now: datetime) -> tuple[datetime, Mapping[str, float]]:
    named = {
        "vm_create": planned.vm_create,
        "storage": planned.storage,
        "address": planned.address,
        "snapshot": planned.snapshot,
    }
    prices = {one.instance_type: one.price for one in planned.instance_types}
    prices |= {item: price for item, price in named.items() if price is not None}
    return now + timedelta(minutes=planned.after_minutes), prices


def _forecast_response(forecast: Forecast) -> ForecastResponse:
    failures = [_failure(one) for one in forecast.troubles[:_MOST_FAILURES]]
    curve = [
        ForecastPoint(
            at=point.at,
            credits=to_credits(point.left),
            available=to_credits(point.available),
            price_per_hour=to_credits(point.rate_micros_per_hour),
            spent=to_credits(point.spent),
        )
        for point in forecast.points
    ]
    return ForecastResponse(
        start=curve[0].at,
        until=curve[-1].at,
        spent=curve[-1].spent,
        credits=curve[-1].credits,
        first_failure=failures[0] if failures else None,
        failures=failures,
        curve=curve,
    )


def _failure(trouble: Trouble) -> ForecastFailure:
    return ForecastFailure(
        at=trouble.at,
        what=trouble.what,
        name=trouble.name,
        required=None if trouble.required is None else to_credits(trouble.required),
        available=None if trouble.available is None else to_credits(trouble.available),
    )
