from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.monitoring.fleet import host
from zentry.monitoring.health import Findings, alerts_of, host_trouble, judge, recommendations_of
from zentry.monitoring.probe import Compute, Disk, Measured, RequestSummary, Samples
from zentry.monitoring.types import Backlogs, Fleet, Health, InvariantCheck, Severity
from zentry.platform.settings import Settings
from zentry.schema.operations import OperationStatus
from zentry.schema.vms import VMStatus

NOW = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
SETTINGS = Settings(_env_file=None)
QUIET = Fleet(
    vms=dict.fromkeys(VMStatus, 0),
    operations=dict.fromkeys((OperationStatus.PENDING, OperationStatus.RUNNING), 0),
    users=1,
    queue_lag=timedelta(0),
    oldest_operation=timedelta(0),
    meter_lag=timedelta(0),
)
MEASURED = Measured(
    compute=Compute("steady", hosts=(host("host-1"), host("host-2"))),
    disk=Disk(total_bytes=100, free_bytes=50),
    samples=Samples("sql"),
    requests=RequestSummary(requests=100, failures=0, average_ms=1.0, p95_ms=2.0),
)
WELL = Findings(MEASURED, QUIET, Backlogs(invariants=InvariantCheck(NOW, 0, [], "everything")), 0.001, NOW)


def test_a_platform_without_trouble_is_healthy_in_every_component() -> None:
    health = judge(WELL, SETTINGS)

    assert health.overall is Health.HEALTHY
    assert [part.name for part in health.components if part.is_essential] == [
        "api",
        "database",
        "vm_manager",
        "storage",
        "compute",
        "invariants",
    ]
    assert len(health.components) == 11
    assert alerts_of(health) == []
    assert recommendations_of(health) == []


@pytest.mark.parametrize(
    ("component", "status", "findings"),
    [
        ("api", Health.DEGRADED, replace(WELL, measured=replace(MEASURED, requests=RequestSummary(100, 10)))),
        ("api", Health.UNHEALTHY, replace(WELL, measured=replace(MEASURED, requests=RequestSummary(100, 60)))),
        ("api", Health.HEALTHY, replace(WELL, measured=replace(MEASURED, requests=RequestSummary(10, 10)))),
        ("database", Health.DEGRADED, replace(WELL, database_seconds=0.5)),
        ("vm_manager", Health.DEGRADED, replace(WELL, fleet=replace(QUIET, queue_lag=timedelta(seconds=40)))),
        ("vm_manager", Health.UNHEALTHY, replace(WELL, fleet=replace(QUIET, queue_lag=timedelta(seconds=400)))),
        ("vm_manager", Health.DEGRADED, replace(WELL, fleet=replace(QUIET, meter_lag=timedelta(seconds=40)))),
        ("vm_manager", Health.UNHEALTHY, replace(WELL, fleet=replace(QUIET, meter_lag=timedelta(seconds=130)))),
        ("storage", Health.DEGRADED, replace(WELL, measured=replace(MEASURED, disk=Disk(100, 5)))),
        ("storage", Health.UNHEALTHY, replace(WELL, measured=replace(MEASURED, disk=Disk(100, 1)))),
        ("storage", Health.UNHEALTHY, replace(WELL, measured=replace(MEASURED, disk=Disk(failure="Gone.")))),
        (
            "compute",
            Health.DEGRADED,
            replace(WELL, measured=replace(MEASURED, compute=Compute("d", (host("a"), host("b", online=False))))),
        ),
        (
            "compute",
            Health.DEGRADED,
            replace(WELL, measured=replace(MEASURED, compute=Compute("d", (host("a", vcpus_used=60),)))),
        ),
        (
            "compute",
            Health.UNHEALTHY,
            replace(WELL, measured=replace(MEASURED, compute=Compute("d", (host("a", online=False),)))),
        ),
        ("compute", Health.UNHEALTHY, replace(WELL, measured=replace(MEASURED, compute=Compute("d", failure="Away.")))),
    ],
)
def test_trouble_in_one_component_shows_in_it_and_in_the_whole(
    component: str, status: Health, findings: Findings
) -> None:
    health = judge(findings, SETTINGS)

    found = {part.name: part.status for part in health.components}
    assert found == {**dict.fromkeys(found, Health.HEALTHY), component: status}
    assert health.overall is status
    assert len(alerts_of(health)) == len(recommendations_of(health)) == (status is not Health.HEALTHY)


