"""What a user sees first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from pydantic import ConfigDict, Field

from zentry.monitoring.schemas.fields import EXAMPLE_ID, Count, Credits, Percent, percent, usage_fields
from zentry.monitoring.types import Alert, AlertType, Overview, Severity
from zentry.monitoring.usage import Usage, mean_usage
from zentry.platform import money
from zentry.platform.wire import ReadModel
from zentry.schema.vms import VMStatus


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
                            "vm_id": EXAMPLE_ID,
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
    vm_summary: list[VMSummary] = Field(description="VMs that are not terminated, newest first, at most 1000.")
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
                    cpu_usage=percent(usages[vm.id].cpu_usage) if vm.id in usages else 0.0,
                    memory_usage=percent(usages[vm.id].memory_usage) if vm.id in usages else 0.0,
                    cost_per_hour=vm.cost_per_hour,
                )
                for vm in overview.vms
            ],
            alerts=[AlertResponse.model_validate(alert) for alert in alerts],
            resource_utilization=ResourceUtilization(
                avg_cpu=mean["cpu_usage"], avg_memory=mean["memory_usage"], avg_disk=mean["disk_usage"]
            ),
        )
