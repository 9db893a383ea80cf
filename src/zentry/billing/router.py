"""Routes of credits, history and costs."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Response

from zentry.billing.errors import BalanceLimit, SelfServiceClosed
from zentry.billing.quotes import Quotes, seconds_between
from zentry.billing.reports import DAYS_PER_WEEK, BillingReports, Line, LineFilter
from zentry.billing.schemas import (
    AddCredits,
    BillingHistory,
    BillingRecord,
    BillingUnit,
    CostAnalysis,
    CostEstimate,
    CreditBalance,
    CreditsAdded,
    CreditsAddedResponse,
    MostExpensiveVM,
    UsageSummary,
)
from zentry.billing.service import BillingService
from zentry.billing.tips import tips_for
from zentry.billing.types import ActionType
from zentry.operations.once import OnceDep
from zentry.platform.errors import IdempotencyMismatch, InvalidInput, NotFound
from zentry.platform.ids import parse_id
from zentry.platform.instants import QueryInstant, first_instant, last_instant
from zentry.platform.money import InvalidAmount, format_credits, from_credits, to_credits
from zentry.platform.pagination import CURSOR_PATTERN, decode_cursor, encode_cursor
from zentry.platform.web import CallerDep, EdgeDep, raises
from zentry.platform.wire import one_of_catalogue

router = APIRouter(prefix="/billing", tags=["Billing"])

_HOURS_PER_MONTH: Final = 24 * 30
_MAX_PAGE: Final = 100_000
PeriodDays = Annotated[int, Query(ge=1, le=365, description="Length of the period in days, until now.")]


@router.get("/credits", summary="Show the balance")
async def get_credits(caller: CallerDep, edge: EdgeDep) -> CreditBalance:
    """Balance, what is held, what has accrued, what it costs per hour, and when the credit ends, to the second."""
    async with edge.read() as tx:
        reports = BillingReports(tx, caller.user_id)
        balance, count = await reports.balance()
        standing = await edge.service(Quotes, tx).stand(caller.user_id)
        last = await reports.last_line()
        today = tx.now.date()
        daily, weekly, monthly = await reports.spent_since(
            today, today - timedelta(days=DAYS_PER_WEEK - 1), today.replace(day=1)
        )
    return CreditBalance(
        current_credits=to_credits(balance.credits),
        available_credits=to_credits(balance.available),
        held_credits=to_credits(balance.held),
        accrued_cost=to_credits(standing.accrued),
        burn_rate_per_hour=to_credits(standing.rate_micros_per_hour),
        credit_ends_at=standing.credit_ends_at,
        seconds_to_empty=seconds_between(standing.now, standing.credit_ends_at),
        discount_percent=standing.discount_basis_points / 100,
        total_spent=to_credits(balance.total_spent),
        monthly_spending=to_credits(monthly),
        weekly_spending=to_credits(weekly),
        daily_spending=to_credits(daily),
        projected_monthly_cost=to_credits(daily * 30),
        last_transaction=last.created_at if last else None,
        credit_history_count=count,
        timestamp=tx.now,
    )


@router.get("/history", summary="List the history")
async def get_billing_history(
    caller: CallerDep,
    edge: EdgeDep,
    page: Annotated[int, Query(ge=1, le=_MAX_PAGE, description="Page, from 1.")] = 1,
    limit: Annotated[int, Query(ge=1, le=100, description="Lines per page.")] = 20,
    action_type: Annotated[ActionType | None, Query(description="Only lines of this type.")] = None,
    vm_id: Annotated[str | None, Query(max_length=64, description="Only lines of this machine.")] = None,
    project_id: Annotated[str | None, Query(max_length=64, description="Only lines of this project.")] = None,
    start_date: Annotated[QueryInstant | None, Query(description="Only lines from this day or time on.")] = None,
    end_date: Annotated[QueryInstant | None, Query(description="Only lines until this day or time.")] = None,
    cursor: Annotated[
        str | None, Query(pattern=CURSOR_PATTERN, description="`next_cursor` of the page before.")
    ] = None,
) -> BillingHistory:
    """Every charge and every addition, the newest first. With `cursor`, `page` is not looked at.

    An end before the start leaves nothing.
    """
    wanted_vm = None if vm_id is None else parse_id(vm_id)
    wanted_project = None if project_id is None else parse_id(project_id)
    wanted = LineFilter(
        action_type=action_type,
        vm_id=wanted_vm,
        project_id=wanted_project,
        start=None if start_date is None else first_instant(start_date),
        end=None if end_date is None else last_instant(end_date),
    )
    before = None if cursor is None else decode_cursor(cursor)[1:]
    if (vm_id is not None and wanted_vm is None) or (project_id is not None and wanted_project is None):
        return _page([], total=0, page=page, limit=limit, more=False)
    async with edge.read() as tx:
        reports = BillingReports(tx, caller.user_id)
        total = (await reports.balance())[1] if wanted.is_empty else await reports.count(wanted)
        lines = await reports.lines(wanted, limit=limit + 1, offset=(page - 1) * limit, before=before)
    return _page(list(lines[:limit]), total=total, page=page, limit=limit, more=len(lines) > limit)


@router.post(
    "/credits/add", summary="Add credits", responses=raises(BalanceLimit, SelfServiceClosed, IdempotencyMismatch)
)
async def add_credits(
    body: AddCredits, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> CreditsAddedResponse:
    """Add credits to your own account, where the platform lets users do so; administrators always may.

    Send an `Idempotency-Key`, so that a repeat adds nothing; it is answered with the balance as it is then.
    """
    try:
        amount = from_credits(body.amount)
    except InvalidAmount as error:
        raise InvalidInput.at("amount", str(error)) from error
    async with edge.work() as tx:
        billing = edge.service(BillingService, tx)

        async def add() -> UUID:
            billing.ensure_may_top_up(amount, caller=caller)
            record_id, _, _ = await billing.add_credits(
                caller.user_id, amount, description=body.description.strip() or "Credits added"
            )
            return record_id

        record_id = await once.resource(tx, add)
        balance, _ = await BillingReports(tx, caller.user_id).balance()
    response.headers.update(once.headers)
    return CreditsAddedResponse(
        message=f"Added {format_credits(amount)} credits",
        data=CreditsAdded(
            amount_added=to_credits(amount),
            previous_balance=to_credits(balance.credits - amount),
            new_balance=to_credits(balance.credits),
            transaction_id=str(record_id),
            timestamp=tx.now,
        ),
        timestamp=tx.now,
    )


@router.get("/usage-summary", summary="Summarise usage")
async def get_usage_summary(caller: CallerDep, edge: EdgeDep, period_days: PeriodDays = 30) -> UsageSummary:
    """What runs now, what that costs, and what the period has cost."""
    async with edge.read() as tx:
        reports = BillingReports(tx, caller.user_id)
        start = tx.now - timedelta(days=period_days)
        balance, _ = await reports.balance()
        rate, _ = await reports.running()
        total, running = await reports.count_vms()
        spent = await reports.cost_by("user_id", since=start)
        lines = await reports.count(LineFilter(start=start))
    return UsageSummary(
        user_id=str(caller.user_id),
        total_vms=total,
        active_vms=running,
        hourly_cost=to_credits(rate),
        projected_monthly_cost=to_credits(rate * _HOURS_PER_MONTH),
        current_credits=to_credits(balance.credits),
        total_spent=to_credits(sum(spent.values())),
        billing_records_count=lines,
        period_start=start,
        period_end=tx.now,
    )


@router.get("/cost-analysis", summary="Analyse costs")
async def get_cost_analysis(caller: CallerDep, edge: EdgeDep, period_days: PeriodDays = 30) -> CostAnalysis:
    """Where the credits of a period went: by type, by action, by day, and the dearest machine."""
    async with edge.read() as tx:
        reports = BillingReports(tx, caller.user_id)
        start = tx.now - timedelta(days=period_days)
        by_type = await reports.cost_by("resource_type", since=start)
        by_action = await reports.cost_by("action_type", since=start)
        by_vm = await reports.cost_by("vm_id", since=start)
        trend = await reports.cost_by_day(first=tx.now.date() - timedelta(days=DAYS_PER_WEEK - 1), days=DAYS_PER_WEEK)
        dearest = max(by_vm, key=lambda vm_id: (by_vm[vm_id], str(vm_id)), default=None)
        name = "" if dearest is None else await reports.name_of(dearest)
        total_vms, running_vms = await reports.count_vms()
        balance, _ = await reports.balance()
        rate, _ = await reports.running()
    total = sum(by_action.values())
    return CostAnalysis(
        period_days=period_days,
        period_start=start,
        period_end=tx.now,
        total_cost=to_credits(total),
        cost_by_vm_type={key: to_credits(value) for key, value in sorted(by_type.items())},
        cost_by_action={key: to_credits(value) for key, value in sorted(by_action.items())},
        daily_average=to_credits(total // period_days),
        weekly_trend=[to_credits(value) for value in trend],
        most_expensive_vm=None
        if dearest is None
        else MostExpensiveVM(vm_id=str(dearest), name=name, cost=to_credits(by_vm[dearest])),
        cost_optimization_tips=tips_for(
            stopped_vms=total_vms - running_vms, rate_micros_per_hour=rate, available_micros=balance.available
        ),
        analysis_timestamp=tx.now,
    )


@router.get("/cost", summary="Calculate a cost", responses=raises(NotFound))
async def get_cost(
    caller: CallerDep,
    edge: EdgeDep,
    instance_type: Annotated[
        str,
        Query(
            min_length=1,
            max_length=50,
            description="A type of `GET /instance-types`.",
            examples=["small"],
            json_schema_extra=one_of_catalogue("instance-types"),
        ),
    ],
    hours: Annotated[
        float, Query(ge=0, le=87_600, allow_inf_nan=False, description="How long it runs.", examples=[24])
    ],
) -> CostEstimate:
    """What a machine of this type costs for so many hours at today's prices, without the fee for creating it."""
    del caller
    async with edge.read() as tx:
        billing = edge.service(BillingService, tx)
        prices = await billing.get_price_list()
        if instance_type not in prices.micros or instance_type == ActionType.VM_CREATE:
            raise NotFound("Instance type")
        cost = await billing.calculate_vm_cost(instance_type, hours=hours)
    return CostEstimate(
        instance_type=instance_type,
        hours=hours,
        cost=to_credits(cost),
        cost_per_hour=to_credits(prices.micros[instance_type]),
        price_version=prices.version,
    )


