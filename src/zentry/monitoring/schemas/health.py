"""The platform's own health."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field, JsonValue

from zentry.monitoring.health import alerts_of, recommendations_of
from zentry.monitoring.probe import Measured
from zentry.monitoring.schemas.dashboard import AlertResponse
from zentry.monitoring.schemas.fields import Count
from zentry.monitoring.types import Component, Health, PlatformHealth
from zentry.platform.wire import ReadModel
from zentry.schema.operations import OperationStatus
from zentry.schema.vms import VMStatus

_NEXT_HEALTH: Final = timedelta(seconds=30)

Milliseconds = Annotated[float, Field(ge=0, description="Milliseconds.", examples=[1.8])]
Seconds = Annotated[float, Field(ge=0, description="Seconds.", examples=[0.0])]


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
    invariants: ComponentHealth = Field(description="What the last recomputation of books and machines found.")
    metrics_store: ComponentHealth = Field(description="The store of samples, and whether samples are taken in time.")
    alerts: ComponentHealth = Field(description="The judge of alert policies.")
    events: ComponentHealth = Field(description="The sequencer, which gives events their positions.")
    webhooks: ComponentHealth = Field(description="Deliveries to receivers that answer.")
    mail: ComponentHealth = Field(description="The outbox of mails.")


class OldestTransition(ReadModel):
    """The VM that has been on the way for longest."""

    kind: str = Field(description="What is under way.", examples=["vms.create"])
    status: OperationStatus
    seconds: Seconds = Field(description="For how long.")
    vm_id: UUID | None = Field(description="Which VM; shown to administrators.")


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
    oldest_transition: OldestTransition | None = Field(description="Null when nothing is under way.")
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

    overall_status: Health = Field(
        description="unhealthy when api, database, vm_manager, storage, compute or invariants is; "
        "degraded when anything else is not well."
    )
    components: ComponentsHealth
    performance: PerformanceFigures
    capacity: CapacityFigures
    alerts: list[AlertResponse]
    recommendations: list[str] = Field(description="What an operator might do.")
    last_updated: datetime
    next_update: datetime = Field(description="Asking again before then shows little that is new.")

    @classmethod
    def of(cls, health: PlatformHealth, measured: Measured, *, names_vms: bool) -> SystemHealth:
        """Show the platform's health."""
        return cls(
            overall_status=health.overall,
            components=ComponentsHealth(**{part.name: ComponentHealth.of(part) for part in health.components}),
            performance=_performance(health, measured, names_vms=names_vms),
            capacity=_capacity(health, measured),
            alerts=[AlertResponse.model_validate(alert) for alert in alerts_of(health)],
            recommendations=list(recommendations_of(health)),
            last_updated=health.checked_at,
            next_update=health.checked_at + _NEXT_HEALTH,
        )


def _performance(health: PlatformHealth, measured: Measured, *, names_vms: bool) -> PerformanceFigures:
    fleet, oldest = health.fleet, health.backlogs.transition
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
        oldest_transition=None
        if oldest is None
        else OldestTransition(
            kind=oldest.kind,
            status=oldest.status,
            seconds=oldest.age.total_seconds(),
            vm_id=oldest.vm_id if names_vms else None,
        ),
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
