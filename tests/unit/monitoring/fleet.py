"""Machines as bare rows, and a driver that measures whatever it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from zentry.compute.driver import DriverUnavailable
from zentry.compute.types import Capabilities, HostState, Observation, Power, Sample, VMSpec
from zentry.platform.clock import Clock
from zentry.platform.db import Database
from zentry.schema.accounts import users
from zentry.schema.projects import projects
from zentry.schema.vms import images, instance_types, vms


class Fleet:
    """Writes machines without a lifecycle: what monitoring reads of them is their row."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.first = 1000
        """Where the ids of its machines begin."""
        self.user_id = UUID(int=1)
        self.project_id = UUID(int=2)

    async def prepare(self) -> None:
        async with self._database.work() as tx:
            await tx.execute(
                sa.insert(users).values(
                    id=self.user_id,
                    email="ada@example.com",
                    email_key="ada@example.com",
                    name="Ada",
                    hashed_password="-",
                    role="user",
                    is_active=True,
                    created_at=tx.now,
                    credits=50_000_000,
                )
            )
            await tx.execute(
                sa.insert(projects).values(
                    id=self.project_id, user_id=self.user_id, name="p", name_key="p", description="", created_at=tx.now
                )
            )
            size = {"name": "small", "vcpus": 1, "memory_mib": 1024, "disk_gib": 20, "description": "", "sort_order": 1}
            await tx.insert_unless_there(instance_types, size)
            image = {"name": "debian-11", "distribution": "Debian", "version": "11", "description": "", "sort_order": 1}
            await tx.insert_unless_there(images, image)

    async def add(self, number: int, *, status: str = "running", stop_reason: str | None = None) -> UUID:
        vm_id = UUID(int=self.first + number)
        async with self._database.work() as tx:
            await tx.execute(
                sa.insert(vms).values(
                    id=vm_id,
                    user_id=self.user_id,
                    project_id=self.project_id,
                    name=f"vm-{number}",
                    name_key=f"vm-{number}",
                    instance_type="small",
                    image="debian-11",
                    vcpus=1,
                    memory_mib=1024,
                    disk_gib=20,
                    status=status,
                    wanted=status if status in ("stopped", "terminated") else "running",
                    stop_reason=stop_reason,
                    created_at=tx.now,
                )
            )
        return vm_id


def sample_of(vm_id: UUID, at: datetime, *, cpu: float = 10.0, disk: float = 30.0) -> Sample:
    return Sample(
        vm_id=vm_id,
        recorded_at=at,
        cpu_usage=cpu,
        memory_usage=2 * cpu,
        disk_usage=disk,
        network_in=1000.0,
        network_out=500.0,
    )


class SteadyDriver:
    """Measures every machine alike, and is away when told to be."""

    name = "steady"
    capabilities = Capabilities()

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.away = False
        self.asked: list[Sequence[UUID]] = []
        self._stop: asyncio.Event | None = None
        self._samples_wanted = 0
        self.states: tuple[HostState, ...] = (host("host-1"), host("host-2"))

    def stop_after(self, samples: int, stop: asyncio.Event) -> None:
        """Tell whoever asks to stop once it has asked so often."""
        self._samples_wanted, self._stop = samples, stop

    async def sample(self, vm_ids: Sequence[UUID]) -> Sequence[Sample]:
        self._answer()
        self.asked.append(tuple(vm_ids))
        if self._stop is not None and len(self.asked) >= self._samples_wanted:
            self._stop.set()
        return [sample_of(vm_id, self._clock.now()) for vm_id in vm_ids]

    async def sample_history(self, vm_ids: Sequence[UUID], *, instants: Sequence[datetime]) -> Sequence[Sample]:
        return [sample_of(vm_id, at) for vm_id in vm_ids for at in instants]

    async def observe(self, vm_ids: Sequence[UUID]) -> Mapping[UUID, Observation]:
        self._answer()
        return {vm_id: Observation(vm_id, Power.ON, 1, "host-1") for vm_id in vm_ids}

    async def hosts(self) -> Sequence[HostState]:
        self._answer()
        return self.states

    async def inventory(self, *, after: UUID | None = None, limit: int | None = None) -> Sequence[Observation]:
        del after, limit
        return []

    async def ensure_created(self, spec: VMSpec, *, fence: int) -> None: ...

    async def ensure_running(self, vm_id: UUID, *, fence: int) -> None: ...

    async def ensure_stopped(self, vm_id: UUID, *, fence: int, grace: timedelta) -> None: ...

    async def reboot(self, vm_id: UUID, *, fence: int, order: UUID) -> None: ...

    async def resize(self, spec: VMSpec, *, fence: int) -> None: ...

    async def rebuild(self, spec: VMSpec, *, fence: int, order: UUID) -> None: ...

    async def snapshot(self, vm_id: UUID, snapshot_id: UUID, *, fence: int) -> None: ...

    async def restore(self, vm_id: UUID, snapshot_id: UUID, *, fence: int, order: UUID) -> None: ...

    async def delete_snapshot(self, vm_id: UUID, snapshot_id: UUID, *, fence: int) -> None: ...

    async def console(self, vm_id: UUID) -> str:
        return f"{vm_id} login:"

    async def ensure_absent(self, vm_id: UUID, *, fence: int) -> None: ...

    async def close(self) -> None: ...

    def _answer(self) -> None:
        if self.away:
            raise DriverUnavailable("The host is away.", code="AWAY")


def host(name: str, *, online: bool = True, vcpus_used: int = 4) -> HostState:
    return HostState(
        name=name,
        online=online,
        vcpus=64,
        vcpus_used=vcpus_used,
        memory_mib=65_536,
        memory_mib_used=4096,
        machines=4,
    )
