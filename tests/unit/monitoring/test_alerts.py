from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from tests.unit.monitoring.fleet import Fleet, host
from zentry.monitoring.probe import Compute
from zentry.monitoring.service import MonitoringService
from zentry.monitoring.types import AlertType, Severity
from zentry.monitoring.usage import NO_USAGE
from zentry.platform.caller import Caller, Role
from zentry.platform.clock import ManualClock
from zentry.platform.db import Database
from zentry.platform.settings import Settings


async def test_alerts_tell_of_machines_hosts_and_loads_the_critical_first(
    database: Database, clock: ManualClock, fleet: Fleet
) -> None:
    calm = await fleet.add(1)
    busy = await fleet.add(2)
    broken = await fleet.add(3, status="error")
    lost = await fleet.add(4, status="stopped", stop_reason="host")
    await fleet.add(5, status="stopped", stop_reason="user")
    await fleet.add(6, status="terminated")
    usages = {
        calm: replace(NO_USAGE, cpu_usage=90.0, memory_usage=90.0, disk_usage=90.0),
        busy: replace(NO_USAGE, cpu_usage=90.1, memory_usage=95.0, disk_usage=99.0),
    }
    caller = Caller(user_id=fleet.user_id, session_id=UUID(int=9), role=Role.USER)

    async with database.read() as tx:
        service = MonitoringService(tx, settings=Settings(_env_file=None), clock=clock)
        overview = await service.read_overview(caller=caller)
    compute = Compute("steady", (host("host-1"), host("host-2", online=False)))
    alerts = service.alerts(overview, usages=usages, compute=compute)

    assert alerts[0].severity is Severity.CRITICAL
    assert {(alert.type, alert.vm_id) for alert in alerts} == {
        (AlertType.VM_ERROR, broken),
        (AlertType.VM_LOST_HOST, lost),
        (AlertType.HOST_TROUBLE, None),
        (AlertType.HIGH_CPU, busy),
        (AlertType.HIGH_MEMORY, busy),
        (AlertType.HIGH_DISK, busy),
    }
    assert overview.account.live == 5
