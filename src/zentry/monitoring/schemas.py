"""What monitoring answers with. Numbers are never null: screens format them as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

from zentry.compute.types import Power, Sample
from zentry.monitoring.health import alerts_of, recommendations_of
from zentry.monitoring.probe import Measured, Seen
from zentry.monitoring.service import current_usage, mean_usage
from zentry.monitoring.store import Bucket, Usage
from zentry.monitoring.types import (
    Alert,
    AlertType,
    Component,
    Health,
    History,
    Overview,
    PlatformHealth,
    Severity,
    VMCondition,
    VMReading,
)
from zentry.platform import money
from zentry.platform.wire import ReadModel
from zentry.schema.operations import OperationStatus
from zentry.schema.vms import VMStatus

_ID: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
_AT: Final = "2026-01-15T10:30:00Z"
_NEXT_HEALTH: Final = timedelta(seconds=30)
_BITS_PER_MEGABIT: Final = 1_000_000

Percent = Annotated[float, Field(ge=0, le=100, description="Percent of what the VM has.", examples=[23.5])]
BytesPerSecond = Annotated[float, Field(ge=0, description="Bytes per second.", examples=[20480.0])]
Megabits = Annotated[float, Field(ge=0, description="Megabits per second.", examples=[0.16])]
Credits = Annotated[float, Field(description="Credits.", examples=[1.25])]
Hours = Annotated[float, Field(ge=0, description="Hours.", examples=[12.5])]
Milliseconds = Annotated[float, Field(ge=0, description="Milliseconds.", examples=[1.8])]
Seconds = Annotated[float, Field(ge=0, description="Seconds.", examples=[0.0])]
Count = Annotated[int, Field(ge=0, description="How many.", examples=[3])]


class VMMetrics(ReadModel):
    """A VM's load now. A VM that does not run has none; its disk is as full as it was."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "vm_id": _ID,
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
                    "recorded_at": _AT,
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
            network_in_mbps=_megabits(metrics.network_in),
            network_out_mbps=_megabits(metrics.network_out),
        )


class MetricPoint(ReadModel):
    """The average over one interval."""

    timestamp: datetime = Field(description="Start of the interval.", examples=[_AT])
    cpu_usage: Percent
    memory_usage: Percent
    disk_usage: Percent
    network_in: BytesPerSecond
    network_out: BytesPerSecond

    @classmethod
    def of(cls, bucket: Bucket) -> MetricPoint:
        """Show the average of a bucket."""
        return cls(timestamp=bucket.starts_at, **usage_fields(bucket.average))


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
            network_in_mbps=_megabits(point.network_in),
            network_out_mbps=_megabits(point.network_out),
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
            network_in_mbps=_megabits(figures.network_in),
            network_out_mbps=_megabits(figures.network_out),
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


class OperationSummary(ReadModel):
    """What is under way with a VM."""

    id: UUID
    kind: str = Field(examples=["vms.start"])
    status: OperationStatus
    progress: int = Field(ge=0, le=100, description="Percent.", examples=[50])


class VMStatusResponse(ReadModel):
    """What is wished of a VM, what is known of it, and what its host sees now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "vm_id": _ID,
                    "vm_name": "web-1",
                    "status": "running",
                    "wanted_status": "running",
                    "observed_power": "on",
                    "in_sync": True,
                    "stop_reason": None,
                    "active_operation": None,
                    "last_started": _AT,
                    "last_stopped": None,
                    "checked_at": _AT,
                }
            ]
        }
    )

    vm_id: UUID
    vm_name: str
    status: VMStatus
    wanted_status: str = Field(
        description="What the owner wishes: running, stopped or terminated.", examples=["running"]
    )
    observed_power: Power | None = Field(
        description="What the host sees; null when it has no such machine or does not answer."
    )
    in_sync: bool | None = Field(description="Whether the host sees what the status says; null when it can't be told.")
    stop_reason: str | None = Field(description="Why a stopped VM is stopped: user, credit or host.")
    active_operation: OperationSummary | None
    last_started: datetime | None
    last_stopped: datetime | None
    checked_at: datetime

    @classmethod
    def of(cls, condition: VMCondition, seen: Seen) -> VMStatusResponse:
        """Put together what the database says and what the host sees."""
        return cls(
            vm_id=condition.vm_id,
            vm_name=condition.name,
            status=condition.status,
            wanted_status=condition.wanted,
            observed_power=seen.power,
            in_sync=_in_sync(condition, seen),
            stop_reason=condition.stop_reason,
            active_operation=OperationSummary.model_validate(condition.operation) if condition.operation else None,
            last_started=condition.last_started,
            last_stopped=condition.last_stopped,
            checked_at=condition.read_at,
        )


class AlertResponse(ReadModel):
    """Something that somebody should know."""

    type: AlertType
    message: str = Field(examples=["VM web-1 uses 94 % of its CPU."])
    severity: Severity
    vm_id: UUID | None = Field(description="The VM that it is about, if it is about one.")


class DashboardOverview(ReadModel):
    """The account's VMs in figures."""

    total_vms: Count = Field(description="VMs that are not terminated.")
    running_vms: Count
    stopped_vms: Count
    hourly_cost: Credits = Field(description="Credits per hour of what runs.")
    total_cost: Credits = Field(description="Credits that all VMs have cost so far, terminated ones included.")


