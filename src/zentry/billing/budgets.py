"""Budgets: what an account, a project or a label may cost in a month, and what happens when it does.

What is spent is counted in the transaction of each charge, so that it is never behind. Whether something may
be created or started is decided in its own transaction, under the account's lock, from what is spent, what has
accrued and what runs at that instant: no loop has to have looked before. The loop tells of thresholds that were
reached, once in a month, and stops what a budget forbids to run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.errors import BudgetExceeded, BudgetNameTaken, TooManyBudgets
from zentry.billing.reports import accrued_cost
from zentry.billing.service import BillingService
from zentry.billing.statements import month_after, month_of
from zentry.events.changes import changes_of
from zentry.events.recorder import EventRecorder
from zentry.mail.outbox import Outbox
from zentry.mail.texts import budget_reached
from zentry.platform import money
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction, values
from zentry.platform.errors import NotFound
from zentry.schema.accounts import users
from zentry.schema.billing import billing_records, budget_firings, budgets, segment_is_open, segments
from zentry.schema.projects import projects
from zentry.schema.vms import vm_labels

MOST_BUDGETS: Final = 50


class Basis(StrEnum):
    """What a threshold is compared with."""

    ACTUAL = "actual"
    FORECAST = "forecast"


class Action(StrEnum):
    """What happens when a threshold is reached."""

    NOTIFY = "notify"
    BLOCK = "block_creation"
    SUSPEND = "suspend"


_FOR_BASIS: Final = {Basis.ACTUAL: "", Basis.FORECAST: " (forecast)"}
_CONSEQUENCES: Final = {
    Action.NOTIFY: "Nothing else happens.",
    Action.BLOCK: "Until the budget is raised or the month is over, nothing new is created within it.",
    Action.SUSPEND: "What runs within it is stopped, and nothing starts until the budget is raised or the month ends.",
}


@dataclass(frozen=True, slots=True)
class Threshold:
    """A limit in micro-credits; the actions grow: what suspends also blocks creation."""

    basis: Basis
    action: Action
    micros: int

    @property
    def key(self) -> str:
        """Names it within its budget: a threshold that is changed is another one."""
        return f"{self.action}:{self.basis}:{self.micros}"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a budget is for: all of the account, or of a project, or with a label, or both."""

    project_id: UUID | None = None
    label_key: str | None = None
    label_value: str | None = None

    def covers(self, *, project_id: UUID, labels: Mapping[str, str]) -> bool:
        """Tell whether something of a project with these labels counts."""
        if self.project_id is not None and self.project_id != project_id:
            return False
        return self.label_key is None or labels.get(self.label_key) == self.label_value


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget; amounts in micro-credits."""

    id: UUID
    user_id: UUID
    name: str
    scope: Scope
    amount_micros: int
    thresholds: tuple[Threshold, ...]
    period_start: datetime
    spent_micros: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a budget stands in the month that runs."""

    actual: int
    forecast: int
    running: tuple[UUID, ...]
    """What is metered now within the scope."""

    def reached(self, threshold: Threshold) -> bool:
        """Tell whether a threshold is reached."""
        return self.of(threshold.basis) >= threshold.micros

    def of(self, basis: Basis) -> int:
        """Return what a basis stands at."""
        return self.actual if basis is Basis.ACTUAL else self.forecast


_COLUMNS: Final = (
    budgets.c.id,
    budgets.c.user_id,
    budgets.c.name,
    budgets.c.project_id,
    budgets.c.label_key,
    budgets.c.label_value,
    budgets.c.amount_micros,
    budgets.c.thresholds,
    budgets.c.period_start,
    budgets.c.spent_micros,
    budgets.c.created_at,
    budgets.c.updated_at,
)
_OF_USER: Final = (
    sa.select(*_COLUMNS)
    .where(budgets.c.user_id == sa.bindparam("user_id"))
    .order_by(budgets.c.name)
    .limit(MOST_BUDGETS)
)
_LABELS: Final = sa.select(vm_labels.c.vm_id, vm_labels.c.key, vm_labels.c.value)
_OPEN: Final = sa.select(
    segments.c.resource_id,
    segments.c.project_id,
    segments.c.rate_micros_per_hour,
    segments.c.started_at,
    segments.c.paid_until,
    segments.c.charged_micros,
).where(segments.c.user_id == sa.bindparam("user_id"), segment_is_open)


