"""One set of figures of a machine, as screens show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from zentry.compute.types import Sample
from zentry.monitoring.store import Bucket, Metric


@dataclass(frozen=True, slots=True)
class Usage:
    """Usages in percent, throughput in bytes per second."""

    cpu_usage: float = 0.0
    memory_usage: float = 0.0
    disk_usage: float = 0.0
    network_in: float = 0.0
    network_out: float = 0.0
    disk_read: float = 0.0
    disk_write: float = 0.0


NO_USAGE: Final = Usage()


def usage_of(sample: Sample) -> Usage:
    """Return the figures of a sample."""
    return _combine(lambda name: getattr(sample, name))


def usage_from(values: Mapping[Metric, float]) -> Usage:
    """Return the figures of a bucket's averages or peaks."""
    return _combine(lambda name: values[Metric(name)])


def mean_usage(usages: Sequence[Usage]) -> Usage:
    """Return the mean load of machines, zero when there are none."""
    if not usages:
        return NO_USAGE
    return _combine(lambda name: sum(getattr(usage, name) for usage in usages) / len(usages))


def average_over(buckets: Sequence[Bucket]) -> Usage:
    """Return the average over all samples of the buckets."""
    if not buckets:
        return NO_USAGE
    samples = sum(bucket.samples for bucket in buckets)
    return _combine(lambda name: sum(bucket.average[Metric(name)] * bucket.samples for bucket in buckets) / samples)


def peak_over(buckets: Sequence[Bucket]) -> Usage:
    """Return the highest peaks of the buckets."""
    return _combine(lambda name: max(bucket.peak[Metric(name)] for bucket in buckets)) if buckets else NO_USAGE


def _combine(figure: Callable[[str], float]) -> Usage:
    return Usage(**{metric.value: figure(metric.value) for metric in Metric})
