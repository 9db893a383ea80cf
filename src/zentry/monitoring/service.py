"""The rules of monitoring.

What lies outside the database is measured by `Probe` and kept by the store, with no transaction open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from zentry.compute.types import Sample
from zentry.monitoring.backlogs import read_backlogs
from zentry.monitoring.errors import VMTerminated
from zentry.monitoring.health import FULL, Findings, host_trouble, judge
from zentry.monitoring.overview import read_account
from zentry.monitoring.probe import Compute, Measured
from zentry.monitoring.repository import MonitoringRepository
from zentry.monitoring.types import (
    Account,
    Alert,
    AlertType,
    Overview,
    PlatformHealth,
    Severity,
    VMCondition,
)
from zentry.monitoring.usage import NO_USAGE, Usage, usage_of
from zentry.platform import money
from zentry.platform.caller import Caller
from zentry.platform.clock import Clock
from zentry.platform.db import Transaction
from zentry.platform.errors import NotFound
from zentry.platform.ids import parse_id
from zentry.platform.settings import Settings
from zentry.schema.vms import StopReason, VMStatus
from zentry.vms.views import VMView, VMViews

_LOW_CREDIT: Final = money.from_credits(5)
_MAX_VMS: Final = 1000
_MAX_ALERTS: Final = 100


class MonitoringService:
    """Reads machines and the platform's health. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction, *, settings: Settings, clock: Clock) -> None:
        self._tx = tx
        self._settings = settings
        self._clock = clock
        self._monitoring = MonitoringRepository(tx)
        self._vms = VMViews(tx)

    async def read_vm(self, vm_id: str, *, caller: Caller) -> VMView:
        """Return a machine of the caller's."""
        parsed = parse_id(vm_id)
        vm = await self._vms.find(parsed, caller=caller) if parsed else None
        if vm is None:
            raise NotFound("VM")
        return vm

    async def read_live_vm(self, vm_id: str, *, caller: Caller) -> VMView:
        """Return a machine of the caller's, unless it is terminated."""
        vm = await self.read_vm(vm_id, caller=caller)
        if vm.status == VMStatus.TERMINATED:
            raise VMTerminated
        return vm

    async def check_vm_status(self, vm_id: str, *, caller: Caller) -> VMCondition:
        """Return what the platform wishes and knows of a machine of the caller's."""
        parsed = parse_id(vm_id)
        condition = await self._monitoring.find_condition(parsed, caller=caller) if parsed else None
        if condition is None:
            raise NotFound("VM")
        return condition

    async def read_overview(self, *, caller: Caller) -> Overview:
        """Return what the caller's dashboard is drawn from."""
        account = await read_account(self._tx, caller=caller)
        if account is None:
            raise NotFound("User")
        vms = await self._vms.list_alive(caller=caller, limit=_MAX_VMS)
        return Overview(account=account, vms=vms, read_at=self._tx.now)

    def alerts(self, overview: Overview, *, usages: Mapping[UUID, Usage], compute: Compute) -> Sequence[Alert]:
        """Return what the owner of these machines should know, the critical things first."""
        found = [
            *_credit_alerts(overview.account, window_seconds=self._settings.billing.window_seconds),
            *filter(None, [host_trouble(compute)]),
            *_policy_alerts(overview),
            *(alert for vm in overview.vms for alert in _state_alerts(vm)),
            *(alert for vm in overview.vms if vm.id in usages for alert in _usage_alerts(vm, usages[vm.id])),
        ]
        return sorted(found, key=lambda alert: alert.severity is not Severity.CRITICAL)[:_MAX_ALERTS]

    async def get_system_health(self, measured: Measured) -> PlatformHealth:
        """Return how the platform is, from what was measured outside and what the database says."""
        started = self._clock.monotonic()
        await self._monitoring.ping()
        seconds = self._clock.monotonic() - started
        fleet = await self._monitoring.read_fleet()
        backlogs = await read_backlogs(self._tx, driver=measured.compute.driver)
        return judge(Findings(measured, fleet, backlogs, seconds, self._tx.now), self._settings)


def current_usage(
    *, status: VMStatus, live: Sample | None, latest: Sample | None, now: datetime
) -> tuple[Usage, datetime]:
    """Return a machine's load and when it was measured.

    A machine that does not run has none, but its disk is as full as it was; one that runs and can't
    be measured now shows its newest sample, whose time says how old it is.
    """
    if status is VMStatus.RUNNING:
        sample = live or latest
        return (usage_of(sample), sample.recorded_at) if sample else (NO_USAGE, now)
    return replace(NO_USAGE, disk_usage=latest.disk_usage if latest else 0.0), now


def usages_of(overview: Overview, *, live: Mapping[UUID, Sample], stored: Mapping[UUID, Sample]) -> dict[UUID, Usage]:
    """Return the load of each running machine: measured now, else as it was stored last."""
    return {
        vm_id: current_usage(
            status=VMStatus.RUNNING, live=live.get(vm_id), latest=stored.get(vm_id), now=overview.read_at
        )[0]
        for vm_id in overview.running_ids
    }


def _credit_alerts(account: Account, *, window_seconds: int) -> Sequence[Alert]:
    next_window = money.cumulated_cost(rate_micros_per_hour=account.hourly_micros, elapsed_seconds=window_seconds)
    available = money.format_credits(max(0, account.available))
    if account.hourly_micros and account.available < next_window:
        needed = money.format_credits(next_window)
        text = f"{available} credits are available, {needed} are needed to keep your VMs running. Add credits."
        return [Alert(AlertType.LOW_CREDIT, text, Severity.CRITICAL)]
    if account.available < _LOW_CREDIT:
        return [Alert(AlertType.LOW_CREDIT, f"Only {available} credits are available.", Severity.WARNING)]
    return []


def _policy_alerts(overview: Overview) -> Sequence[Alert]:
    names = {vm.id: vm.name for vm in overview.vms}
    found = []
    for firing in overview.account.firing:
        name = names.get(firing.target_id)
        about = "" if name is None else f" for VM {name}"
        value = "" if firing.value is None else f", at {firing.value:g}"
        text = f"{firing.name} fires{about}{value}."
        found.append(Alert(AlertType.POLICY, text, firing.severity, None if name is None else firing.target_id))
    return found


def _state_alerts(vm: VMView) -> Sequence[Alert]:
    if vm.status == VMStatus.ERROR:
        return [Alert(AlertType.VM_ERROR, f"VM {vm.name} is in error: start or delete it.", Severity.CRITICAL, vm.id)]
    if vm.status == VMStatus.STOPPED and vm.stop_reason == StopReason.HOST:
        return [Alert(AlertType.VM_LOST_HOST, f"VM {vm.name} was stopped by its host.", Severity.WARNING, vm.id)]
    return []


def _usage_alerts(vm: VMView, usage: Usage) -> Sequence[Alert]:
    percent = 100 * FULL
    figures = (
        (AlertType.HIGH_CPU, "CPU", usage.cpu_usage),
        (AlertType.HIGH_MEMORY, "memory", usage.memory_usage),
        (AlertType.HIGH_DISK, "disk", usage.disk_usage),
    )
    return [
        Alert(kind, f"VM {vm.name} uses {value:.0f} % of its {noun}.", Severity.WARNING, vm.id)
        for kind, noun, value in figures
        if value > percent
    ]
