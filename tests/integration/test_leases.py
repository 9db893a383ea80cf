"""Leases are renewed while other things happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Final, cast
from uuid import UUID

from tests.support.platform import open_under_test, settings_for_tests
from zentry.operations.queue import OperationQueue
from zentry.operations.runner import OperationRunner
from zentry.operations.types import Claim, Failure, Kind, Step
from zentry.platform.clock import SystemClock
from zentry.platform.db import Database, Transaction
from zentry.platform.settings import OperationSettings
from zentry.platform.signals import OPERATIONS_DUE, Signals
from zentry.platform.tasks import Stop

_KIND: Final = "tests.slow"
_RENEWS: Final = "operations.leases"


class Acts:
    """Steps that last until they are let go."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.cancelled: list[UUID] = []
        self.ended: list[UUID] = []
        self._begun: dict[UUID, asyncio.Event] = {}

    def begun(self, vm_id: UUID) -> asyncio.Event:
        """What is set when the step of a machine begins."""
        return self._begun.setdefault(vm_id, asyncio.Event())

    async def act(self, claim: Claim) -> None:
        """Last."""
        self.begun(claim.vm_id).set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled.append(claim.vm_id)
            raise
        self.ended.append(claim.vm_id)


class HeldRenewals:
    """A database whose answers to renewals of leases are on their way for as long as a test likes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.read = database.read
        self.written = asyncio.Event()
        self.may_arrive = asyncio.Event()

    @asynccontextmanager
    async def work(self) -> AsyncIterator[Transaction]:
        """Do the work, and keep back the answer to a renewal."""
        async with self._database.work() as tx:
            yield tx
        task = asyncio.current_task()
        if task is not None and task.get_name() == _RENEWS:
            self.written.set()
            await self.may_arrive.wait()


async def test_what_is_claimed_while_leases_are_renewed_goes_on(tmp_path: Path, database_url: str) -> None:
    settings = settings_for_tests(tmp_path, database={"url": database_url})
    async with open_under_test(settings, clock=SystemClock()) as platform:
        account = await platform.signup()
        first, second = [await platform.given_vm(account) for _ in range(2)]
        acts, database, signals, stop = Acts(), HeldRenewals(platform.database), Signals(), Stop()
        runner = OperationRunner(
            database=cast("Database", database),
            kinds={_KIND: Kind(_KIND, (Step("act", act=acts.act),), release=_nothing, abandon=_nothing)},
            settings=OperationSettings(lease_seconds=3),
            clock=SystemClock(),
            random=Random(1),
            signals=signals,
            owner="tests",
        )
        running = asyncio.create_task(runner.run(stop))
        for vm in (first, second):
            vm_id = UUID(vm["id"])
            async with platform.database.work() as tx:
                await OperationQueue(tx).enqueue(
                    _KIND,
                    vm_id=vm_id,
                    project_id=UUID(vm["project_id"]),
                    user_id=UUID(account.id),
                    deadline=timedelta(minutes=1),
                )
            signals.poke(OPERATIONS_DUE)
            await acts.begun(vm_id).wait()
            if vm is first:
                await database.written.wait()
        database.may_arrive.set()
        await asyncio.sleep(0.1)  # The renewal hears that it kept the first lease, and acts on it.
        acts.may_end.set()
        stop.set()
        await running

        assert acts.cancelled == []
        assert set(acts.ended) == {UUID(first["id"]), UUID(second["id"])}


async def _nothing(_tx: Transaction, _claim: Claim, _failure: Failure) -> None:
    """Leave the books alone."""
