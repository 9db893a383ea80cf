"""Routes of budgets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Self
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import ConfigDict, Field

from zentry.billing.budgets import Action, Basis, Budget, BudgetService, Scope, Standing, Threshold
from zentry.billing.errors import BudgetNameTaken, TooManyBudgets
from zentry.operations.once import OnceDep
from zentry.platform.errors import IdempotencyMismatch, InvalidInput, NotFound
from zentry.platform.ids import parse_id
from zentry.platform.money import InvalidAmount, from_credits, to_credits
from zentry.platform.web import CallerDep, EdgeDep, raises
from zentry.platform.wire import TITLE_PATTERN, WHOLE, APIResponse, ReadModel, WriteModel, fields_together, one_field_of

router = APIRouter(prefix="/billing/budgets", tags=["Billing"])

_PERCENT: Final = 100
BudgetId = Annotated[str, Path(description="Id of a budget.", examples=["01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10"])]
Amount = Annotated[
    float,
    Field(
        ge=0.000001,
        le=1_000_000,
        description="Credits, with at most six decimal places.",
        json_schema_extra={"multipleOf": 0.000001},
    ),
]
Name = Annotated[
    str, Field(min_length=1, max_length=100, pattern=TITLE_PATTERN, description="Unique within the account.")
]


class ThresholdWrite(WriteModel):
    """A limit, in percent of the budget or in credits, and what happens there."""

    model_config = ConfigDict(json_schema_extra=one_field_of("percent", "amount"))

    basis: Annotated[Basis, Field(strict=False)] = Field(
        Basis.ACTUAL,
        description="`actual`: charged and accrued. `forecast`: that and what runs, until the month's end.",
    )
    percent: Annotated[int, Field(ge=1, le=1000), WHOLE] | None = Field(
        None, description="Of the budget's amount; this or `amount`."
    )
    amount: Amount | None = None
    action: Annotated[Action, Field(strict=False)] = Field(
        Action.NOTIFY,
        description="`notify` records an event; `block_creation` refuses new machines as well; `suspend` also stops "
        "what runs and lets nothing start.",
    )


class BudgetChange(WriteModel):
    """A budget as it is to be."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Course", "amount": 20, "thresholds": [{"percent": 80}, {"percent": 100}]}]
        }
    )

    name: Name
    amount: Amount
    thresholds: list[ThresholdWrite] = Field(min_length=1, max_length=20, description="At most 20.")


class BudgetCreate(BudgetChange):
    """A budget to be kept."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Lab", "amount": 20, "thresholds": [{"percent": 100, "action": "block_creation"}]}],
            **fields_together("label_key", "label_value"),
        }
    )

    project_id: str | None = Field(None, max_length=64, description="Only this project; without it, all of them.")
    label_key: str | None = Field(None, min_length=1, max_length=63, description="Only machines with this label.")
    label_value: str | None = Field(None, max_length=63, description="The label's value; together with `label_key`.")


class ThresholdResponse(ReadModel):
    """A limit of a budget."""

    basis: Basis
    action: Action
    amount: float
    amount_micros: int
    is_reached: bool


class BudgetResponse(ReadModel):
    """A budget, and where it stands this month (UTC)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01936b5c-1a2b-7c3d-8e4f-5a6b7c8d9e0f",
                    "name": "Lab",
                    "project_id": None,
                    "label_key": None,
                    "label_value": None,
                    "amount": 20,
                    "actual": 12.5,
                    "forecast": 21.25,
                    "actual_micros": 12_500_000,
                    "forecast_micros": 21_250_000,
                    "thresholds": [
                        {
                            "basis": "actual",
                            "action": "block_creation",
                            "amount": 20,
                            "amount_micros": 20_000_000,
                            "is_reached": False,
                        }
                    ],
                    "created_at": "2026-01-02T09:00:00Z",
                    "updated_at": "2026-01-02T09:00:00Z",
                }
            ]
        }
    )

    id: UUID
    name: str
    project_id: UUID | None
    label_key: str | None
    label_value: str | None
    amount: float
    actual: float = Field(description="Charged and accrued this month.")
    forecast: float = Field(description="By the month's end, if what runs now runs on.")
    actual_micros: int
    forecast_micros: int
    thresholds: list[ThresholdResponse]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, budget: Budget, standing: Standing) -> Self:
        """Return a budget as it is shown."""
        return cls(
            id=budget.id,
            name=budget.name,
            project_id=budget.scope.project_id,
            label_key=budget.scope.label_key,
            label_value=budget.scope.label_value,
            amount=to_credits(budget.amount_micros),
            actual=to_credits(standing.actual),
            forecast=to_credits(standing.forecast),
            actual_micros=standing.actual,
            forecast_micros=standing.forecast,
            thresholds=[
                ThresholdResponse(
                    basis=threshold.basis,
                    action=threshold.action,
                    amount=to_credits(threshold.micros),
                    amount_micros=threshold.micros,
                    is_reached=standing.reached(threshold),
                )
                for threshold in budget.thresholds
            ],
            created_at=budget.created_at,
            updated_at=budget.updated_at,
        )


