"""The driver protocol, its errors, and how a driver is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from random import Random
from typing import Protocol, cast
from uuid import UUID

from zentry.compute.types import Capabilities, HostState, Observation, Sample, VMSpec
from zentry.platform.clock import Clock
from zentry.platform.settings import Settings


class DriverError(Exception):
    """A driver could not do what was asked."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class DriverUnavailable(DriverError):
    """Trying again may help: a host is away, a reply was lost."""


class DriverRejected(DriverError):
    """Trying again will not help: no capacity, a broken image, an impossible size."""


class StaleFence(DriverError):
    """A newer order for the machine has been seen; this one must not be carried out."""

    def __init__(self, *, seen: int, given: int) -> None:
        super().__init__(f"Order {given} is older than order {seen}.", code="STALE_FENCE")


class ComputeDriver(Protocol):
    """Drives one kind of hypervisor.

    A driver never sees the database. `ensure_*` methods are idempotent: a second call finds
    nothing to do. Each order carries the machine's fence; a driver remembers the highest per
    machine, also of machines that are gone, and raises `StaleFence` for a lower one. They raise
    `DriverUnavailable` when trying again may help, and `DriverRejected` when it will not.
    """

    name: str
    capabilities: Capabilities

    async def ensure_created(self, spec: VMSpec, *, fence: int) -> None:
        """Place the machine on a host, powered off."""
        ...

    async def ensure_running(self, vm_id: UUID, *, fence: int) -> None:
        """Bring the machine up; `DriverRejected` when it was never created."""
        ...

    async def ensure_stopped(self, vm_id: UUID, *, fence: int, grace: timedelta) -> None:
        """Bring the machine to rest, by force once the grace is over; `DriverRejected` when it was never created."""
        ...

    async def reboot(self, vm_id: UUID, *, fence: int, order: UUID) -> None:
        """Restart the machine and leave it running; the same order restarts it once.

        `DriverRejected` when it was never created.
        """
        ...

    async def resize(self, spec: VMSpec, *, fence: int) -> None:
        """Give a machine that is off the size of the specification; one that has it stays as it is.

        A disk grows and never shrinks: one that is larger stays. `DriverRejected` when there is no room,
        when the machine runs, or when it was never created. Only where `capabilities.resize`; other
        drivers raise `DriverRejected`.
        """
        ...

    async def rebuild(self, spec: VMSpec, *, fence: int, order: UUID) -> None:
        """Let the disk of a machine that is off begin afresh from the specification's image, once per order.

        `DriverRejected` when the machine runs, or was never created. Only where `capabilities.rebuild`.
        """
        ...

    async def snapshot(self, vm_id: UUID, snapshot_id: UUID, *, fence: int) -> None:
        """Copy a machine's disk as it is now, running or not; a snapshot that is there stays as it is.

        This and the next two only where `capabilities.snapshots`. A snapshot outlives its machine.
        """
        ...

    async def restore(self, vm_id: UUID, snapshot_id: UUID, *, fence: int, order: UUID) -> None:
        """Make the disk of a machine that is off what it was at the snapshot, once per order.

        `DriverRejected` when the machine runs, was never created, or the snapshot is not there.
        """
        ...

    async def delete_snapshot(self, vm_id: UUID, snapshot_id: UUID, *, fence: int) -> None:
        """Remove a snapshot of a machine, which may be gone itself; an unknown one is gone already."""
        ...

    async def ensure_absent(self, vm_id: UUID, *, fence: int) -> None:
        """Remove the machine and what it holds; unknown machines are absent already."""
        ...

    async def observe(self, vm_ids: Sequence[UUID]) -> Mapping[UUID, Observation]:
        """Report what the hosts see; an id that they do not know is left out."""
        ...

    async def inventory(self, *, after: UUID | None = None, limit: int | None = None) -> Sequence[Observation]:
        """Report the machines that the hosts have, by id: those behind `after`, at most `limit` of them."""
        ...

    async def sample(self, vm_ids: Sequence[UUID]) -> Sequence[Sample]:
        """Measure machines now; stopped ones measure zero load, unknown ones are left out."""
        ...

    async def sample_history(self, vm_ids: Sequence[UUID], *, instants: Sequence[datetime]) -> Sequence[Sample]:
        """Measure machines at instants of the past, as they stood then.

        Only where `capabilities.history`; other drivers raise `DriverRejected`.
        """
        ...

    async def console(self, vm_id: UUID) -> str:
        """Return what a machine has written to its serial line since it was last started, at most 64 KiB of its end.

        `DriverRejected` when it was never created. Only where `capabilities.console`.
        """
        ...

    async def hosts(self) -> Sequence[HostState]:
        """Report the hosts and how full they are; `DriverUnavailable` when the engine is away."""
        ...

    async def close(self) -> None:
        """Let go of files and connections."""
        ...


@dataclass(frozen=True, slots=True)
class DriverContext:
    """What a driver is built from."""

    settings: Settings
    data_dir: Path
    clock: Clock
    random: Random


class DriverFactory(Protocol):
    """What an entry point in the group `zentry.drivers` names."""

    def __call__(self, context: DriverContext) -> ComputeDriver:
        """Build the driver."""
        ...


class UnknownDriver(Exception):
    """No installed package offers a driver of this name."""


def load_driver(context: DriverContext) -> ComputeDriver:
    """Return the driver that the settings name, or raise `UnknownDriver`."""
    name = context.settings.compute.driver
    found = _installed()
    if name not in found:
        raise UnknownDriver(f"There is no compute driver {name!r}; installed: {', '.join(sorted(found)) or 'none'}.")
    factory = cast("DriverFactory", found[name].load())
    return factory(context)


@cache
def _installed() -> dict[str, EntryPoint]:
    """Return the drivers of every installed package; the metadata of all of them is read for it, so once."""
    return {point.name: point for point in entry_points(group="zentry.drivers")}
