"""What the figures mean: pure rules that turn them into the status of each component."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from zentry.monitoring.probe import Compute, Disk, Measured, RequestSummary, Samples
from zentry.monitoring.types import (
    Alert,
    AlertType,
    Backlogs,
    Component,
    Fleet,
    Health,
    InvariantCheck,
    PlatformHealth,
    Severity,
)
from zentry.platform.settings import Settings
from zentry.schema.operations import OperationStatus
from zentry.schema.vms import VMStatus

FULL: Final = 0.9
"""Share of a resource in use from which it is said to run out."""

_ENOUGH_REQUESTS: Final = 20
_SOME_FAIL: Final = 0.05
_MANY_FAIL: Final = 0.5
_LITTLE_SPACE: Final = 0.1
_NO_SPACE: Final = 0.02
_QUEUE_SLOW: Final = timedelta(seconds=30)
_METER_TICKS: Final = 5
_PATIENCE: Final = timedelta(seconds=60)
_TURNS: Final = 4
"""Turns that a loop may be late before anybody is told."""
_STUCK: Final = 10
"""After so many times the patience it does not look like a queue any more, but like nobody who works."""
_CHECKS_MISSED: Final = 3

Verdict = tuple[Health, str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was found out about the platform at one moment."""

    measured: Measured
    fleet: Fleet
    backlogs: Backlogs
    database_seconds: float
    checked_at: datetime


def judge(found: Findings, settings: Settings) -> PlatformHealth:
    """Return how the platform and its components are."""
    measured, fleet, backlogs = found.measured, found.fleet, found.backlogs
    verdicts: dict[str, Callable[[], Verdict]] = {
        "api": lambda: _api(measured.requests),
        "database": lambda: _database(found.database_seconds, settings),
        "vm_manager": lambda: _vm_manager(fleet, settings),
        "storage": lambda: _storage(measured.disk),
        "compute": lambda: _compute(measured.compute),
        "invariants": lambda: _invariants(backlogs.invariants, found.checked_at, settings),
        "metrics_store": lambda: _metrics_store(measured.samples, backlogs.sampling, settings),
        "alerts": lambda: _alerts(backlogs.alerts, settings),
        "events": lambda: _events(backlogs.events),
        "webhooks": lambda: _webhooks(backlogs.webhooks),
        "mail": lambda: _mail(backlogs, settings),
    }
    components = []
    for name, verdict in verdicts.items():
        status, reason, details = verdict()
        components.append(Component(name, status, reason, found.checked_at, details, is_essential=name not in _BESIDE))
    return PlatformHealth(
        components=tuple(components),
        fleet=fleet,
        backlogs=backlogs,
        database_seconds=found.database_seconds,
        checked_at=found.checked_at,
    )


def alerts_of(health: PlatformHealth) -> Sequence[Alert]:
    """Return one alert for each component that is not well."""
    return [
        Alert(
            AlertType.COMPONENT,
            f"{component.name}: {component.reason}",
            Severity.CRITICAL if component.is_essential and component.status is Health.UNHEALTHY else Severity.WARNING,
        )
        for component in health.components
        if component.status is not Health.HEALTHY
    ]


def recommendations_of(health: PlatformHealth) -> Sequence[str]:
    """Return what an operator might do."""
    advice = [_ADVICE[component.name] for component in health.components if component.status is not Health.HEALTHY]
    if health.fleet.vms[VMStatus.ERROR]:
        advice.append(f"{health.fleet.vms[VMStatus.ERROR]} VMs are in error: start or delete them.")
    return advice