def _page(lines: list[Line], *, total: int, page: int, limit: int, more: bool) -> BillingHistory:
    return BillingHistory(
        items=[_record(line) for line in lines],
        total=total,
        page=page,
        limit=limit,
        pages=-(-total // limit),
        has_next=more,
        has_prev=page > 1,
        next_cursor=encode_cursor(0, lines[-1].created_at, lines[-1].id) if more else None,
    )


def _record(line: Line) -> BillingRecord:
    return BillingRecord(
        id=str(line.id),
        user_id=str(line.user_id),
        vm_id=None if line.vm_id is None else str(line.vm_id),
        project_id=None if line.project_id is None else str(line.project_id),
        action_type=ActionType(line.action_type),
        amount=to_credits(line.amount),
        description=line.description,
        created_at=line.created_at,
        unit=_unit(line),
        quantity=line.quantity,
        unit_price=None if line.price_micros is None else to_credits(line.price_micros),
        discount_percent=None if line.discount_basis_points is None else line.discount_basis_points / 100,
        price_version=line.price_version,
        period_start=line.period_start,
        period_end=line.period_end,
    )


def _unit(line: Line) -> BillingUnit:
    """Return a line's unit; lines of before units were kept tell by what they are for."""
    if line.unit is not None:
        return BillingUnit(line.unit)
    return _UNITS.get(ActionType(line.action_type), BillingUnit.CREDIT)


_UNITS: Final = {ActionType.VM_CREATE: BillingUnit.EACH, ActionType.VM_USAGE: BillingUnit.HOUR}
