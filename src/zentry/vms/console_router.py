"""The route of the serial console."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request

from zentry.platform.errors import Unavailable
from zentry.platform.ids import parse_id
from zentry.platform.web import CallerDep, EdgeDep, raises
from zentry.projects.access import Right, RoleTooLow
from zentry.vms.console import Console
from zentry.vms.errors import EngineCannot, VMNotFound
from zentry.vms.router import VMId
from zentry.vms.schemas import ConsoleResponse
from zentry.vms.service import VMService

router = APIRouter(prefix="/vms", tags=["Virtual Machines"])

_MOST_LINES = 1000


async def _console(request: Request) -> Console:
    return cast("Console", request.app.state.console)


@router.get(
    "/{vm_id}/console",
    summary="Show a VM's console",
    responses=raises(VMNotFound, RoleTooLow, EngineCannot, Unavailable),
)
async def get_console(
    vm_id: VMId,
    caller: CallerDep,
    edge: EdgeDep,
    console: Annotated[Console, Depends(_console)],
    lines: Annotated[int, Query(ge=1, le=_MOST_LINES, description="How many lines, counted from the end.")] = 200,
) -> ConsoleResponse:
    """What a machine has written to its serial line since it was last started; empty before the first start."""
    async with edge.read() as tx:
        vm = await edge.service(VMService, tx).get_vm(parse_id(vm_id), caller=caller, right=Right.OPERATE)
    found = await console.read(vm.id, lines=lines)
    return ConsoleResponse(vm_id=vm.id, output=found.output, lines=found.lines, truncated=found.truncated)