class VMSummary(ReadModel):
    """One VM on the dashboard."""

    vm_id: UUID
    name: str
    status: VMStatus
    cpu_usage: Percent
    memory_usage: Percent
    cost_per_hour: Credits


class ResourceUtilization(ReadModel):
    """Mean load of the VMs that run."""

    avg_cpu: Percent
    avg_memory: Percent
    avg_disk: Percent


class Dashboard(ReadModel):
    """What a user sees first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "overview": {
                        "total_vms": 1,
                        "running_vms": 1,
                        "stopped_vms": 0,
                        "hourly_cost": 0.05,
                        "total_cost": 0.675,
                    },
                    "vm_summary": [
                        {
                            "vm_id": _ID,
                            "name": "web-1",
                            "status": "running",
                            "cpu_usage": 23.5,
                            "memory_usage": 41.2,
                            "cost_per_hour": 0.05,
                        }
                    ],
                    "alerts": [
                        {
                            "type": "low_credit",
                            "message": "Only 3.20 credits are available.",
                            "severity": "warning",
                            "vm_id": None,
                        }
                    ],
                    "resource_utilization": {"avg_cpu": 23.5, "avg_memory": 41.2, "avg_disk": 12.0},
                }
            ]
        }
    )

    overview: DashboardOverview
    vm_summary: list[VMSummary] = Field(description="VMs that are not terminated, newest first, at most 500.")
    alerts: list[AlertResponse] = Field(description="The critical ones first, at most 100.")
    resource_utilization: ResourceUtilization

    @classmethod
    def of(cls, overview: Overview, usages: Mapping[UUID, Usage], alerts: Sequence[Alert]) -> Dashboard:
        """Draw the dashboard."""
        account = overview.account
        mean = usage_fields(mean_usage(list(usages.values())))
        return cls(
            overview=DashboardOverview(
                total_vms=account.live,
                running_vms=account.by_status[VMStatus.RUNNING],
                stopped_vms=account.by_status[VMStatus.STOPPED],
                hourly_cost=money.to_credits(account.hourly_micros),
                total_cost=money.to_credits(account.spent_micros),
            ),
            vm_summary=[
                VMSummary(
                    vm_id=vm.id,
                    name=vm.name,
                    status=VMStatus(vm.status),
                    cpu_usage=_percent(usages[vm.id].cpu_usage) if vm.id in usages else 0.0,
                    memory_usage=_percent(usages[vm.id].memory_usage) if vm.id in usages else 0.0,
                    cost_per_hour=vm.cost_per_hour,
                )
                for vm in overview.vms
            ],
            alerts=[AlertResponse.model_validate(alert) for alert in alerts],
            resource_utilization=ResourceUtilization(
                avg_cpu=mean["cpu_usage"], avg_memory=mean["memory_usage"], avg_disk=mean["disk_usage"]
            ),
        )


class ComponentHealth(ReadModel):
    """One part of the platform."""

    status: Health
    last_check: datetime
    reason: str = Field(description="Why it has this status, in words.", examples=["All hosts are online."])
    details: dict[str, JsonValue] = Field(description="The figures behind it.")

    @classmethod
    def of(cls, component: Component) -> ComponentHealth:
        """Show a component."""
        return cls(
            status=component.status,
            last_check=component.last_check,
            reason=component.reason,
            details=dict(component.details),
        )


class ComponentsHealth(ReadModel):
    """The parts of the platform."""

    api: ComponentHealth = Field(description="This process's answers to requests.")
    database: ComponentHealth = Field(description="The database.")
    vm_manager: ComponentHealth = Field(description="Workers, their queue, and the meter.")
    storage: ComponentHealth = Field(description="The disk under the data directory.")
    compute: ComponentHealth = Field(description="The compute driver and its hosts.")


class PerformanceFigures(ReadModel):
    """How fast the platform is. Request and query times are of the process that answers."""

    requests: Count = Field(description="Requests that the times are taken from: the last ones, at most 1000.")
    request_average_ms: Milliseconds
    request_p95_ms: Milliseconds
    queries: Count = Field(description="Statements since the process started.")
    query_average_ms: Milliseconds
    query_p95_ms: Milliseconds = Field(description="Upper bound of the histogram's bucket.")
    database_response_ms: Milliseconds = Field(description="One question to the database, just now.")
    pending_operations: Count
    running_operations: Count
    queue_lag_seconds: Seconds = Field(
        description="How long the oldest operation has been waiting although it might run."
    )
    oldest_operation_seconds: Seconds = Field(description="Age of the oldest operation that has not ended.")
    meter_lag_seconds: Seconds = Field(description="How late the meter is for the most overdue account.")


class CapacityFigures(ReadModel):
    """How full the platform is. Only hosts that are online count."""

    hosts_total: Count
    hosts_online: Count
    machines: Count = Field(description="Machines on the hosts.")
    vcpus_total: Count
    vcpus_used: Count
    memory_mib_total: Count
    memory_mib_used: Count
    storage_bytes_total: Count
    storage_bytes_free: Count
    vms_total: Count = Field(description="VMs that are not terminated.")
    vms_running: Count


class SystemHealth(ReadModel):
    """The platform's own health."""

    overall_status: Health = Field(description="The worst status of any component.")
    components: ComponentsHealth
    performance: PerformanceFigures
    capacity: CapacityFigures
    alerts: list[AlertResponse]
    recommendations: list[str] = Field(description="What an operator might do.")
    last_updated: datetime
    next_update: datetime = Field(description="Asking again before then shows little that is new.")

    @classmethod
    def of(cls, health: PlatformHealth, measured: Measured) -> SystemHealth:
        """Show the platform's health."""
        return cls(
            overall_status=health.overall,
            components=ComponentsHealth(**{part.name: ComponentHealth.of(part) for part in health.components}),
            performance=_performance(health, measured),
            capacity=_capacity(health, measured),
            alerts=[AlertResponse.model_validate(alert) for alert in alerts_of(health)],
            recommendations=list(recommendations_of(health)),
            last_updated=health.checked_at,
            next_update=health.checked_at + _NEXT_HEALTH,
        )