@router.get("", summary="List budgets")
async def list_budgets(caller: CallerDep, edge: EdgeDep) -> list[BudgetResponse]:
    """Your budgets by name, and where each stands; an account has 50 at most."""
    async with edge.read() as tx:
        service = edge.service(BudgetService, tx)
        return [
            BudgetResponse.of(budget, await service.standing(budget))
            for budget in await service.list_budgets(caller.user_id)
        ]


@router.post(
    "",
    summary="Keep a budget",
    status_code=201,
    responses=raises(InvalidInput, NotFound, BudgetNameTaken, TooManyBudgets, IdempotencyMismatch),
)
async def create_budget(
    body: BudgetCreate, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> BudgetResponse:
    """Say what the account, a project or a label may cost in a calendar month (UTC), and what happens then.

    Creations and starts are decided at the instant of the request; events and suspensions follow within a
    minute. A budget never adds credit and never takes any.
    """
    amount, thresholds = _amount(body.amount), _thresholds(body)
    if (body.label_key is None) != (body.label_value is None):
        raise InvalidInput.at("label_key", "Send label_key and label_value together, or neither.")
    project_id = None if body.project_id is None else parse_id(body.project_id)
    if body.project_id is not None and project_id is None:
        raise NotFound("Project")
    scope = Scope(project_id, body.label_key, body.label_value)
    async with edge.work() as tx:
        service = edge.service(BudgetService, tx)

        async def create() -> UUID:
            return await service.create(
                name=body.name.strip(), scope=scope, amount=amount, thresholds=thresholds, caller=caller
            )

        budget = await service.get(await once.resource(tx, create), user_id=caller.user_id)
        standing = await service.standing(budget)
    response.headers.update(once.headers)
    return BudgetResponse.of(budget, standing)


@router.get("/{budget_id}", summary="Show a budget", responses=raises(NotFound))
async def get_budget(budget_id: BudgetId, caller: CallerDep, edge: EdgeDep) -> BudgetResponse:
    """One budget of yours, and where it stands."""
    async with edge.read() as tx:
        service = edge.service(BudgetService, tx)
        budget = await service.get(parse_id(budget_id), user_id=caller.user_id)
        return BudgetResponse.of(budget, await service.standing(budget))


@router.put(
    "/{budget_id}",
    summary="Change a budget",
    responses=raises(InvalidInput, NotFound, BudgetNameTaken, IdempotencyMismatch),
)
async def update_budget(
    budget_id: BudgetId, body: BudgetChange, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> BudgetResponse:
    """Give a budget another name, amount and thresholds; what it is for stays."""
    amount, thresholds = _amount(body.amount), _thresholds(body)
    async with edge.work() as tx:
        service = edge.service(BudgetService, tx)

        async def change() -> UUID:
            return await service.change(
                parse_id(budget_id), name=body.name.strip(), amount=amount, thresholds=thresholds, caller=caller
            )

        budget = await service.get(await once.resource(tx, change), user_id=caller.user_id)
        standing = await service.standing(budget)
    response.headers.update(once.headers)
    return BudgetResponse.of(budget, standing)


@router.delete("/{budget_id}", summary="Delete a budget", responses=raises(NotFound, IdempotencyMismatch))
async def delete_budget(
    budget_id: BudgetId, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> APIResponse:
    """Forget a budget; what it had stopped may be started again."""
    async with edge.work() as tx:
        service = edge.service(BudgetService, tx)
        await once.resource(tx, lambda: service.delete(parse_id(budget_id), caller=caller))
    response.headers.update(once.headers)
    return APIResponse(success=True, message="Budget deleted", timestamp=tx.now)


def _amount(amount: float, field: str = "amount") -> int:
    try:
        return from_credits(amount)
    except InvalidAmount as error:
        raise InvalidInput.at(field, str(error)) from error


def _thresholds(body: BudgetChange) -> Sequence[Threshold]:
    found = []
    for number, one in enumerate(body.thresholds):
        field = f"thresholds.{number}"
        if (one.percent is None) == (one.amount is None):
            raise InvalidInput.at(field, "Send percent or amount, one of them.")
        if one.amount is not None:
            micros = _amount(one.amount, field)
        else:
            assert one.percent is not None, "one of the two was given"
            micros = max(1, _amount(body.amount) * one.percent // _PERCENT)
        found.append(Threshold(one.basis, one.action, micros))
    return found
