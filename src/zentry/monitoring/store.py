"""Where samples lie: what every store offers, and what its answers are made of.

A store reads and writes by itself: it may be the platform's database, or a store of time series
beside it. So nobody calls it with a transaction open. Reads are averaged in the store and never in
Python.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

import msgspec
from prometheus_client import Counter

from zentry.compute.types import Sample

MAX_POINTS: Final = 1000
"""The most points of one series."""
MAX_VALUES: Final = 1_000_000
"""The most points of all series of one query."""
MAX_AHEAD: Final = timedelta(hours=1)
"""A sample from further ahead has a wrong clock behind it."""

DROPPED: Final = Counter(
    "zentry_monitoring_samples_dropped_total", "Samples of machines that were not kept, by reason.", ("reason",)
)


class Metric(StrEnum):
    """What is measured of a machine: usages in percent, throughput in bytes per second."""

    CPU_USAGE = "cpu_usage"
    MEMORY_USAGE = "memory_usage"
    DISK_USAGE = "disk_usage"
    NETWORK_IN = "network_in"
    NETWORK_OUT = "network_out"
    DISK_READ = "disk_read"
    DISK_WRITE = "disk_write"

    @property
    def adds_up(self) -> bool:
        """Whether that of several machines is their sum; a usage of several is their mean."""
        return self not in _USAGES


_USAGES: Final = frozenset({Metric.CPU_USAGE, Metric.MEMORY_USAGE, Metric.DISK_USAGE})
ALL: Final = tuple(Metric)


class Aggregation(StrEnum):
    """What becomes of the samples of one step."""

    AVERAGE = "average"
    PEAK = "peak"


BOTH: Final = tuple(Aggregation)


class Bucket(msgspec.Struct, frozen=True):
    """The samples of one stretch of time, of one machine or of several together.

    The average of several is the mean of their averages, or the sum where a metric adds up; the peak
    of several is the highest of any.
    """

    starts_at: datetime
    samples: int
    average: Mapping[Metric, float] = {}
    peak: Mapping[Metric, float] = {}


@dataclass(frozen=True, slots=True)
class Query:
    """The samples of [start, end), in steps that lie on a grid from the epoch."""

    vm_ids: Sequence[UUID]
    start: datetime
    end: datetime
    step_seconds: int
    names: Sequence[Metric] = ALL
    aggregations: Sequence[Aggregation] = BOTH

    def __post_init__(self) -> None:
        if self.step_seconds < 1 or self.points > MAX_POINTS + 1 or self.points * len(self.vm_ids) > MAX_VALUES:
            raise ValueError(f"{self.points} steps of {len(self.vm_ids)} machines are too many")

    @property
    def points(self) -> int:
        """How many steps the span touches."""
        if self.end <= self.start:
            return 0
        last = (self.end - timedelta(microseconds=1)).timestamp()
        return int(last // self.step_seconds - self.start.timestamp() // self.step_seconds) + 1

    def starts_at(self, number: int) -> datetime:
        """Return when a step begins; the first may begin before the span that was asked for."""
        return max(self.start, datetime.fromtimestamp(number * self.step_seconds, UTC))


class MetricsStore(Protocol):
    """Keeps samples and gives them back downsampled, or raises `MetricsUnavailable`.

    Steps without samples are left out: gaps are gaps.

    Averages and peaks outlive the samples that they were made from. Samples that come late are kept
    and correct what was made before them.
    """

    name: str

    async def record(self, samples: Sequence[Sample]) -> None:
        """Keep samples; a second one of the same machine and instant is dropped."""
        ...

    async def query(self, query: Query) -> Mapping[UUID, Sequence[Bucket]]:
        """Return the steps of each machine that has samples, oldest first."""
        ...

    async def query_together(self, query: Query) -> Sequence[Bucket]:
        """Return the steps of all the machines taken together, oldest first."""
        ...

    async def latest(self, vm_ids: Sequence[UUID]) -> Mapping[UUID, Sample]:
        """Return the newest sample of each machine that has one."""
        ...

    def finest_step(self, start: datetime, *, now: datetime) -> int:
        """Return the seconds of the finest steps that are kept as far back as `start`."""
        ...

    async def maintain(self) -> None:
        """Make what is due of averages and peaks, and forget what is too old; bounded, so call it often."""
        ...

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Forget at most `limit` of the samples before an instant, and tell how many."""
        ...

    async def check(self) -> None:
        """Raise `MetricsUnavailable` unless the store answers."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


def bounded_step(*, start: datetime, end: datetime, step_seconds: int) -> int:
    """Return the step, widened to whole multiples of itself where it would give too many points.

    Buckets lie on a grid from the epoch, so a span touches one more than it holds.
    """
    least = math.ceil((end - start).total_seconds() / (MAX_POINTS - 1))
    return step_seconds * max(1, math.ceil(least / step_seconds))


def acceptable(samples: Iterable[Sample], *, now: datetime, oldest: datetime) -> list[Sample]:
    """Return the samples whose time can be true, and count the others.

    One that is older than what is kept of its time cannot correct an average: the rest of it is gone.
    """
    samples = list(samples)
    instants = {sample.recorded_at for sample in samples}
    if all(oldest <= instant <= now + MAX_AHEAD for instant in instants):
        return samples  # As almost always; a batch has few instants.
    kept = []
    for sample in samples:
        if sample.recorded_at < oldest:
            DROPPED.labels("too_old").inc()
        elif sample.recorded_at > now + MAX_AHEAD:
            DROPPED.labels("ahead").inc()
        else:
            kept.append(sample)
    return kept