_ADVICE: Final = {
    "api": "Requests fail: look in the log for errors, by the request id of an answer.",
    "database": "The database answers slowly: look at its load and its disk, and at slow queries in the log.",
    "vm_manager": "Work waits too long: see that a worker runs, or add another.",
    "storage": "Free space in the data directory, or move it to a larger disk.",
    "compute": "See that the hosts are up and reachable; add hosts where their capacity is used up.",
    "invariants": "Run `zentry ledger verify` and `GET /admin/invariants`, and stop what writes until you know why.",
    "metrics_store": "See that the store of samples answers, and that a worker runs.",
    "alerts": "See that a worker runs, and that the store of samples is quick.",
    "events": "See that a worker runs: it gives events their positions.",
    "webhooks": "See that a worker runs; add another where it cannot keep up.",
    "mail": "See that the mail server takes mails: the log says why it does not, under mail.given_up.",
}
_BESIDE: Final = frozenset({"metrics_store", "alerts", "events", "webhooks", "mail"})
"""What machines, money and the API go on without."""


def host_trouble(compute: Compute) -> Alert | None:
    """Return the alert that users see when machines may suffer from the hosts."""
    status, reason, _ = _compute(compute)
    down = compute.failure is not None or len(compute.online) < len(compute.hosts) or not compute.hosts
    if not down:
        return None  # Full hosts are the operator's trouble: machines that run do not suffer.
    return Alert(AlertType.HOST_TROUBLE, reason, Severity.CRITICAL if status is Health.UNHEALTHY else Severity.WARNING)


def _api(requests: RequestSummary) -> Verdict:
    details = {"requests": requests.requests, "failures": requests.failures}
    share = requests.failures / requests.requests if requests.requests >= _ENOUGH_REQUESTS else 0.0
    if share < _SOME_FAIL:
        return Health.HEALTHY, "Requests are answered.", details
    status = Health.UNHEALTHY if share >= _MANY_FAIL else Health.DEGRADED
    return status, f"{requests.failures} of the last {requests.requests} requests failed.", details


def _database(seconds: float, settings: Settings) -> Verdict:
    milliseconds = round(1000 * seconds, 3)
    details = {
        "response_time_ms": milliseconds,
        "type": settings.resolved_database.url.split(":", 1)[0].split("+", 1)[0],
    }
    if seconds > settings.database.slow_query_seconds:
        return Health.DEGRADED, f"The database took {milliseconds:.0f} ms to answer.", details
    return Health.HEALTHY, "The database answers.", details


def _vm_manager(fleet: Fleet, settings: Settings) -> Verdict:
    lag, meter = fleet.queue_lag, fleet.meter_lag
    details = {
        "pending_operations": fleet.operations[OperationStatus.PENDING],
        "running_operations": fleet.operations[OperationStatus.RUNNING],
        "queue_lag_seconds": lag.total_seconds(),
        "oldest_operation_seconds": fleet.oldest_operation.total_seconds(),
        "meter_lag_seconds": meter.total_seconds(),
    }
    if lag >= timedelta(seconds=settings.operations.deadline_seconds):
        return Health.UNHEALTHY, f"Operations have been waiting for {lag.total_seconds():.0f} s.", details
    if meter >= timedelta(seconds=settings.billing.renew_before_seconds):
        return Health.UNHEALTHY, f"The meter is {meter.total_seconds():.0f} s late.", details
    if lag >= _QUEUE_SLOW:
        return Health.DEGRADED, f"Operations have been waiting for {lag.total_seconds():.0f} s.", details
    if meter >= timedelta(seconds=_METER_TICKS * settings.billing.meter_interval_seconds):
        return Health.DEGRADED, f"The meter is {meter.total_seconds():.0f} s late.", details
    return Health.HEALTHY, "Operations and the meter are on time.", details


def _storage(disk: Disk) -> Verdict:
    if disk.failure is not None:
        return Health.UNHEALTHY, disk.failure, {}
    details = {"total_bytes": disk.total_bytes, "free_bytes": disk.free_bytes}
    share = disk.free_bytes / disk.total_bytes if disk.total_bytes else 0.0
    if share >= _LITTLE_SPACE:
        return Health.HEALTHY, "There is space on the data directory's disk.", details
    status = Health.UNHEALTHY if share < _NO_SPACE else Health.DEGRADED
    return status, f"Only {share:.1%} of the data directory's disk is free.", details


