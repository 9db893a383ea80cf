"""Figures over any period, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field

from zentry.monitoring.schemas.fields import EXAMPLE_ID, EXAMPLE_TIME, BytesPerSecond, Count, Percent, percent
from zentry.monitoring.series import Answer, Scope, Series, Subject
from zentry.monitoring.store import Aggregation, Bucket, Metric
from zentry.monitoring.usage import Usage
from zentry.platform.wire import ReadModel

Values = Annotated[
    dict[Metric, float],
    Field(
        description="Figures by metric: usages in percent, throughput in bytes per second.",
        examples=[{"cpu_usage": 23.5}],
    ),
]


class SeriesPoint(ReadModel):
    """One step."""

    timestamp: datetime = Field(description="Start of the step.", examples=[EXAMPLE_TIME])
    samples: Count = Field(description="Samples that were taken in it; zero is a gap.")
    values: Values | None = Field(description="Figures by metric; null in a gap.")


class SeriesPeriod(ReadModel):
    """A period with its steps."""

    period_start: datetime
    period_end: datetime
    points: list[SeriesPoint] = Field(description="Every step of the period, oldest first, at most 1000.")
    averages: Values = Field(description="Averages over all samples of the period; empty where there are none.")
    peaks: Values = Field(description="Highest samples of any VM in the period; empty where there are none.")

    @classmethod
    def of(cls, series: Series, aggregation: Aggregation) -> SeriesPeriod:
        """Show a series."""
        return cls(
            period_start=series.start,
            period_end=series.end,
            points=[
                SeriesPoint(
                    timestamp=at,
                    samples=bucket.samples if bucket else 0,
                    values=_shown(_values(bucket, aggregation)) if bucket else None,
                )
                for at, bucket in series.steps
            ],
            averages=_shown(series.averages),
            peaks=_shown(series.peaks),
        )


class MetricsSeries(SeriesPeriod):
    """Figures of a VM, a project or an account over a period."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "scope": "vm",
                    "id": EXAMPLE_ID,
                    "vms": 1,
                    "metrics": ["cpu_usage"],
                    "aggregation": "average",
                    "step_seconds": 300,
                    "period_start": EXAMPLE_TIME,
                    "period_end": "2026-01-15T10:40:00Z",
                    "points": [
                        {"timestamp": EXAMPLE_TIME, "samples": 10, "values": {"cpu_usage": 23.5}},
                        {"timestamp": "2026-01-15T10:35:00Z", "samples": 0, "values": None},
                    ],
                    "averages": {"cpu_usage": 23.5},
                    "peaks": {"cpu_usage": 41.0},
                    "previous": None,
                    "change_percent": None,
                }
            ]
        }
    )

    scope: Scope
    id: UUID = Field(description="Of the VM, the project or the account.")
    vms: Count = Field(description="VMs that were looked at, terminated ones included; at most the 1000 newest.")
    metrics: list[Metric]
    aggregation: Aggregation
    step_seconds: int = Field(
        description="Width of a step; wider than asked for where there would be more than 1000 points, or where "
        "only averages of five minutes or of an hour are kept.",
        examples=[300],
    )
    previous: SeriesPeriod | None = Field(description="The period of the same length before; null unless asked for.")
    change_percent: Values | None = Field(
        description="How the averages differ from those of the period before, in percent of the latter; a metric that "
        "was zero or is missing in either is left out."
    )

    @classmethod
    def shown(cls, answer: Answer) -> MetricsSeries:
        """Show an answer."""
        wish, before = answer.wish, answer.previous
        period = SeriesPeriod.of(answer.series, wish.aggregation)
        return cls(
            **dict(period),
            scope=answer.subject.scope,
            id=answer.subject.id,
            vms=len(answer.subject.vm_ids),
            metrics=list(wish.names),
            aggregation=wish.aggregation,
            step_seconds=answer.step_seconds,
            previous=None if before is None else SeriesPeriod.of(before, wish.aggregation),
            change_percent=None if before is None else _change(answer.series.averages, before.averages),
        )


class CurrentMetrics(ReadModel):
    """The load of several VMs together, now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "scope": "project",
                    "id": EXAMPLE_ID,
                    "running_vms": 2,
                    "measured_vms": 2,
                    "cpu_usage": 23.5,
                    "memory_usage": 41.2,
                    "disk_usage": 12.0,
                    "network_in": 20480.0,
                    "network_out": 10240.0,
                    "disk_read": 4096.0,
                    "disk_write": 8192.0,
                    "measured_at": EXAMPLE_TIME,
                }
            ]
        }
    )

    scope: Scope
    id: UUID
    running_vms: Count
    measured_vms: Count = Field(description="Those of them that could be measured.")
    cpu_usage: Percent = Field(description="Mean of the running VMs.")
    memory_usage: Percent = Field(description="Mean of the running VMs.")
    disk_usage: Percent = Field(description="Mean of the running VMs.")
    network_in: BytesPerSecond = Field(description="Bytes per second, of all together.")
    network_out: BytesPerSecond = Field(description="Bytes per second, of all together.")
    disk_read: BytesPerSecond = Field(description="Bytes per second, of all together.")
    disk_write: BytesPerSecond = Field(description="Bytes per second, of all together.")
    measured_at: datetime

    @classmethod
    def of(cls, subject: Subject, usage: Usage, *, measured: int) -> CurrentMetrics:
        """Show the load of a subject."""
        values = _shown({metric: getattr(usage, metric) for metric in Metric})
        return cls(
            scope=subject.scope,
            id=subject.id,
            running_vms=len(subject.running),
            measured_vms=measured,
            measured_at=subject.now,
            **{metric.value: value for metric, value in values.items()},
        )


def as_csv(answer: Answer) -> str:
    """Return one line for each step; a gap has zero samples and empty fields."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["timestamp", "samples", *answer.wish.names])
    for at, bucket in answer.series.steps:
        values = _shown(_values(bucket, answer.wish.aggregation)) if bucket else {}
        fields = [values.get(name, "") for name in answer.wish.names]
        lines.writerow([at.isoformat().replace("+00:00", "Z"), bucket.samples if bucket else 0, *fields])
    return text.getvalue()


def _values(bucket: Bucket, aggregation: Aggregation) -> Mapping[Metric, float]:
    return bucket.average if aggregation is Aggregation.AVERAGE else bucket.peak


def _shown(values: Mapping[Metric, float]) -> dict[Metric, float]:
    return {metric: round(max(0.0, value), 2) if metric.adds_up else percent(value) for metric, value in values.items()}


def _change(now: Mapping[Metric, float], before: Mapping[Metric, float]) -> dict[Metric, float]:
    return {
        metric: round(100 * (value - before[metric]) / before[metric], 2)
        for metric, value in now.items()
        if before.get(metric)
    }
