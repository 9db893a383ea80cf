"""Monitoring's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from zentry.compute.types import Sample
from zentry.monitoring.store import Bucket
from zentry.monitoring.usage import Usage
from zentry.schema.operations import OperationStatus
from zentry.schema.vms import VMStatus
from zentry.vms.views import VMView


class Health(StrEnum):
    """How well something works."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


class Severity(StrEnum):
    """How soon somebody should look."""

    CRITICAL = "critical"
    WARNING = "warning"


class AlertType(StrEnum):
    """What an alert is about."""

    LOW_CREDIT = "low_credit"
    VM_ERROR = "vm_error"
    VM_LOST_HOST = "vm_lost_host"
    HOST_TROUBLE = "host_trouble"
    HIGH_CPU = "high_cpu"
    HIGH_MEMORY = "high_memory"
    HIGH_DISK = "high_disk"
    COMPONENT = "component"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that somebody should know."""

    type: AlertType
    message: str
    severity: Severity
    vm_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class VMReading:
    """A machine and the newest sample that the store has of it."""

    vm: VMView
    latest: Sample | None
    read_at: datetime


@dataclass(frozen=True, slots=True)
class ActiveOperation:
    """What is under way with a machine."""

    id: UUID
    kind: str
    status: OperationStatus
    progress: int


@dataclass(frozen=True, slots=True)
class VMCondition:
    """What the platform wishes and knows of a machine."""

    vm_id: UUID
    name: str
    status: VMStatus
    wanted: str
    stop_reason: str | None
    last_started: datetime | None
    last_stopped: datetime | None
    operation: ActiveOperation | None
    read_at: datetime


@dataclass(frozen=True, slots=True)
class History:
    """A machine's samples over a period."""

    vm: VMView
    start: datetime
    end: datetime
    hours: int
    interval: timedelta
    buckets: Sequence[Bucket]
    averages: Usage
    peaks: Usage


@dataclass(frozen=True, slots=True)
class FiringPolicy:
    """An alert policy of the account that fires and is not silenced."""

    name: str
    severity: Severity
    target_id: UUID
    value: float | None


@dataclass(frozen=True, slots=True)
class Account:
    """An account's machines in figures. Amounts are micro-credits."""

    available: int
    hourly_micros: int
    spent_micros: int
    by_status: Mapping[VMStatus, int]
    firing: Sequence[FiringPolicy] = ()

    @property
    def live(self) -> int:
        """Machines that are not terminated."""
        return sum(count for status, count in self.by_status.items() if status is not VMStatus.TERMINATED)


@dataclass(frozen=True, slots=True)
class Overview:
    """What the dashboard is drawn from, before the machines are measured."""

    account: Account
    vms: Sequence[VMView]
    read_at: datetime

    @property
    def running_ids(self) -> list[UUID]:
        """The machines whose load is worth measuring."""
        return [vm.id for vm in self.vms if vm.status == VMStatus.RUNNING]


@dataclass(frozen=True, slots=True)
class Fleet:
    """The whole platform in figures."""

    vms: Mapping[VMStatus, int]
    operations: Mapping[OperationStatus, int]
    users: int
    queue_lag: timedelta
    """How long the oldest operation has been waiting although it might run."""
    oldest_operation: timedelta
    """Age of the oldest operation that has not ended."""
    meter_lag: timedelta
    """How long the meter has left the most overdue account alone."""


@dataclass(frozen=True, slots=True)
class Transition:
    """The operation that has been under way for longest."""

    vm_id: UUID
    kind: str
    status: OperationStatus
    age: timedelta


@dataclass(frozen=True, slots=True)
class InvariantCheck:
    """What the last recomputation of the books found."""

    checked_at: datetime
    violations: int
    examples: Sequence[str]
    looked_at: str


@dataclass(frozen=True, slots=True)
class Backlogs:
    """What waits in the platform's queues, and for how long although it might go on."""

    events: timedelta = timedelta(0)
    """Of the oldest event without a position."""
    sampling: timedelta = timedelta(0)
    """Since the round of samples that is due."""
    alerts: timedelta = timedelta(0)
    """Of the most overdue policy."""
    mails: timedelta = timedelta(0)
    mails_given_up: int = 0
    """Within the last hour."""
    webhooks: timedelta = timedelta(0)
    """Of the oldest event that no delivery was made of, or the oldest delivery to a receiver that is well."""
    transition: Transition | None = None
    invariants: InvariantCheck | None = None


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the platform and how well it works."""

    name: str
    status: Health
    reason: str
    last_check: datetime
    details: Mapping[str, Any] = field(default_factory=dict)
    is_essential: bool = True
    """Whether machines, money and the API need it. Without the others the platform is degraded, not down."""


@dataclass(frozen=True, slots=True)
class PlatformHealth:
    """The platform's own health."""

    components: Sequence[Component]
    fleet: Fleet
    backlogs: Backlogs
    database_seconds: float
    checked_at: datetime

    @property
    def overall(self) -> Health:
        """Down where an essential component is; degraded where any other is not well."""
        if any(part.is_essential and part.status is Health.UNHEALTHY for part in self.components):
            return Health.UNHEALTHY
        return Health.HEALTHY if all(part.status is Health.HEALTHY for part in self.components) else Health.DEGRADED
