"""Simulated users. Each has a source of chance of their own, and asks the services as a route would."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, TypeVar
from uuid import UUID

import sqlalchemy as sa

from zentry.accounts.service import AuthService
from zentry.accounts.types import Client
from zentry.billing.service import BillingService
from zentry.compute.simulator.chance import key_of, uniform
from zentry.operations.types import Operation
from zentry.platform import money
from zentry.platform.caller import Caller, Role
from zentry.platform.clock import Clock
from zentry.platform.db import Transaction
from zentry.platform.errors import ZentryError
from zentry.platform.web import Edge
from zentry.projects.service import ProjectService
from zentry.schema.accounts import users
from zentry.schema.vms import StopReason, VMStatus, is_alive, vms
from zentry.simulation.scenario import Scenario
from zentry.vms.service import VMService

Answer = TypeVar("Answer")

_HOUR: Final = 3600.0
_IMAGE: Final = "debian-12"
_PAUSE_SECONDS: Final = 20.0
_HASTE_SECONDS: Final = 10.0
_TIDE_SECONDS: Final = 900.0
"""Not everybody goes home on the stroke of the hour."""
_PASSWORD: Final = "a simulated password"  # noqa: S105 - of accounts that live in memory only
_MACHINE: Final = (vms.c.id, vms.c.status, vms.c.wanted, vms.c.stop_reason, vms.c.created_at)
_MINE: Final = (
    sa.select(*_MACHINE).where(vms.c.user_id == sa.bindparam("user_id"), is_alive).order_by(vms.c.created_at, vms.c.id)
)
_AVAILABLE: Final = sa.select((users.c.credits - users.c.held).label("available")).where(
    users.c.id == sa.bindparam("user_id")
)


@dataclass(slots=True)
class Tally:
    """What was asked for, and what was refused and why."""

    asked: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Machine:
    id: UUID
    status: VMStatus
    wanted: str
    stop_reason: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class City:
    """What all users share."""

    scenario: Scenario
    seed: int
    clock: Clock
    edge: Edge
    auth: AuthService
    vms_per_project: int
    tally: Tally


def _machine(row: sa.Row[Any]) -> _Machine:
    return _Machine(row.id, VMStatus(row.status), row.wanted, row.stop_reason, row.created_at)


class User:
    """One user: arrives, signs up, and decides something every now and then."""

    def __init__(self, number: int, city: City) -> None:
        scenario = city.scenario
        self._city = city
        self._number = number
        self._random = Random(key_of("user", city.seed, number))  # noqa: S311 - a simulation must repeat itself
        self._sleeps = self._random.random() < scenario.night.share
        self._pays = self._random.random() < scenario.top_ups.share
        weights = {name: weight for name, weight in scenario.machines.types.items() if weight}
        self._types, self._weights = list(weights), list(weights.values())
        self._made = 0
        self._projects: list[UUID] = []
        self._caller = Caller(UUID(int=0), UUID(int=0), Role.USER)

    async def live(self) -> None:
        """Use the platform until nobody waits for it any more."""
        await self._sleep(self._random.uniform(0, self._city.scenario.users.arrive_within_hours) * _HOUR)
        await self._sign_up()
        while True:
            await self._decide()
            await self._sleep(self._until_next())

    async def _sign_up(self) -> None:
        number = self._number
        issued = await self._city.auth.signup(
            email=f"user{number}@example.com",
            name=f"User {number}",
            password=_PASSWORD,
            client=Client(f"198.18.{number // 250 % 250}.{1 + number % 250}", "simulation"),
        )
        self._caller = Caller(issued.user.id, UUID(int=0), Role.USER)
        for index in range(math.ceil(self._city.scenario.machines.per_user / max(1, self._city.vms_per_project))):
            project = await self._ask("create project", self._new_project(f"project {index + 1}"))
            if project is not None:
                self._projects.append(project)

    def _new_project(self, name: str) -> Callable[[Transaction], Awaitable[UUID]]:
        async def create(tx: Transaction) -> UUID:
            projects = self._city.edge.service(ProjectService, tx)
            return (await projects.create_project(name=name, description="", caller=self._caller)).id

        return create

    async def _decide(self) -> None:
        available, machines = await self._look()
        top_ups = self._city.scenario.top_ups
        if self._pays and available < money.from_credits(top_ups.below_credits):
            await self._ask("add credits", self._add_credits)
        is_night = self._sleeps and self._is_night()
        for machine in machines:
            if machine.status is VMStatus.ERROR or self._is_old(machine):
                await self._order("delete", machine.id)
            elif is_night:
                if machine.status is VMStatus.RUNNING and machine.wanted == "running":
                    await self._order("stop", machine.id)
            elif machine.status is VMStatus.STOPPED and (self._sleeps or machine.stop_reason == StopReason.CREDIT):
                await self._order("start", machine.id)
        if is_night:
            return
        for _ in range(self._city.scenario.machines.per_user - len(machines)):
            await self._create()
        if machines and self._random.random() < self._city.scenario.machines.fiddle:
            await self._fiddle(self._random.choice(machines))

    async def _look(self) -> tuple[int, Sequence[_Machine]]:
        async with self._city.edge.read() as tx:
            parameters = {"user_id": self._caller.user_id}
            available: int = (await tx.execute(_AVAILABLE, parameters)).scalar_one()
            rows = (await tx.execute(_MINE, parameters)).all()
        return available, [_machine(row) for row in rows]

    async def _create(self) -> None:
        self._made += 1
        name = f"vm-{self._number}-{self._made}"
        instance_type = self._random.choices(self._types, self._weights)[0]
        project_id = self._random.choice(self._projects) if self._projects else None

        async def create(tx: Transaction) -> UUID:
            service = self._city.edge.service(VMService, tx)
            vm_id, _ = await service.create_vm(
                name=name, instance_type=instance_type, image=_IMAGE, project_id=project_id, caller=self._caller
            )
            return vm_id

        vm_id = await self._ask("create", create)
        await self._pause()
        if vm_id is not None:
            await self._contradict(vm_id)

    async def _fiddle(self, machine: _Machine) -> None:
        choices = ("start", "restart") if machine.status is VMStatus.STOPPED else ("stop", "restart", "restart")
        await self._order(self._random.choice(choices), machine.id)

    async def _order(self, verb: str, vm_id: UUID) -> None:
        await self._ask(verb, self._calling(verb, vm_id))
        await self._pause()
        await self._contradict(vm_id)

    async def _contradict(self, vm_id: UUID) -> None:
        while self._random.random() < self._city.scenario.machines.haste:
            await self._sleep(self._random.uniform(0, _HASTE_SECONDS))
            verb = self._random.choice(("delete", "stop", "start", "restart"))
            await self._ask(verb, self._calling(verb, vm_id))

    def _calling(self, verb: str, vm_id: UUID) -> Callable[[Transaction], Awaitable[Operation | None]]:
        async def call(tx: Transaction) -> Operation | None:
            service = self._city.edge.service(VMService, tx)
            method: Callable[..., Awaitable[Operation | None]] = getattr(service, f"{verb}_vm")
            return await method(vm_id, caller=self._caller)

        return call

    async def _add_credits(self, tx: Transaction) -> None:
        amount = money.from_credits(self._city.scenario.top_ups.amount)
        billing = self._city.edge.service(BillingService, tx)
        billing.ensure_may_top_up(amount, caller=self._caller)
        await billing.add_credits(self._caller.user_id, amount, description="Top-up")

    async def _ask(self, what: str, call: Callable[[Transaction], Awaitable[Answer]]) -> Answer | None:
        """Make one request; a refusal is an answer like any other."""
        tally = self._city.tally
        tally.asked[what] += 1
        try:
            async with self._city.edge.work() as tx:
                return await call(tx)
        except ZentryError as error:
            tally.refused[what, error.code] += 1
            return None

    def _is_old(self, machine: _Machine) -> bool:
        draw = uniform(key_of("lifetime", self._city.seed, machine.id), 0)
        lifetime = -math.log(1.0 - draw) * self._city.scenario.machines.lifetime_hours
        return self._city.clock.now() - machine.created_at >= timedelta(hours=lifetime)

    def _is_night(self) -> bool:
        night = self._city.scenario.night
        hour = self._city.clock.now().hour
        if night.from_hour <= night.to_hour:
            return night.from_hour <= hour < night.to_hour
        return hour >= night.from_hour or hour < night.to_hour

    def _until_next(self) -> float:
        seconds = self._random.expovariate(1.0) * self._city.scenario.users.decide_every_hours * _HOUR
        if not self._sleeps:
            return seconds
        now = self._city.clock.now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        night = self._city.scenario.night
        tides = (
            midnight + timedelta(days=day, hours=hour) for day in (0, 1) for hour in (night.from_hour, night.to_hour)
        )
        tide = min((at - now).total_seconds() for at in tides if at > now)
        return min(seconds, tide + self._random.uniform(0, _TIDE_SECONDS))

    async def _pause(self) -> None:
        await self._sleep(self._random.uniform(0, _PAUSE_SECONDS))

    async def _sleep(self, seconds: float) -> None:
        await self._city.clock.sleep(seconds)
