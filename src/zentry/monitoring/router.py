"""Metrics of machines, the dashboard, and the platform's health."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Path, Query, Request

from zentry.monitoring.errors import VMTerminated
from zentry.monitoring.metrics import MetricsService
from zentry.monitoring.probe import Probe
from zentry.monitoring.schemas.dashboard import Dashboard
from zentry.monitoring.schemas.health import SystemHealth
from zentry.monitoring.schemas.load import VMMetrics, VMMetricsHistory, VMNetworkHistory, VMNetworkMetrics
from zentry.monitoring.schemas.status import VMStatusResponse
from zentry.monitoring.service import MonitoringService, usages_of
from zentry.monitoring.types import VMReading
from zentry.platform.errors import InvalidInput, NotAuthenticated, NotFound
from zentry.platform.web import CallerDep, EdgeDep, raises
from zentry.schema.vms import VMStatus
from zentry.vms.views import VMView

router = APIRouter(tags=["Monitoring"])


async def _probe(request: Request) -> Probe:
    return cast("Probe", request.app.state.probe)


async def _metrics(request: Request) -> MetricsService:
    return cast("MetricsService", request.app.state.metrics)


ProbeDep = Annotated[Probe, Depends(_probe)]
MetricsDep = Annotated[MetricsService, Depends(_metrics)]
VMId = Annotated[str, Path(description="Id of a VM.", examples=["01890a5d-ac96-774b-bcce-b302099a8057"])]
PeriodHours = Annotated[int, Query(ge=1, le=168, description="Length of the period in hours, up to now.")]
IntervalMinutes = Annotated[int, Query(ge=5, le=3600, description="Width of an interval in minutes.")]


@router.get("/monitoring/vms/{vm_id}/metrics", summary="Show a VM's load", responses=raises(NotAuthenticated, NotFound))
async def get_vm_metrics(
    vm_id: VMId, caller: CallerDep, edge: EdgeDep, probe: ProbeDep, metrics: MetricsDep
) -> VMMetrics:
    """Read a VM's load now.

    A running VM is measured for the answer; where its host does not answer, its newest sample is
    shown and `recorded_at` says how old it is. A VM that does not run shows zero load.
    """
    async with edge.read() as tx:
        vm = await edge.service(MonitoringService, tx).read_vm(vm_id, caller=caller)
    return await _measured(vm, tx.now, probe, metrics)


@router.get(
    "/monitoring/vms/{vm_id}/metrics/history",
    summary="Show a VM's load over time",
    responses=raises(InvalidInput, NotAuthenticated, NotFound),
)
async def get_vm_metrics_history(
    vm_id: VMId,
    caller: CallerDep,
    edge: EdgeDep,
    metrics: MetricsDep,
    hours: PeriodHours = 24,
    interval: IntervalMinutes = 30,
) -> VMMetricsHistory:
    """Read a VM's load over the last hours, as averages per interval with averages and peaks of the whole period."""
    async with edge.read() as tx:
        vm = await edge.service(MonitoringService, tx).read_vm(vm_id, caller=caller)
    history = await metrics.get_vm_metrics(vm, hours=hours, interval=timedelta(minutes=interval), now=tx.now)
    return VMMetricsHistory.of(history)


@router.get(
    "/monitoring/vms/{vm_id}/status", summary="Check a VM's status", responses=raises(NotAuthenticated, NotFound)
)
async def check_vm_status(vm_id: VMId, caller: CallerDep, edge: EdgeDep, probe: ProbeDep) -> VMStatusResponse:
    """Compare what is wished of a VM with what its host sees now."""
    async with edge.read() as tx:
        condition = await edge.service(MonitoringService, tx).check_vm_status(vm_id, caller=caller)
    return VMStatusResponse.of(condition, await probe.observe(condition.vm_id))


@router.get("/monitoring/dashboard", summary="Show the dashboard", responses=raises(NotAuthenticated))
async def get_dashboard(caller: CallerDep, edge: EdgeDep, probe: ProbeDep, metrics: MetricsDep) -> Dashboard:
    """Read an overview of the account's VMs: counts, costs, load, and alerts.

    Alerts tell of low credit, VMs in error, trouble with hosts, your alert policies that fire and are not silenced, and
    usage above 90 %.
    """
    async with edge.read() as tx:
        service = edge.service(MonitoringService, tx)
        overview = await service.read_overview(caller=caller)
    live = await probe.sample(overview.running_ids)
    stored = await metrics.latest([vm_id for vm_id in overview.running_ids if vm_id not in live])
    usages = usages_of(overview, live=live, stored=stored)
    alerts = service.alerts(overview, usages=usages, compute=await probe.compute())
    return Dashboard.of(overview, usages, alerts)


@router.get("/monitoring/system/health", summary="Show the platform's health", responses=raises(NotAuthenticated))
async def get_system_health(caller: CallerDep, edge: EdgeDep, probe: ProbeDep) -> SystemHealth:
    """Read how the platform is: its components, its speed, its capacity, and what an operator might do.

    A component is `healthy`, `degraded` while it works with trouble, or `unhealthy` when it does not do its work.
    While the database is away this answers 503, as every route that needs a token does; ask `GET /health` then.
    """
    measured = await probe.measure()
    async with edge.read() as tx:
        health = await edge.service(MonitoringService, tx).get_system_health(measured)
    return SystemHealth.of(health, measured, names_vms=caller.is_admin)


@router.get(
    "/vms/{vm_id}/metrics",
    summary="Show a VM's load, network in megabits",
    responses=raises(VMTerminated, NotAuthenticated, NotFound),
)
async def get_vm_network_metrics(
    vm_id: VMId, caller: CallerDep, edge: EdgeDep, probe: ProbeDep, metrics: MetricsDep
) -> VMNetworkMetrics:
    """Read a VM's load now, with the network in megabits per second."""
    async with edge.read() as tx:
        vm = await edge.service(MonitoringService, tx).read_live_vm(vm_id, caller=caller)
    return VMNetworkMetrics.of(await _measured(vm, tx.now, probe, metrics))


@router.get(
    "/vms/{vm_id}/metrics/history",
    summary="Show a VM's load over time, network in megabits",
    responses=raises(InvalidInput, VMTerminated, NotAuthenticated, NotFound),
)
async def get_vm_network_history(
    vm_id: VMId,
    caller: CallerDep,
    edge: EdgeDep,
    metrics: MetricsDep,
    hours: PeriodHours = 24,
    interval: IntervalMinutes = 30,
) -> VMNetworkHistory:
    """Read a VM's load over the last hours, with the network in megabits per second."""
    async with edge.read() as tx:
        vm = await edge.service(MonitoringService, tx).read_live_vm(vm_id, caller=caller)
    history = await metrics.get_vm_metrics(vm, hours=hours, interval=timedelta(minutes=interval), now=tx.now)
    return VMNetworkHistory.of(VMMetricsHistory.of(history))


async def _measured(vm: VMView, now: datetime, probe: Probe, metrics: MetricsService) -> VMMetrics:
    """Measure a machine that runs; what does not run, or can't be measured, shows what is stored."""
    live = (await probe.sample([vm.id])).get(vm.id) if vm.status == VMStatus.RUNNING else None
    latest = None if live else (await metrics.latest([vm.id])).get(vm.id)
    return VMMetrics.of(VMReading(vm=vm, latest=latest, read_at=now), live)
