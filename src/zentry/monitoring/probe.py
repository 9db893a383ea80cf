"""Looks at the world outside the database: machines, hosts, the disk, and this process's own requests.

Nothing here may be called with a transaction open.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter

from zentry.compute.driver import ComputeDriver, DriverError
from zentry.compute.types import HostState, Power, Sample
from zentry.monitoring.errors import MetricsUnavailable
from zentry.monitoring.store import MetricsStore
from zentry.platform.db.observe import QUERY_SECONDS

_log = structlog.get_logger(__name__)

DRIVER_FAILURES: Final = Counter(
    "zentry_monitoring_driver_failures_total", "Questions of monitoring that the compute driver did not answer."
)
_DRIVER_SECONDS: Final = 3.0
_STORE_SECONDS: Final = 3.0
_REMEMBERED: Final = 1000


class RecentRequests:
    """The last requests of this process: how long they took, and which failed by our fault."""

    def __init__(self) -> None:
        self._requests: deque[tuple[float, bool]] = deque(maxlen=_REMEMBERED)

    def add(self, *, seconds: float, failed: bool) -> None:
        """Remember one request and forget the oldest."""
        self._requests.append((seconds, failed))

    def summary(self) -> RequestSummary:
        """Return the figures over what is remembered."""
        seconds = sorted(took for took, _ in self._requests)
        if not seconds:
            return RequestSummary()
        return RequestSummary(
            requests=len(seconds),
            failures=sum(failed for _, failed in self._requests),
            average_ms=1000 * sum(seconds) / len(seconds),
            p95_ms=1000 * seconds[ceil(0.95 * len(seconds)) - 1],
        )


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """What the last requests were like."""

    requests: int = 0
    failures: int = 0
    average_ms: float = 0.0
    p95_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Compute:
    """What the driver says about its hosts, or why it says nothing."""

    driver: str
    hosts: Sequence[HostState] = ()
    failure: str | None = None

    @property
    def online(self) -> Sequence[HostState]:
        """The hosts that answer."""
        return [host for host in self.hosts if host.online]


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that holds the data directory; `failure` says why it cannot be read."""

    total_bytes: int = 0
    free_bytes: int = 0
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Samples:
    """The store of samples; `failure` says why it does not answer."""

    store: str
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found outside the database at one moment."""

    compute: Compute
    disk: Disk
    samples: Samples
    requests: RequestSummary
    queries: int = 0
    query_average_ms: float = 0.0
    query_p95_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a host sees of one machine; without `answered` the driver could not be asked."""

    answered: bool
    power: Power | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks the compute driver, the store of samples and the operating system."""

    driver: ComputeDriver
    store: MetricsStore
    data_dir: Path
    requests: RecentRequests = field(default_factory=RecentRequests)

    async def sample(self, vm_ids: Sequence[UUID]) -> Mapping[UUID, Sample]:
        """Measure machines now; what could not be measured is left out."""
        if not vm_ids:
            return {}
        try:
            async with asyncio.timeout(_DRIVER_SECONDS):
                return {sample.vm_id: sample for sample in await self.driver.sample(vm_ids)}
        except (DriverError, TimeoutError) as error:
            self._note("sample", error)
            return {}

    async def observe(self, vm_id: UUID) -> Seen:
        """Look at one machine."""
        try:
            async with asyncio.timeout(_DRIVER_SECONDS):
                observation = (await self.driver.observe([vm_id])).get(vm_id)
        except (DriverError, TimeoutError) as error:
            self._note("observe", error)
            return Seen(answered=False)
        return Seen(answered=True, power=observation.power if observation else None)

    async def compute(self) -> Compute:
        """Ask for the hosts."""
        try:
            async with asyncio.timeout(_DRIVER_SECONDS):
                return Compute(driver=self.driver.name, hosts=tuple(await self.driver.hosts()))
        except (DriverError, TimeoutError) as error:
            self._note("hosts", error)
            return Compute(driver=self.driver.name, failure="The compute driver does not answer.")

    async def samples(self) -> Samples:
        """Ask whether the store of samples answers."""
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await self.store.check()
        except (MetricsUnavailable, TimeoutError) as error:
            _log.warning("monitoring.store_away", store=self.store.name, error=type(error).__name__)
            return Samples(self.store.name, failure="The store of samples does not answer.")
        return Samples(self.store.name)

    async def measure(self) -> Measured:
        """Look at everything."""
        compute = await self.compute()
        queries, average_ms, p95_ms = _query_times()
        return Measured(
            compute=compute,
            disk=await asyncio.to_thread(_disk, self.data_dir),
            samples=await self.samples(),
            requests=self.requests.summary(),
            queries=queries,
            query_average_ms=average_ms,
            query_p95_ms=p95_ms,
        )

    def _note(self, question: str, error: DriverError | TimeoutError) -> None:
        DRIVER_FAILURES.inc()
        _log.warning(
            "monitoring.driver_failed", question=question, driver=self.driver.name, error=str(error) or "timeout"
        )


def _disk(path: Path) -> Disk:
    try:
        usage = shutil.disk_usage(path)
    except OSError as error:
        return Disk(failure=f"The data directory cannot be read ({error.strerror}).")
    return Disk(total_bytes=usage.total, free_bytes=usage.free)


def _query_times() -> tuple[int, float, float]:
    """Return count, average and 95th percentile (the bound of its bucket) of this process's statements."""
    total = count = 0.0
    buckets: list[tuple[float, float]] = []
    for sample in next(iter(QUERY_SECONDS.collect())).samples:
        if sample.name.endswith("_sum"):
            total = sample.value
        elif sample.name.endswith("_count"):
            count = sample.value
        elif sample.name.endswith("_bucket"):
            buckets.append((float(sample.labels["le"]), sample.value))
    if not count:
        return 0, 0.0, 0.0
    finite = [bound for bound, _ in buckets if bound != float("inf")]
    p95 = next((bound for bound, upto in buckets if upto >= 0.95 * count and bound in finite), max(finite))
    return int(count), 1000 * total / count, 1000 * p95
