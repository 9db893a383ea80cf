"""R2: random lives of an account against a model that knows nothing of the code, on both databases.

The model is a handful of integers: what was added, what was taken back, and for each machine the instant from
which it runs. The service is the real one, with its transactions, holds, segments and books.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Final, TypeVar
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.support.platform import START
from zentry.billing.audit import audit_ledger
from zentry.billing.errors import AlreadyRefunded, InsufficientCredits
from zentry.billing.records import RecordReader
from zentry.billing.reports import LineFilter
from zentry.billing.service import BillingService
from zentry.billing.types import Resource
from zentry.platform.caller import Caller, Role
from zentry.platform.clock import ManualClock
from zentry.platform.db import Database, Transaction
from zentry.platform.settings import BillingSettings, DatabaseSettings
from zentry.platform.signals import Signals
from zentry.schema.accounts import users
from zentry.schema.billing import segment_is_open, segments

FEE: Final = 50_000
RATES: Final = {"small": 50_000, "medium": 100_000, "large": 200_000}
WINDOW: Final = 3600
MINIMUM: Final = 100_000
Result = TypeVar("Result")
_lives = count(1)


@dataclass
class World:
    """The real service on a database, and time that passes when it is told to."""

    url: str
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    billing: BillingSettings = field(default_factory=BillingSettings)
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)

    def __post_init__(self) -> None:
        self.database = Database(
            DatabaseSettings(url=self.url), clock=self.clock, random=Random(3), signals=Signals(self.clock.timeout)
        )

    def work(self, does: Callable[[Transaction, BillingService], Awaitable[Result]]) -> Result:
        """Run something in a unit of work of its own."""

        async def run() -> Result:
            async with self.database.work() as tx:
                return await does(tx, BillingService(tx, self.billing))

        return self.runner.run(run())

    def read(self, query: sa.Select[Any]) -> list[Any]:
        """Return the rows of a query, as they are committed."""

        async def run() -> list[Any]:
            async with self.database.read() as tx:
                return list((await tx.execute(query)).all())

        return self.runner.run(run())

    def close(self) -> None:
        """Let go of the database and the loop."""
        self.runner.run(self.database.close())
        self.runner.close()


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    there = World(database_url)
    yield there
    there.close()


class Life(RuleBasedStateMachine):
    """One account; `world` is set by the test."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        # Ids in the order in which they were made, so that a life that is lived again is the same.
        self._ids = (UUID(int=number) for number in count(next(_lives) << 64))
        self.user_id = next(self._ids)
        self.added = self.taken = self.given_back = self.spent = 0
        self.held: dict[UUID, str] = {}
        self.running: dict[UUID, tuple[str, datetime]] = {}
        self.refunded: set[UUID] = set()
        self.world.work(self._sign_up)

    async def _sign_up(self, tx: Transaction, billing: BillingService) -> None:
        await tx.execute(
            sa.insert(users).values(
                id=self.user_id,
                email=f"{self.user_id}@example.com",
                email_key=f"{self.user_id}@example.com",
                name="Ada",
                hashed_password="x",
                role="user",
                is_active=True,
                created_at=tx.now,
            )
        )
        self.added += 2_000_000
        await billing.add_credits(self.user_id, 2_000_000, description="Welcome")

    @property
    def admin(self) -> Caller:
        """Whoever gives back and takes."""
        return Caller(user_id=self.user_id, session_id=self.user_id, role=Role.ADMIN)

    def _row(self) -> Any:
        return self.world.read(sa.select(users).where(users.c.id == self.user_id))[0]

    def _resource(self, id_: UUID, type_: str) -> Resource:
        return Resource(id=id_, user_id=self.user_id, project_id=self.user_id, name="vm", type=type_)

    @rule(amount=st.integers(1, 3_000_000))
    def add(self, amount: int) -> None:
        self.world.work(lambda _, billing: billing.add_credits(self.user_id, amount, description="x"))
        self.added += amount

    @rule(amount=st.integers(1, 3_000_000))
    def take(self, amount: int) -> None:
        available = self._available()
        try:
            self.world.work(lambda _, billing: billing.deduct_credits(self.user_id, amount, description="x"))
        except InsufficientCredits:
            assert amount > available
        else:
            assert amount <= available
            self.taken += amount

    @rule(type_=st.sampled_from(sorted(RATES)))
    def ask(self, type_: str) -> None:
        """Ask for a machine: credit for the fee and a window is held, or nothing is."""
        id_, available = next(self._ids), self._available()

        async def hold(_: Transaction, billing: BillingService) -> None:
            prices = await billing.get_price_list()
            await billing.hold(self._resource(id_, type_), prices=prices, with_fee=True)

        needed = max(FEE + RATES[type_], MINIMUM)
        try:
            self.world.work(hold)
        except InsufficientCredits:
            assert needed > available
        else:
            assert needed <= available
            self.held[id_] = type_

    @precondition(lambda self: self.held)
    @rule(data=st.data(), works=st.booleans())
    def boot(self, data: st.DataObject, works: bool) -> None:
        """Let a machine run, or let it fail, which costs nothing."""
        id_ = data.draw(st.sampled_from(sorted(self.held)))
        type_ = self.held.pop(id_)

        async def start(_: Transaction, billing: BillingService) -> None:
            prices = await billing.get_price_list()
            await billing.start_metering(self._resource(id_, type_), prices=prices, with_fee=True)

        if works:
            self.world.work(start)
            self.running[id_] = (type_, self.world.clock.now())
            self.spent += FEE
        else:
            self.world.work(lambda _, billing: billing.stop_metering(id_, self.user_id))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), times=st.integers(1, 2))
    def stop(self, data: st.DataObject, times: int) -> None:
        """Stop a machine; to stop it again changes nothing."""
        id_ = data.draw(st.sampled_from(sorted(self.running)))
        for _ in range(times):
            self.world.work(lambda _, billing: billing.stop_metering(id_, self.user_id))
        self._end(id_)

    @rule(seconds=st.integers(1, 9_000))
    def wait(self, seconds: int) -> None:
        """Let time pass, with the meter on duty; what it stops could not be renewed."""
        until = self.world.clock.now() + timedelta(seconds=seconds)
        while True:
            due_at = self._row().meter_due_at
            if due_at is None or due_at > until:
                break
            self.world.clock.advance(max(timedelta(0), due_at - self.world.clock.now()))
            self.world.work(lambda _, billing: billing.renew(self.user_id, on_exhausted=self._exhausted))
        self.world.clock.advance(until - self.world.clock.now())

    async def _exhausted(self, tx: Transaction, resource_ids: list[UUID]) -> None:
        for id_ in resource_ids:
            await BillingService(tx, self.world.billing).stop_metering(id_, self.user_id)
            self._end(id_)

    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        """Give back a charge, once."""

        async def charges(tx: Transaction, _: BillingService) -> Any:
            lines = await RecordReader(tx, self.user_id).list(LineFilter(), limit=100)
            return [line for line in lines if line.amount < 0 and line.price_version is not None]

        # The ids of lines of one instant are in an order of chance.
        lines = sorted(self.world.work(charges), key=lambda line: (line.created_at, str(line.vm_id), line.amount))
        if not lines:
            return
        line = data.draw(st.sampled_from(lines))
        try:
            self.world.work(lambda _, billing: billing.refund(line, None, reason="x", caller=self.admin))
        except AlreadyRefunded:
            assert line.id in self.refunded
        else:
            assert line.id not in self.refunded
            self.refunded.add(line.id)
            self.given_back -= line.amount

    def _end(self, id_: UUID) -> None:
        type_, since = self.running.pop(id_)
        self.spent += _cost(type_, since, self.world.clock.now())

    def _available(self) -> int:
        row = self._row()
        return int(row.credits - row.held)

    @invariant()
    def the_balance_is_what_the_model_says(self) -> None:
        row = self._row()
        now = self.world.clock.now()
        accrued = sum(_cost(type_, since, now) for type_, since in self.running.values())
        assert row.credits == self.added + self.given_back - self.taken - row.total_spent
        assert self.spent <= row.total_spent <= self.spent + accrued
        assert 0 <= row.held <= row.credits
        if not self.running:
            assert row.held == sum(FEE + RATES[type_] for type_ in self.held.values())
        assert row.held >= self.spent + accrued - row.total_spent  # What has accrued is covered by what is held.

    def teardown(self) -> None:
        """Check the books entry by entry."""
        audit = self.world.runner.run(audit_ledger(self.world.database, user_id=self.user_id))
        assert audit.findings == []
        query = sa.select(segments.c.resource_id).where(segments.c.user_id == self.user_id, segment_is_open)
        assert self.running.keys() == {row.resource_id for row in self.world.read(query)}


def _cost(type_: str, since: datetime, until: datetime) -> int:
    return RATES[type_] * int((until - since).total_seconds()) // WINDOW


def _live(world: World, *, lives: int, steps: int, number: int) -> None:
    class Here(Life):
        pass

    Here.world = world
    chosen = settings(
        max_examples=lives,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(number)(Here), settings=chosen)


def test_fifty_lives_of_an_account_follow_the_model(world: World) -> None:
    _live(world, lives=50, steps=30, number=0)


@pytest.mark.long
@pytest.mark.parametrize("part", range(20))
def test_two_thousand_lives_of_an_account_follow_the_model(world: World, part: int) -> None:
    _live(world, lives=100, steps=50, number=1 + part)
