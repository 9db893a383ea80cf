"""The steps of `benchmarks.operations` as a DBOS workflow, in a process and an environment of their own.

It reads a plan from its first line of input, then runs one round for each further line and answers
it with the seconds that the round took.

    python -m benchmarks.dbos_steps
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from benchmarks.steps import AT_ONCE, Steps
from zentry.compute.driver import ComputeDriver
from zentry.compute.simulator.driver import SimulatorDriver
from zentry.compute.simulator.hosts import Fleet
from zentry.compute.simulator.latency import Latency
from zentry.compute.simulator.world import World
from zentry.compute.types import VMSpec
from zentry.platform.clock import SystemClock


class Plan(msgspec.Struct):
    """Where the databases lie, and which machines there are."""

    database_url: str
    world: str
    vm_ids: list[UUID]


async def main() -> None:
    dbos: Any = importlib.import_module("dbos")  # It is installed where this runs, and there only.

    plan = msgspec.json.decode(sys.stdin.readline(), type=Plan)
    driver = SimulatorDriver(
        World(Path(plan.world), fleet=Fleet(hosts=1000, vcpus=256, memory_mib=524_288)),
        clock=SystemClock(),
        seed=1,
        latency=Latency(seed=1, boot_seconds=0.0, action_seconds=0.0),
    )
    await _given_machines(driver, plan.vm_ids)
    steps = Steps(driver)
    config: Any = {
        "name": "benchmark",
        "system_database_url": plan.database_url,
        "sys_db_pool_size": AT_ONCE,
        "run_admin_server": False,
        "log_level": "ERROR",
    }
    dbos.DBOS(config=config)

    async def stop(vm_id: str, fence: int) -> None:
        await steps.stop(UUID(vm_id), fence)

    async def start(vm_id: str, fence: int) -> None:
        await steps.start(UUID(vm_id), fence)

    async def reboot(vm_id: str, fence: int) -> None:
        await steps.reboot(UUID(vm_id), fence)

    durable = [dbos.DBOS.step()(step) for step in (stop, start, reboot)]

    async def operation(vm_id: str, fence: int) -> None:
        for step in durable:
            await step(vm_id, fence)

    workflow = dbos.DBOS.workflow()(operation)
    dbos.DBOS.launch()
    some = asyncio.Semaphore(AT_ONCE)

    async def run(vm_id: UUID, fence: int) -> None:
        async with some:
            handle = await dbos.DBOS.start_workflow_async(workflow, str(vm_id), fence)
            await handle.get_result()

    print("ready", flush=True)
    fence = 1
    while sys.stdin.readline():
        fence += 1
        started = time.perf_counter()
        await asyncio.gather(*(run(vm_id, fence) for vm_id in plan.vm_ids))
        print(time.perf_counter() - started, flush=True)
    dbos.DBOS.destroy()


async def _given_machines(driver: ComputeDriver, vm_ids: Sequence[UUID]) -> None:
    for vm_id in vm_ids:
        spec = VMSpec(
            vm_id=vm_id,
            name="machine",
            instance_type="small",
            image="debian-12",
            vcpus=1,
            memory_mib=1024,
            disk_gib=20,
            ip_address="10.64.0.1",
        )
        await driver.ensure_created(spec, fence=1)
        await driver.ensure_running(vm_id, fence=1)


if __name__ == "__main__":
    asyncio.run(main())