def usage_fields(usage: Usage) -> dict[str, float]:
    """Return the figures as the wire shows them: bounded and rounded."""
    return {
        "cpu_usage": _percent(usage.cpu_usage),
        "memory_usage": _percent(usage.memory_usage),
        "disk_usage": _percent(usage.disk_usage),
        "network_in": round(max(0.0, usage.network_in), 2),
        "network_out": round(max(0.0, usage.network_out), 2),
    }


def _percent(value: float) -> float:
    return round(min(100.0, max(0.0, value)), 2)


def _megabits(bytes_per_second: float) -> float:
    return round(bytes_per_second * 8 / _BITS_PER_MEGABIT, 4)


def _in_sync(condition: VMCondition, seen: Seen) -> bool | None:
    if not seen.answered or condition.operation is not None:
        return None
    if condition.status is VMStatus.RUNNING:
        return seen.power is Power.ON
    if condition.status is VMStatus.TERMINATED:
        return seen.power is None
    return seen.power is not Power.ON


def _performance(health: PlatformHealth, measured: Measured) -> PerformanceFigures:
    fleet = health.fleet
    return PerformanceFigures(
        requests=measured.requests.requests,
        request_average_ms=round(measured.requests.average_ms, 3),
        request_p95_ms=round(measured.requests.p95_ms, 3),
        queries=measured.queries,
        query_average_ms=round(measured.query_average_ms, 3),
        query_p95_ms=round(measured.query_p95_ms, 3),
        database_response_ms=round(1000 * health.database_seconds, 3),
        pending_operations=fleet.operations[OperationStatus.PENDING],
        running_operations=fleet.operations[OperationStatus.RUNNING],
        queue_lag_seconds=fleet.queue_lag.total_seconds(),
        oldest_operation_seconds=fleet.oldest_operation.total_seconds(),
        meter_lag_seconds=fleet.meter_lag.total_seconds(),
    )


def _capacity(health: PlatformHealth, measured: Measured) -> CapacityFigures:
    online = measured.compute.online
    return CapacityFigures(
        hosts_total=len(measured.compute.hosts),
        hosts_online=len(online),
        machines=sum(host.machines for host in online),
        vcpus_total=sum(host.vcpus for host in online),
        vcpus_used=sum(host.vcpus_used for host in online),
        memory_mib_total=sum(host.memory_mib for host in online),
        memory_mib_used=sum(host.memory_mib_used for host in online),
        storage_bytes_total=measured.disk.total_bytes,
        storage_bytes_free=measured.disk.free_bytes,
        vms_total=sum(count for status, count in health.fleet.vms.items() if status is not VMStatus.TERMINATED),
        vms_running=health.fleet.vms[VMStatus.RUNNING],
    )