def _compute(compute: Compute) -> Verdict:
    if compute.failure is not None:
        return Health.UNHEALTHY, compute.failure, {"driver": compute.driver}
    hosts, online = len(compute.hosts), len(compute.online)
    details = {"driver": compute.driver, "hosts_online": online, "hosts_total": hosts}
    if not online:
        return Health.UNHEALTHY, "No host is online.", details
    if online < hosts:
        return Health.DEGRADED, f"{hosts - online} of {hosts} hosts are offline.", details
    if is_nearly_full(compute):
        return Health.DEGRADED, "The hosts are nearly full.", details
    return Health.HEALTHY, "All hosts are online.", details


def _invariants(check: InvariantCheck | None, now: datetime, settings: Settings) -> Verdict:
    if check is None:
        return Health.HEALTHY, "The books have not been recomputed yet.", {}
    details = {
        "checked_at": check.checked_at.isoformat(),
        "violations": check.violations,
        "looked_at": check.looked_at,
    }
    if check.violations:
        return Health.UNHEALTHY, f"{check.violations} rules about books and machines do not hold.", details
    if now - check.checked_at >= _CHECKS_MISSED * timedelta(hours=settings.monitoring.invariants_hours):
        return Health.DEGRADED, f"The books were recomputed last at {check.checked_at:%Y-%m-%d %H:%M} UTC.", details
    return Health.HEALTHY, "The books were recomputed and are in order.", details


def _metrics_store(samples: Samples, lag: timedelta, settings: Settings) -> Verdict:
    if samples.failure is not None:
        return Health.UNHEALTHY, samples.failure, {"store": samples.store}
    patience = _TURNS * timedelta(seconds=settings.monitoring.sample_seconds)
    return _in_time(
        lag, "A round of samples is {0} s late.", "Samples are taken and kept.", {"store": samples.store}, patience
    )


def _alerts(lag: timedelta, settings: Settings) -> Verdict:
    patience = _TURNS * timedelta(seconds=settings.monitoring.alert_seconds)
    return _in_time(lag, "Alert policies have been waiting for {0} s.", "Alert policies are judged.", {}, patience)


def _events(lag: timedelta) -> Verdict:
    return _in_time(lag, "Events have been waiting for {0} s.", "Events get their positions at once.", {})


def _webhooks(lag: timedelta) -> Verdict:
    return _in_time(
        lag, "Deliveries have been waiting for {0} s.", "Deliveries to receivers that answer are on time.", {}
    )


def _mail(backlogs: Backlogs, settings: Settings) -> Verdict:
    details = {"transport": settings.mail.transport, "given_up_last_hour": backlogs.mails_given_up}
    status, reason, shown = _in_time(
        backlogs.mails, "Mails have been waiting for {0} s.", "Mails are handed over.", details
    )
    if status is Health.HEALTHY and backlogs.mails_given_up:
        return Health.DEGRADED, f"{backlogs.mails_given_up} mails were given up within the last hour.", shown
    return status, reason, shown


def _in_time(
    lag: timedelta, late: str, well: str, details: Mapping[str, Any], patience: timedelta = _PATIENCE
) -> Verdict:
    """Judge a queue by how long its head has been waiting."""
    seconds = lag.total_seconds()
    shown = {**details, "lag_seconds": seconds}
    if lag < max(patience, _PATIENCE):
        return Health.HEALTHY, well, shown
    status = Health.UNHEALTHY if lag >= max(patience, _PATIENCE) * _STUCK else Health.DEGRADED
    return status, late.format(f"{seconds:.0f}"), shown


def is_nearly_full(compute: Compute) -> bool:
    """Tell whether the hosts that are online run out of CPUs or memory."""
    online = compute.online
    return sum(host.vcpus_used for host in online) > FULL * sum(host.vcpus for host in online) or sum(
        host.memory_mib_used for host in online
    ) > FULL * sum(host.memory_mib for host in online)
