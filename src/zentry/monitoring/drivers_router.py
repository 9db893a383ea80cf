"""The route that shows administrators what the platform computes on."""

from __future__ import annotations

from typing import Literal, cast

from fastapi import APIRouter, Request
from pydantic import Field

from zentry.compute.driver import ComputeDriver
from zentry.compute.types import HostState
from zentry.monitoring.probe import Compute, Probe
from zentry.platform.errors import NotAllowed
from zentry.platform.web import AdminDep, raises
from zentry.platform.wire import ReadModel

router = APIRouter(prefix="/admin/drivers", tags=["Administration"])


class DriverHost(ReadModel):
    """One host and how full it is."""

    name: str = Field(examples=["host-1"])
    online: bool
    machines: int = Field(description="Machines that it has, running or not.", examples=[12])
    vcpus: int
    vcpus_used: int
    memory_mib: int
    memory_mib_used: int
    disk_gib: int
    disk_gib_used: int


class DriverCapabilities(ReadModel):
    """What the driver can do with a machine beyond the life that every driver knows."""

    resize: bool
    rebuild: bool
    snapshots: bool
    console: bool
    history: bool = Field(description="Whether it can tell measurements of the past.")


class DriverResponse(ReadModel):
    """A compute driver: whether it answers, what it can do, and what it has."""

    name: str = Field(examples=["simulator"])
    state: Literal["available", "degraded", "unavailable"] = Field(
        description="degraded: some hosts do not answer; unavailable: the driver or all of its hosts do not."
    )
    reason: str | None = Field(description="Why it does not answer.")
    capabilities: DriverCapabilities
    machines: int = Field(description="Machines on all hosts that answer.", examples=[120])
    hosts: list[DriverHost]


@router.get("", summary="Show the drivers", responses=raises(NotAllowed))
async def list_drivers(_admin: AdminDep, request: Request) -> list[DriverResponse]:
    """The drivers that machines run on, with what they can do and how full they are. Administrators only."""
    driver = cast("ComputeDriver", request.app.state.driver)
    compute = await cast("Probe", request.app.state.probe).compute()
    return [
        DriverResponse(
            name=compute.driver,
            state=_state(compute),
            reason=compute.failure,
            capabilities=DriverCapabilities.model_validate(driver.capabilities),
            machines=sum(host.machines for host in compute.hosts if host.online),
            hosts=[_host(host) for host in compute.hosts],
        )
    ]


def _state(compute: Compute) -> Literal["available", "degraded", "unavailable"]:
    if compute.failure is not None or not compute.online:
        return "unavailable"
    return "available" if len(compute.online) == len(compute.hosts) else "degraded"


def _host(host: HostState) -> DriverHost:
    return DriverHost.model_validate(host)
