"""Drives operations: claims them, carries out their steps, undoes what can't be finished.

Between any two lines the process may die. What is done is then in the row (`step`, `undoing`),
what was under way is repeated by whoever claims the row after its lease, and acts are safe to
repeat. The fence keeps a driver of the past from recording, or doing, anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter, Histogram

from zentry.compute.driver import DriverRejected, DriverUnavailable, StaleFence
from zentry.operations.queue import OperationQueue
from zentry.operations.types import Claim, Failure, Kind, Step, nothing
from zentry.platform.clock import Clock
from zentry.platform.db import Database
from zentry.platform.settings import OperationSettings
from zentry.platform.signals import OPERATIONS_DUE, Signals
from zentry.platform.tasks import Stop
from zentry.platform.tracing import NO_TRACING, Fact, Span, Tracing

_log = structlog.get_logger(__name__)
_MAX_BACKOFF_SECONDS: Final = 30.0
_FIRST_BACKOFF_SECONDS: Final = 0.2

ENDED: Final = Counter("zentry_operations_ended_total", "Operations that ended.", ["kind", "status"])
STEP_SECONDS: Final = Histogram("zentry_operation_step_seconds", "Time of one step's act.", ["kind", "step"])


class LostClaim(Exception):
    """A newer fence was raised, or the operation was cancelled: this worker must let go."""


@dataclass(frozen=True, slots=True)
class _DeadlineExceeded(Exception):
    seconds: float


class OperationRunner:
    """One worker's share of the queue."""

    def __init__(
        self,
        *,
        database: Database,
        kinds: Mapping[str, Kind],
        settings: OperationSettings,
        clock: Clock,
        random: Random,
        signals: Signals,
        owner: str,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._database = database
        self._tracing = tracing
        self._kinds = kinds
        self._settings = settings
        self._clock = clock
        self._random = random
        self._signals = signals
        self._owner = owner
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._driving: dict[UUID, asyncio.Task[None]] = {}

    async def run(self, stop: Stop) -> None:
        """Work until told to stop, then finish the steps that are under way."""
        renewing = asyncio.create_task(self._keep_leases(), name="operations.leases")
        try:
            with self._signals.listen(OPERATIONS_DUE) as due:
                while not stop.is_set():
                    claimed = await self._claim(self._settings.concurrency - len(self._driving))
                    for claim in claimed:
                        self._start(claim)
                    if not claimed or len(self._driving) >= self._settings.concurrency:
                        pause_seconds = await self._pause()
                        await stop.pause(due.wait(pause_seconds))
            if self._driving:
                await asyncio.wait(self._driving.values(), timeout=self._settings.lease_seconds)
        finally:
            renewing.cancel()
            for task in self._driving.values():
                task.cancel()
            await asyncio.gather(renewing, *self._driving.values(), return_exceptions=True)

    async def run_once(self) -> int:
        """Claim one batch and drive it to where it ends or is postponed; return its size."""
        claimed = await self._claim(self._settings.concurrency)
        for claim in claimed:
            await self.drive(claim)
        return len(claimed)

    async def claim(self) -> list[Claim]:
        """Claim what is due without driving it, as a worker that dies right afterwards does."""
        return await self._claim(self._settings.concurrency)

    async def drive(self, claim: Claim) -> None:
        """Carry a claimed operation on until it ends, is postponed, or is somebody else's."""
        joined = {"operation_id": str(claim.operation_id), "kind": claim.kind}
        if claim.request_id is not None:
            joined["request_id"] = claim.request_id
        with structlog.contextvars.bound_contextvars(**joined), self._span(claim) as span:
            kind = self._kinds[claim.kind]
            try:
                following: Claim | None = claim
                while following is not None:
                    going_on = self._undo if following.undoing else self._step
                    following = await going_on(kind, following)
            except LostClaim:
                span.fail("a newer claim has taken over")
                _log.info("operation.claim_lost", vm_id=str(claim.vm_id), fence=claim.fence)

    def _span(self, claim: Claim) -> AbstractContextManager[Span]:
        """Go on with the trace of the request that asked, whichever process drives the operation."""
        if not self._tracing.is_on:
            return self._tracing.span(claim.kind)
        facts: dict[str, Fact] = {
            "zentry.operation_id": str(claim.operation_id),
            "zentry.vm_id": str(claim.vm_id),
            "zentry.attempt": claim.attempt,
        }
        return self._tracing.span(f"operation {claim.kind}", role="consumer", parent=claim.traceparent, facts=facts)

    async def _step(self, kind: Kind, claim: Claim) -> Claim | None:
        """Carry out one step; return the claim with which to go on."""
        step = kind.steps[claim.step]
        try:
            await self._act(kind, step, claim)
        except (DriverUnavailable, _DeadlineExceeded) as error:
            return await self._try_again(kind, claim, error)
        except DriverRejected as error:
            return await self._turn_back(kind, claim, Failure(error.code, error.message))
        except StaleFence as error:
            raise LostClaim from error
        is_last = claim.step + 1 == len(kind.steps)
        async with self._database.work() as tx:
            queue = OperationQueue(tx)
            if step.account is not nothing and not await queue.is_held(claim):
                raise LostClaim  # The books would refuse as well, but as if something were wrong with them.
            await step.account(tx, claim)
            done = 100 * (claim.step + 1) // len(kind.steps)
            landed = await (
                queue.succeed(claim) if is_last else queue.advance(claim, step=claim.step + 1, progress=done)
            )
            if not landed:
                raise LostClaim
            await step.record(tx, claim)
        if is_last:
            ENDED.labels(kind.name, "succeeded").inc()
            return None
        return replace(claim, step=claim.step + 1, attempt=1)

    async def _act(self, kind: Kind, step: Step, claim: Claim) -> None:
        remaining = (claim.deadline - self._clock.now()).total_seconds()
        if remaining <= 0:
            raise _DeadlineExceeded(remaining)
        try:
            with STEP_SECONDS.labels(kind.name, step.name).time(), self._tracing.span(f"step {step.name}"):
                async with self._clock.timeout(remaining):
                    await step.act(claim)
        except TimeoutError as error:
            raise _DeadlineExceeded(remaining) from error

    async def _try_again(self, kind: Kind, claim: Claim, error: DriverUnavailable | _DeadlineExceeded) -> Claim | None:
        if isinstance(error, _DeadlineExceeded):
            return await self._turn_back(kind, claim, Failure("DEADLINE_EXCEEDED", "The operation took too long."))
        if claim.attempt >= self._settings.max_attempts:
            return await self._turn_back(kind, claim, Failure(error.code, error.message))
        await self._postpone(claim)
        return None

    async def _turn_back(self, kind: Kind, claim: Claim, failure: Failure) -> Claim | None:
        _log.warning(
            "operation.turned_back", code=failure.code, reason=failure.message, step=kind.steps[claim.step].name
        )
        async with self._database.work() as tx:
            if not await OperationQueue(tx).turn_back(claim, failure):
                raise LostClaim
        return replace(claim, undoing=True, attempt=1)

    async def _undo(self, kind: Kind, claim: Claim) -> Claim | None:
        """Take back the step under way and those before it, the last first, then end as failed or cancelled."""
        for step in reversed(kind.steps[: claim.step + 1]):
            if step.undo is None:
                continue
            try:
                await step.undo(claim)
            except DriverUnavailable:
                if claim.attempt < self._settings.max_attempts:
                    await self._postpone(claim)
                    return None
                _log.exception("operation.undo_gave_up", step=step.name)  # The reconciler finds what is left.
            except DriverRejected:
                _log.exception("operation.undo_refused", step=step.name)
            except StaleFence as error:
                raise LostClaim from error
        async with self._database.work() as tx:
            queue = OperationQueue(tx)
            if not await queue.is_held(claim):
                raise LostClaim
            failure = await queue.failure_of(claim)
            await kind.release(tx, claim, failure)
            if not await queue.fail(claim, failure):
                raise LostClaim
            await kind.abandon(tx, claim, failure)
        ENDED.labels(kind.name, str(failure.status)).inc()
        return None

    async def _postpone(self, claim: Claim) -> None:
        seconds = min(_MAX_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2 ** (claim.attempt - 1))
        seconds *= 0.5 + self._random.random() / 2
        async with self._database.work() as tx:
            if not await OperationQueue(tx).postpone(claim, by=timedelta(seconds=seconds)):
                raise LostClaim

    async def _claim(self, limit: int) -> list[Claim]:
        if limit <= 0:
            return []
        async with self._database.work() as tx:
            return list(await OperationQueue(tx).claim(owner=self._owner, lease=self._lease, limit=limit))

    async def _pause(self) -> float:
        if len(self._driving) >= self._settings.concurrency:
            return self._settings.poll_seconds
        async with self._database.read() as tx:
            due_in = await OperationQueue(tx).next_due_in()
        poll = self._settings.poll_seconds
        return poll if due_in is None else min(poll, max(0.01, due_in.total_seconds()))

    def _start(self, claim: Claim) -> None:
        task = asyncio.create_task(self._drive_at_the_edge(claim), name=f"operation {claim.operation_id}")
        outdated = self._driving.get(claim.operation_id)
        if outdated is not None:
            outdated.cancel()  # It was turned back, or its lease ran out: nothing that it does can be recorded.
        self._driving[claim.operation_id] = task
        task.add_done_callback(lambda done: self._driven(claim.operation_id, done))

    def _driven(self, operation_id: UUID, task: asyncio.Task[None]) -> None:
        if self._driving.get(operation_id) is task:
            del self._driving[operation_id]
        self._signals.poke(OPERATIONS_DUE)

    async def _drive_at_the_edge(self, claim: Claim) -> None:
        try:
            await self.drive(claim)
        except Exception:  # noqa: BLE001 - a process edge: the lease runs out and the operation is tried again
            _log.exception("operation.crashed", operation_id=str(claim.operation_id), kind=claim.kind)

    async def _keep_leases(self) -> None:
        while True:
            await self._clock.sleep(self._settings.lease_seconds / 3)
            if not self._driving:
                continue
            # As it is now: what is claimed while we ask has a fresh lease, and is not among those that are kept.
            driving = dict(self._driving)
            try:
                async with self._database.work() as tx:
                    kept = await OperationQueue(tx).renew(list(driving), owner=self._owner, lease=self._lease)
            except Exception:  # noqa: BLE001 - a process edge: the fence protects us if leases run out
                _log.exception("operation.renewal_failed")
                continue
            for operation_id in driving.keys() - kept:
                driving[operation_id].cancel()