def _waiting(**lags: timedelta) -> Findings:
    return replace(WELL, backlogs=replace(WELL.backlogs, **lags))  # type: ignore[arg-type]  # lags alone


@pytest.mark.parametrize(
    ("component", "status", "findings"),
    [
        ("metrics_store", Health.HEALTHY, _waiting(sampling=timedelta(seconds=119))),
        ("metrics_store", Health.DEGRADED, _waiting(sampling=timedelta(seconds=120))),
        ("metrics_store", Health.UNHEALTHY, replace(WELL, measured=replace(MEASURED, samples=Samples("x", "Away.")))),
        ("alerts", Health.DEGRADED, _waiting(alerts=timedelta(seconds=120))),
        ("alerts", Health.UNHEALTHY, _waiting(alerts=timedelta(seconds=1200))),
        ("events", Health.HEALTHY, _waiting(events=timedelta(seconds=59))),
        ("events", Health.UNHEALTHY, _waiting(events=timedelta(minutes=10))),
        ("webhooks", Health.DEGRADED, _waiting(webhooks=timedelta(minutes=1))),
        ("mail", Health.DEGRADED, _waiting(mails=timedelta(minutes=1))),
        ("mail", Health.UNHEALTHY, _waiting(mails=timedelta(minutes=10))),
    ],
)
def test_what_machines_can_do_without_degrades_the_platform_at_most(
    component: str, status: Health, findings: Findings
) -> None:
    health = judge(findings, SETTINGS)

    found = {part.name: part.status for part in health.components}
    assert found == {**dict.fromkeys(found, Health.HEALTHY), component: status}
    assert health.overall is (Health.HEALTHY if status is Health.HEALTHY else Health.DEGRADED)
    assert all(alert.severity is Severity.WARNING for alert in alerts_of(health))
    assert len(alerts_of(health)) == len(recommendations_of(health)) == (status is not Health.HEALTHY)


@pytest.mark.parametrize(
    ("check", "status"),
    [
        (None, Health.HEALTHY),
        (InvariantCheck(NOW - timedelta(hours=71), 0, [], ""), Health.HEALTHY),
        (InvariantCheck(NOW - timedelta(hours=72), 0, [], ""), Health.DEGRADED),
        (InvariantCheck(NOW, 1, ["A balance is off."], ""), Health.UNHEALTHY),
    ],
)
def test_books_that_are_off_take_the_platform_down_and_an_old_check_degrades_it(
    check: InvariantCheck | None, status: Health
) -> None:
    health = judge(replace(WELL, backlogs=replace(WELL.backlogs, invariants=check)), SETTINGS)

    assert health.overall is status


def test_users_hear_of_hosts_that_are_away_and_not_of_full_ones() -> None:
    away = host_trouble(Compute("d", (host("a"), host("b", online=False))))
    dead = host_trouble(Compute("d", failure="The compute driver does not answer."))
    full = host_trouble(Compute("d", (host("a", vcpus_used=64),)))

    assert away is not None
    assert (away.severity, away.message) == (Severity.WARNING, "1 of 2 hosts are offline.")
    assert dead is not None
    assert dead.severity is Severity.CRITICAL
    assert full is None


def test_machines_in_error_are_worth_a_recommendation() -> None:
    health = judge(replace(WELL, fleet=replace(QUIET, vms={**QUIET.vms, VMStatus.ERROR: 2})), SETTINGS)

    assert health.overall is Health.HEALTHY
    assert recommendations_of(health) == ["2 VMs are in error: start or delete them."]
