"""A machine's load now and over time."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import ConfigDict, Field

from zentry.compute.types import Sample
from zentry.monitoring.schemas.fields import (
    EXAMPLE_ID,
    EXAMPLE_TIME,
    BytesPerSecond,
    Count,
    Credits,
    Hours,
    Megabits,
    Percent,
    megabits,
    usage_fields,
)
from zentry.monitoring.service import current_usage
from zentry.monitoring.store import Bucket
from zentry.monitoring.types import History, VMReading
from zentry.monitoring.usage import Usage, usage_from
from zentry.platform.wire import ReadModel
from zentry.schema.vms import VMStatus


class VMMetrics(ReadModel):
    """A VM's load now. A VM that does not run has none; its disk is as full as it was."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "vm_id": EXAMPLE_ID,
                    "vm_name": "web-1",
                    "instance_type": "small",
                    "status": "running",
                    "cpu_usage": 23.5,
                    "memory_usage": 41.2,
                    "disk_usage": 12.0,
                    "network_in": 20480.0,
                    "network_out": 10240.0,
                    "uptime_hours": 12.5,
                    "cost_per_hour": 0.05,
                    "total_cost": 0.675,
                    "current_session_hours": 2.5,
                    "recorded_at": EXAMPLE_TIME,
                }
            ]
        }
    )

    vm_id: UUID
    vm_name: str
    instance_type: str
    status: VMStatus
    cpu_usage: Percent
    memory_usage: Percent
    disk_usage: Percent
    network_in: BytesPerSecond
    network_out: BytesPerSecond
    uptime_hours: Hours = Field(description="Hours that the VM has run in its life.")
    cost_per_hour: Credits = Field(description="Price per hour in credits.")
    total_cost: Credits = Field(description="Credits that the VM has cost so far.")
    current_session_hours: Hours = Field(description="Hours since the last start, zero when it does not run.")
    recorded_at: datetime = Field(description="When the load was measured.")

    @classmethod
    def of(cls, reading: VMReading, live: Sample | None) -> VMMetrics:
        """Put together what the database says and what was measured."""
        vm = reading.vm
        usage, recorded_at = current_usage(
            status=VMStatus(vm.status), live=live, latest=reading.latest, now=reading.read_at
        )
        return cls(
            vm_id=vm.id,
            vm_name=vm.name,
            instance_type=vm.instance_type,
            status=VMStatus(vm.status),
            uptime_hours=vm.uptime_hours,
            cost_per_hour=vm.cost_per_hour,
            total_cost=vm.total_cost,
            current_session_hours=vm.current_session_hours,
            recorded_at=recorded_at,
            **usage_fields(usage),
        )


class VMNetworkMetrics(ReadModel):
    """A VM's load now, with the network in megabits."""

    vm_id: UUID
    vm_name: str
    instance_type: str
    status: VMStatus
    cpu_usage: Percent
    memory_usage: Percent
    disk_usage: Percent
    network_in_mbps: Megabits
    network_out_mbps: Megabits
    uptime_hours: Hours
    cost_per_hour: Credits
    total_cost: Credits
    current_session_hours: Hours
    recorded_at: datetime

    @classmethod
    def of(cls, metrics: VMMetrics) -> VMNetworkMetrics:
        """Convert the network's figures."""
        return cls(
            **metrics.model_dump(exclude={"network_in", "network_out"}),
            network_in_mbps=megabits(metrics.network_in),
            network_out_mbps=megabits(metrics.network_out),
        )


class MetricPoint(ReadModel):
    """The average over one interval."""

    timestamp: datetime = Field(description="Start of the interval.", examples=[EXAMPLE_TIME])
    cpu_usage: Percent
    memory_usage: Percent
    disk_usage: Percent
    network_in: BytesPerSecond
    network_out: BytesPerSecond

    @classmethod
    def of(cls, bucket: Bucket) -> MetricPoint:
        """Show the average of a bucket."""
        return cls(timestamp=bucket.starts_at, **usage_fields(usage_from(bucket.average)))