class BudgetService:
    """The rules about budgets."""

    def __init__(self, tx: Transaction, billing: BillingService) -> None:
        self._tx = tx
        self._billing = billing
        self._events = EventRecorder(tx)

    async def create(
        self, *, name: str, scope: Scope, amount: int, thresholds: Sequence[Threshold], caller: Caller
    ) -> UUID:
        """Keep a budget; what the month has cost before counts."""
        await self._billing.lock_account(caller.user_id)
        if scope.project_id is not None and not await self._owns(scope.project_id, caller.user_id):
            raise NotFound("Project")
        if len(await self.list_budgets(caller.user_id)) >= MOST_BUDGETS:
            raise TooManyBudgets(MOST_BUDGETS)
        budget_id, month = self._tx.new_id(), month_of(self._tx.now)
        kept = await self._tx.insert_unless_there(
            budgets,
            {
                "id": budget_id,
                "user_id": caller.user_id,
                "name": name,
                "project_id": scope.project_id,
                "label_key": scope.label_key,
                "label_value": scope.label_value,
                "amount_micros": amount,
                "thresholds": _document(thresholds),
                "period_start": month,
                "spent_micros": await self._spent_since(month, scope, caller.user_id),
                "created_at": self._tx.now,
                "updated_at": self._tx.now,
            },
        )
        if not kept:
            raise BudgetNameTaken(name)
        await self._note("budget.created", budget_id, caller)
        return budget_id

    async def change(
        self, budget_id: UUID | None, *, name: str, amount: int, thresholds: Sequence[Threshold], caller: Caller
    ) -> UUID:
        """Give a budget another name, amount and thresholds; its scope stays."""
        await self._billing.lock_account(caller.user_id)
        budget = await self.get(budget_id, user_id=caller.user_id)
        if any(other.name == name and other.id != budget.id for other in await self.list_budgets(caller.user_id)):
            raise BudgetNameTaken(name)  # Nobody else changes this account's budgets while we hold it.
        await self._tx.execute(
            sa.update(budgets)
            .where(budgets.c.id == budget.id)
            .values(name=name, amount_micros=amount, thresholds=_document(thresholds), updated_at=self._tx.now)
        )
        before = {"amount_micros": budget.amount_micros, "thresholds": _document(budget.thresholds)}
        after = {"amount_micros": amount, "thresholds": _document(thresholds)}
        await self._note("budget.changed", budget.id, caller, **changes_of(before, after))
        return budget.id

    async def delete(self, budget_id: UUID | None, *, caller: Caller) -> UUID:
        """Forget a budget."""
        await self._billing.lock_account(caller.user_id)
        budget = await self.get(budget_id, user_id=caller.user_id)
        await self._tx.execute(sa.delete(budgets).where(budgets.c.id == budget.id))
        await self._note("budget.deleted", budget.id, caller)
        return budget.id

    async def get(self, budget_id: UUID | None, *, user_id: UUID) -> Budget:
        """Return a budget of an account, or raise `NotFound`."""
        query = sa.select(*_COLUMNS).where(budgets.c.id == budget_id, budgets.c.user_id == user_id)
        row = (await self._tx.execute(query)).first()
        if row is None:
            raise NotFound("Budget")
        return _budget(row)

    async def list_budgets(self, user_id: UUID) -> list[Budget]:
        """Return the budgets of an account, by name."""
        return [_budget(row) for row in (await self._tx.execute(_OF_USER, {"user_id": user_id})).all()]

    async def ensure_may_create(self, user_id: UUID, *, project_id: UUID, labels: Mapping[str, str]) -> None:
        """Raise `BudgetExceeded` where a budget forbids what is new; the caller holds the account."""
        await self._ensure(user_id, project_id, labels, forbidding={Action.BLOCK, Action.SUSPEND})

    async def ensure_may_start(self, user_id: UUID, *, project_id: UUID, vm_id: UUID) -> None:
        """Raise `BudgetExceeded` where a budget forbids to run; the caller holds the account."""
        labels = (await self._labels([vm_id])).get(vm_id, {})
        await self._ensure(user_id, project_id, labels, forbidding={Action.SUSPEND})

    async def standing(self, budget: Budget) -> Standing:
        """Return what a budget has reached: charged, and accrued by what runs; and by the month's end."""
        month = month_of(self._tx.now)
        spent = budget.spent_micros if budget.period_start == month else 0
        accrued = to_come = 0
        running = []
        left = int((month_after(month) - self._tx.now).total_seconds())
        for row in await self._running(budget):
            accrued += accrued_cost(
                now=self._tx.now,
                rate_micros_per_hour=row.rate_micros_per_hour,
                started_at=row.started_at,
                paid_until=row.paid_until,
                charged_micros=row.charged_micros,
            )
            to_come += money.cumulated_cost(rate_micros_per_hour=row.rate_micros_per_hour, elapsed_seconds=left)
            running.append(row.resource_id)
        return Standing(spent + accrued, spent + accrued + to_come, tuple(running))

    async def fire(self, budget: Budget, outbox: Outbox) -> tuple[UUID, ...]:
        """Tell of each threshold that is reached, once in a month; return what must not run."""
        standing = await self.standing(budget)
        month = month_of(self._tx.now)
        reached = [threshold for threshold in budget.thresholds if standing.reached(threshold)]
        for threshold in reached:
            firing = {"budget_id": budget.id, "period_start": month, "threshold": threshold.key}
            if await self._tx.insert_unless_there(budget_firings, {**firing, "created_at": self._tx.now}):
                await self._tell(budget, threshold, standing)
                await self._write(budget, threshold, standing, outbox)
        suspends = any(threshold.action is Action.SUSPEND for threshold in reached)
        return standing.running if suspends else ()

    async def _ensure(
        self, user_id: UUID, project_id: UUID, labels: Mapping[str, str], *, forbidding: set[Action]
    ) -> None:
        for budget in await self.list_budgets(user_id):
            if not budget.scope.covers(project_id=project_id, labels=labels):
                continue
            forbids = [threshold for threshold in budget.thresholds if threshold.action in forbidding]
            standing = await self.standing(budget) if forbids else None
            for threshold in forbids:
                if standing is not None and standing.reached(threshold):
                    raise BudgetExceeded(
                        budget.name,
                        limit=threshold.micros,
                        reached=standing.of(threshold.basis),
                        budget_id=str(budget.id),
                    )

    async def _running(self, budget: Budget) -> list[Any]:
        rows = (await self._tx.execute(_OPEN, {"user_id": budget.user_id})).all()
        labels = await self._labels([row.resource_id for row in rows]) if budget.scope.label_key else {}
        return [
            row
            for row in rows
            if budget.scope.covers(project_id=row.project_id, labels=labels.get(row.resource_id, {}))
        ]

    async def _labels(self, vm_ids: Sequence[UUID]) -> dict[UUID, dict[str, str]]:
        found: dict[UUID, dict[str, str]] = {}
        for row in (await self._tx.execute(_LABELS.where(vm_labels.c.vm_id.in_(vm_ids)))).all():
            found.setdefault(row.vm_id, {})[row.key] = row.value
        return found

    async def _owns(self, project_id: UUID, user_id: UUID) -> bool:
        query = sa.select(projects.c.id).where(
            projects.c.id == project_id, projects.c.user_id == user_id, projects.c.deleted_at.is_(None)
        )
        return (await self._tx.execute(query)).first() is not None

    async def _spent_since(self, start: datetime, scope: Scope, user_id: UUID) -> int:
        line = billing_records.c
        query = sa.select(-sa.func.coalesce(sa.func.sum(line.amount), 0)).where(
            line.user_id == user_id, line.created_at >= start, line.price_version.is_not(None)
        )
        if scope.project_id is not None:
            query = query.where(line.project_id == scope.project_id)
        if scope.label_key is not None:
            labelled = sa.exists().where(
                vm_labels.c.vm_id == line.vm_id,
                vm_labels.c.key == scope.label_key,
                vm_labels.c.value == scope.label_value,
            )
            query = query.where(labelled)
        return int((await self._tx.execute(query)).scalar_one())

    async def _tell(self, budget: Budget, threshold: Threshold, standing: Standing) -> None:
        await self._events.record(
            "budget.threshold_reached",
            resource_type="budget",
            resource_id=budget.id,
            user_id=budget.user_id,
            project_id=budget.scope.project_id,
            cause="meter",
            data={
                "basis": threshold.basis,
                "action": threshold.action,
                "threshold_micros": threshold.micros,
                "reached_micros": standing.of(threshold.basis),
                "amount_micros": budget.amount_micros,
            },
        )

    async def _write(self, budget: Budget, threshold: Threshold, standing: Standing, outbox: Outbox) -> None:
        address = (await self._tx.execute(sa.select(users.c.email).where(users.c.id == budget.user_id))).scalar_one()
        letter = budget_reached(
            name=budget.name,
            reached=money.format_credits(standing.of(threshold.basis)) + _FOR_BASIS[threshold.basis],
            threshold=money.format_credits(threshold.micros),
            consequence=_CONSEQUENCES[threshold.action],
        )
        month = month_of(self._tx.now)
        key = f"budget:{budget.id}:{month:%Y-%m}:{threshold.key}"
        await outbox.put(key, to=address, letter=letter, user_id=budget.user_id, until=month_after(month))

    async def _note(self, kind: str, budget_id: UUID, caller: Caller, **changes: object) -> None:
        await self._events.record(
            kind,
            resource_type="budget",
            resource_id=budget_id,
            user_id=caller.user_id,
            actor_id=caller.user_id,
            data=changes,
        )


class ForgetBudgets:
    """Forgets the budgets of an account that is deleted: their names are its owner's words."""

    async def __call__(self, tx: Transaction, user_id: UUID) -> None:
        """Delete them, and what they have told."""
        await tx.execute(sa.delete(budgets).where(budgets.c.user_id == user_id))


def _document(thresholds: Sequence[Threshold]) -> list[dict[str, Any]]:
    return [
        {"basis": threshold.basis.value, "action": threshold.action.value, "micros": threshold.micros}
        for threshold in thresholds
    ]


def _budget(row: Any) -> Budget:
    id_, user_id, name, project_id, label_key, label_value, amount, thresholds, *rest = values(row)
    return Budget(
        id_,
        user_id,
        name,
        Scope(project_id, label_key, label_value),
        amount,
        tuple(Threshold(Basis(one["basis"]), Action(one["action"]), one["micros"]) for one in thresholds),
        *rest,
    )
