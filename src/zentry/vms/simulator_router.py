"""Routes with which an administrator lets the simulated world fail."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request

from zentry.compute.driver import ComputeDriver
from zentry.compute.simulator.driver import SimulatorDriver
from zentry.compute.simulator.faults import Rule
from zentry.compute.simulator.faults_table import Fault
from zentry.platform.errors import InvalidInput, NotAllowed, NotFound
from zentry.platform.ids import parse_id
from zentry.platform.web import AdminDep, EdgeDep, raises
from zentry.platform.wire import APIResponse
from zentry.vms.errors import EngineCannot, TooManyFaults
from zentry.vms.regions import Regions
from zentry.vms.simulator_schemas import FaultResponse, FaultRule, HostChange, SimulatedHost, SimulatorResponse

router = APIRouter(prefix="/admin/simulator", tags=["Administration"])

_MOST_FAULTS: Final = 1_000
HostName = Annotated[str, Path(max_length=64, description="Name of a host.", examples=["host-3"])]
FaultId = Annotated[int, Path(ge=1, le=2**53, description="Id of a rule.", examples=[1])]


async def _simulator(request: Request, _admin: AdminDep) -> SimulatorDriver:
    driver: ComputeDriver = request.app.state.driver
    if not isinstance(driver, SimulatorDriver):
        raise EngineCannot("fail on purpose: it is not the simulator")
    return driver


SimulatorDep = Annotated[SimulatorDriver, Depends(_simulator)]


@router.get("", summary="Show the simulated world", responses=raises(NotAllowed, EngineCannot))
async def get_simulator(simulator: SimulatorDep) -> SimulatorResponse:
    """Hosts, how full they are, and the rules by which calls fail. Administrators only."""
    return SimulatorResponse(
        seed=simulator.seed,
        placement=simulator.world.placement,
        hosts=_hosts(simulator),
        faults=[_shown(fault) for fault in simulator.world.list_faults()],
    )


@router.patch(
    "/hosts/{host_name}", summary="Let a host fail or come back", responses=raises(NotAllowed, NotFound, EngineCannot)
)
async def change_host(host_name: HostName, body: HostChange, simulator: SimulatorDep, edge: EdgeDep) -> SimulatedHost:
    """Take a host's power, cut it off, bring it back, or take a share of its capacity.

    The reconciler looks at every VM soon afterwards. VMs that are more than a smaller host offers stay
    where they are; it takes no more. Administrators only.
    """
    async with edge.work() as tx:
        changed = simulator.world.change_host(
            host_name, condition=body.condition, lost_percent=body.lost_percent, at=tx.now
        )
        if changed is None:
            raise NotFound("Host")
        await Regions(tx).request_all()
    return next(host for host in _hosts(simulator) if host.name == host_name)


@router.post(
    "/faults",
    summary="Add a fault",
    status_code=201,
    responses=raises(InvalidInput, NotAllowed, NotFound, EngineCannot, TooManyFaults),
)
async def add_fault(body: FaultRule, simulator: SimulatorDep) -> FaultResponse:
    """Let calls of the driver fail by a rule that every process keeps to. Administrators only.

    Of the rules that match a call the oldest that is due strikes. `ensure_running` with `slow` is a slow
    boot, with `rejected` a failed one.
    """
    if body.host is not None and body.host not in simulator.world.conditions():
        raise NotFound("Host")
    vm_id = None if body.vm_id is None else parse_id(body.vm_id)
    if body.vm_id is not None and vm_id is None:
        raise NotFound("VM")
    if len(simulator.world.list_faults()) >= _MOST_FAULTS:
        raise TooManyFaults(_MOST_FAULTS)
    wanted = body.model_dump(exclude={"vm_id"})
    return _shown(simulator.world.add_fault(Rule(**wanted, vm_id=vm_id)))


@router.delete("/faults/{fault_id}", summary="Lift a fault", responses=raises(NotAllowed, NotFound, EngineCannot))
async def remove_fault(fault_id: FaultId, simulator: SimulatorDep, edge: EdgeDep) -> APIResponse:
    """Take a rule out of force. Administrators only."""
    async with edge.read() as tx:
        now = tx.now
    if not simulator.world.remove_faults(fault_id):
        raise NotFound("Fault")
    return APIResponse(success=True, message="Fault lifted", timestamp=now)


@router.delete("/faults", summary="Lift all faults", responses=raises(NotAllowed, EngineCannot))
async def remove_faults(simulator: SimulatorDep, edge: EdgeDep) -> APIResponse:
    """Take every rule out of force. Administrators only."""
    async with edge.read() as tx:
        now = tx.now
    count = simulator.world.remove_faults()
    return APIResponse(success=True, message=f"{count} faults lifted", data={"count": count}, timestamp=now)


def _hosts(simulator: SimulatorDriver) -> list[SimulatedHost]:
    conditions = simulator.world.conditions()
    return [
        SimulatedHost.model_validate(
            {**asdict(host), "condition": conditions[host.name][0], "lost_percent": conditions[host.name][1]}
        )
        for host in simulator.world.hosts()
    ]


def _shown(fault: Fault) -> FaultResponse:
    return FaultResponse.model_validate({"id": fault.id, "hits": fault.hits, **asdict(fault.rule)})