class UsageFigures(ReadModel):
    """One figure per resource."""

    cpu_usage: Percent
    memory_usage: Percent
    disk_usage: Percent
    network_in: BytesPerSecond
    network_out: BytesPerSecond

    @classmethod
    def of(cls, usage: Usage) -> UsageFigures:
        """Round and bound the figures."""
        return cls(**usage_fields(usage))


class VMMetricsHistory(ReadModel):
    """A VM's load over a period."""

    vm_id: UUID
    vm_name: str
    period_hours: int = Field(description="Length of the period.", examples=[24])
    interval_minutes: int = Field(
        description="Width of an interval; wider than asked for where there would be more than 1000 points.",
        examples=[30],
    )
    period_start: datetime
    period_end: datetime
    metrics: list[MetricPoint] = Field(
        description="Averages per interval, oldest first; intervals without samples are left out."
    )
    averages: UsageFigures = Field(description="Averages over all samples of the period.")
    peaks: UsageFigures = Field(description="Highest samples of the period.")
    data_points: Count = Field(description="Number of points in `metrics`.")
    generated_at: datetime

    @classmethod
    def of(cls, history: History) -> VMMetricsHistory:
        """Show a history."""
        return cls(
            vm_id=history.vm.id,
            vm_name=history.vm.name,
            period_hours=history.hours,
            interval_minutes=int(history.interval.total_seconds()) // 60,
            period_start=history.start,
            period_end=history.end,
            metrics=[MetricPoint.of(bucket) for bucket in history.buckets],
            averages=UsageFigures.of(history.averages),
            peaks=UsageFigures.of(history.peaks),
            data_points=len(history.buckets),
            generated_at=history.end,
        )


class NetworkPoint(ReadModel):
    """The average over one interval, with the network in megabits."""

    timestamp: datetime
    cpu_usage: Percent
    memory_usage: Percent
    disk_usage: Percent
    network_in_mbps: Megabits
    network_out_mbps: Megabits

    @classmethod
    def of(cls, point: MetricPoint) -> NetworkPoint:
        """Convert the network's figures."""
        return cls(
            **point.model_dump(exclude={"network_in", "network_out"}),
            network_in_mbps=megabits(point.network_in),
            network_out_mbps=megabits(point.network_out),
        )


class NetworkFigures(ReadModel):
    """One figure per resource, with the network in megabits."""

    cpu_usage: Percent
    memory_usage: Percent
    disk_usage: Percent
    network_in_mbps: Megabits
    network_out_mbps: Megabits

    @classmethod
    def of(cls, figures: UsageFigures) -> NetworkFigures:
        """Convert the network's figures."""
        return cls(
            **figures.model_dump(exclude={"network_in", "network_out"}),
            network_in_mbps=megabits(figures.network_in),
            network_out_mbps=megabits(figures.network_out),
        )


class VMNetworkHistory(ReadModel):
    """A VM's load over a period, with the network in megabits."""

    vm_id: UUID
    vm_name: str
    period_hours: int
    interval_minutes: int
    period_start: datetime
    period_end: datetime
    metrics: list[NetworkPoint]
    averages: NetworkFigures
    peaks: NetworkFigures
    data_points: Count
    generated_at: datetime

    @classmethod
    def of(cls, history: VMMetricsHistory) -> VMNetworkHistory:
        """Convert the network's figures."""
        return cls(
            vm_id=history.vm_id,
            vm_name=history.vm_name,
            period_hours=history.period_hours,
            interval_minutes=history.interval_minutes,
            period_start=history.period_start,
            period_end=history.period_end,
            metrics=[NetworkPoint.of(point) for point in history.metrics],
            averages=NetworkFigures.of(history.averages),
            peaks=NetworkFigures.of(history.peaks),
            data_points=history.data_points,
            generated_at=history.generated_at,
        )
