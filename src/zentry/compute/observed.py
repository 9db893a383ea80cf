"""Any driver, with each call counted, timed and, where traces are kept, part of the trace of who asked."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from prometheus_client import Counter, Histogram

from zentry.compute.driver import ComputeDriver, DriverRejected, DriverUnavailable, StaleFence
from zentry.compute.types import HostState, Observation, Sample, VMSpec
from zentry.platform.tracing import Fact, Tracing

CALLS: Final = Counter(
    "zentry_driver_calls_total",
    "Calls of the compute driver: ok, unavailable (a retry may help), rejected (it will not), stale, or failed.",
    ("driver", "call", "outcome"),
)
CALL_SECONDS: Final = Histogram(
    "zentry_driver_call_seconds",
    "Time of a call of the compute driver.",
    ("driver", "call"),
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
_OUTCOMES: Final = ((DriverUnavailable, "unavailable"), (DriverRejected, "rejected"), (StaleFence, "stale"))


class ObservedDriver:
    """Hands every call on to a driver and notes how it went."""

    def __init__(self, driver: ComputeDriver, tracing: Tracing) -> None:
        self._driver = driver
        self._tracing = tracing
        self.name = driver.name
        self.capabilities = driver.capabilities

    async def ensure_created(self, spec: VMSpec, *, fence: int) -> None:
        """Place the machine on a host, powered off."""
        async with self._call("ensure_created", spec.vm_id):
            await self._driver.ensure_created(spec, fence=fence)

    async def ensure_running(self, vm_id: UUID, *, fence: int) -> None:
        """Bring the machine up."""
        async with self._call("ensure_running", vm_id):
            await self._driver.ensure_running(vm_id, fence=fence)

    async def ensure_stopped(self, vm_id: UUID, *, fence: int, grace: timedelta) -> None:
        """Bring the machine to rest."""
        async with self._call("ensure_stopped", vm_id):
            await self._driver.ensure_stopped(vm_id, fence=fence, grace=grace)

    async def reboot(self, vm_id: UUID, *, fence: int, order: UUID) -> None:
        """Restart the machine."""
        async with self._call("reboot", vm_id):
            await self._driver.reboot(vm_id, fence=fence, order=order)

    async def resize(self, spec: VMSpec, *, fence: int) -> None:
        """Give the machine another size."""
        async with self._call("resize", spec.vm_id):
            await self._driver.resize(spec, fence=fence)

    async def rebuild(self, spec: VMSpec, *, fence: int, order: UUID) -> None:
        """Let the disk begin afresh."""
        async with self._call("rebuild", spec.vm_id):
            await self._driver.rebuild(spec, fence=fence, order=order)

    async def snapshot(self, vm_id: UUID, snapshot_id: UUID, *, fence: int) -> None:
        """Copy the machine's disk."""
        async with self._call("snapshot", vm_id):
            await self._driver.snapshot(vm_id, snapshot_id, fence=fence)

    async def restore(self, vm_id: UUID, snapshot_id: UUID, *, fence: int, order: UUID) -> None:
        """Make the disk what it was."""
        async with self._call("restore", vm_id):
            await self._driver.restore(vm_id, snapshot_id, fence=fence, order=order)

    async def delete_snapshot(self, vm_id: UUID, snapshot_id: UUID, *, fence: int) -> None:
        """Remove a snapshot."""
        async with self._call("delete_snapshot", vm_id):
            await self._driver.delete_snapshot(vm_id, snapshot_id, fence=fence)

    async def ensure_absent(self, vm_id: UUID, *, fence: int) -> None:
        """Remove the machine."""
        async with self._call("ensure_absent", vm_id):
            await self._driver.ensure_absent(vm_id, fence=fence)

    async def observe(self, vm_ids: Sequence[UUID]) -> Mapping[UUID, Observation]:
        """Report what the hosts see."""
        async with self._call("observe"):
            return await self._driver.observe(vm_ids)

    async def inventory(self, *, after: UUID | None = None, limit: int | None = None) -> Sequence[Observation]:
        """Report the machines that the hosts have."""
        async with self._call("inventory"):
            return await self._driver.inventory(after=after, limit=limit)

    async def sample(self, vm_ids: Sequence[UUID]) -> Sequence[Sample]:
        """Measure machines now."""
        async with self._call("sample"):
            return await self._driver.sample(vm_ids)

    async def sample_history(self, vm_ids: Sequence[UUID], *, instants: Sequence[datetime]) -> Sequence[Sample]:
        """Measure machines at instants of the past."""
        async with self._call("sample_history"):
            return await self._driver.sample_history(vm_ids, instants=instants)

    async def console(self, vm_id: UUID) -> str:
        """Return what a machine has written to its serial line."""
        async with self._call("console", vm_id):
            return await self._driver.console(vm_id)

    async def hosts(self) -> Sequence[HostState]:
        """Report the hosts."""
        async with self._call("hosts"):
            return await self._driver.hosts()

    async def close(self) -> None:
        """Let go of files and connections."""
        await self._driver.close()

    @asynccontextmanager
    async def _call(self, call: str, vm_id: UUID | None = None) -> AsyncIterator[None]:
        outcome, started = "failed", time.perf_counter()
        facts: dict[str, Fact] = {"zentry.driver": self.name}
        if vm_id is not None and self._tracing.is_on:
            facts["zentry.vm_id"] = str(vm_id)
        with self._tracing.span(f"driver {call}", role="client", facts=facts) as span:
            try:
                yield
                outcome = "ok"
            except Exception as error:
                outcome = next((name for kind, name in _OUTCOMES if isinstance(error, kind)), outcome)
                span.fail(outcome)
                raise
            finally:
                CALLS.labels(self.name, call, outcome).inc()
                CALL_SECONDS.labels(self.name, call).observe(time.perf_counter() - started)
