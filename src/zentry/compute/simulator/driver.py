"""The simulator behind the driver protocol.

An order takes its time first and has its effect last: it is admitted in one transaction of the
world, waits outside of any, and lands in a second one that checks the fence again, since a newer
order may have come by meanwhile. A worker that dies while it waits has changed nothing.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from uuid import UUID

from zentry.compute.driver import DriverError
from zentry.compute.simulator.console import boot_log
from zentry.compute.simulator.faults import UNHARMED, Faults, Strike, strike_of
from zentry.compute.simulator.latency import Latency
from zentry.compute.simulator.load import days, measure
from zentry.compute.simulator.orders import Action, Order
from zentry.compute.simulator.world import Past, World
from zentry.compute.types import Capabilities, HostState, Observation, Sample, VMSpec
from zentry.platform.clock import Clock

CHUNK: Final = 200
"""Machines measured before other tasks get a turn: a few milliseconds."""

MANY: Final = 100
"""Machines from which on arrays pay, see `arrays`."""

CAPABILITIES: Final = Capabilities(history=True, resize=True, rebuild=True, snapshots=True, console=True)
"""What a simulated host can do."""


class SimulatorDriver:
    """Drives the simulated world.

    Orders raise `StaleFence`; `DriverRejected` with `UNKNOWN_MACHINE` or `NO_CAPACITY`; and
    `DriverUnavailable` with `WORLD_BUSY` or `HOST_UNREACHABLE`. Faults add their own codes.
    """

    def __init__(
        self, world: World, *, clock: Clock, seed: int, latency: Latency, faults: Faults | None = None
    ) -> None:
        self.name = "simulator"
        self.capabilities = CAPABILITIES
        self.world = world
        self.seed = seed
        self.faults = Faults() if faults is None else faults
        self._clock = clock
        self._latency = latency
        self._late: list[tuple[datetime, Order]] = []

    async def ensure_created(self, spec: VMSpec, *, fence: int) -> None:
        """Place the machine, powered off; `DriverRejected` (`NO_CAPACITY`) when no host has room.

        A machine that exists stays as it is, even if the specification differs.
        """
        await self._carry_out(Order(Action.CREATE, spec.vm_id, fence, spec=spec))

    async def ensure_running(self, vm_id: UUID, *, fence: int) -> None:
        """Boot the machine unless it runs."""
        await self._carry_out(Order(Action.START, vm_id, fence))

    async def ensure_stopped(self, vm_id: UUID, *, fence: int, grace: timedelta) -> None:
        """Stop the machine unless it rests; it takes no longer than the grace."""
        await self._carry_out(Order(Action.STOP, vm_id, fence), longest_seconds=grace.total_seconds())

    async def reboot(self, vm_id: UUID, *, fence: int, order: UUID) -> None:
        """Restart the machine, once per order; one at rest is started."""
        await self._carry_out(Order(Action.REBOOT, vm_id, fence, order=order))

    async def resize(self, spec: VMSpec, *, fence: int) -> None:
        """Give a machine that is off another size, on another host where its own has no room.

        `DriverRejected` with `MACHINE_RUNNING` or `NO_CAPACITY` too.
        """
        await self._carry_out(Order(Action.RESIZE, spec.vm_id, fence, spec=spec))

    async def rebuild(self, spec: VMSpec, *, fence: int, order: UUID) -> None:
        """Begin afresh from an image, once per order."""
        await self._carry_out(Order(Action.REBUILD, spec.vm_id, fence, spec=spec, order=order))

    async def snapshot(self, vm_id: UUID, snapshot_id: UUID, *, fence: int) -> None:
        """Copy the disk, unless the snapshot is there."""
        await self._carry_out(Order(Action.SNAPSHOT, vm_id, fence, snapshot_id=snapshot_id))

    async def restore(self, vm_id: UUID, snapshot_id: UUID, *, fence: int, order: UUID) -> None:
        """Bring the disk back, once per order; `DriverRejected` with `UNKNOWN_SNAPSHOT` too."""
        await self._carry_out(Order(Action.RESTORE, vm_id, fence, snapshot_id=snapshot_id, order=order))

    async def delete_snapshot(self, vm_id: UUID, snapshot_id: UUID, *, fence: int) -> None:
        """Remove a snapshot, if it is there."""
        await self._carry_out(Order(Action.DELETE_SNAPSHOT, vm_id, fence, snapshot_id=snapshot_id))

    async def ensure_absent(self, vm_id: UUID, *, fence: int) -> None:
        """Remove the machine; its fence is remembered."""
        await self._carry_out(Order(Action.REMOVE, vm_id, fence))

    async def observe(self, vm_ids: Sequence[UUID]) -> Mapping[UUID, Observation]:
        """Report the machines among these that exist."""
        await self._meet_faults(Action.OBSERVE)
        return self.world.observe(vm_ids)

    async def inventory(self, *, after: UUID | None = None, limit: int | None = None) -> Sequence[Observation]:
        """Report machines by id: those behind `after`, at most `limit` of them."""
        await self._meet_faults(Action.INVENTORY)
        return self.world.inventory(after=after, limit=limit)

    async def sample(self, vm_ids: Sequence[UUID]) -> Sequence[Sample]:
        """Measure machines now, in the order of the ids."""
        await self._meet_faults(Action.SAMPLE)
        return await self.sample_at(self.world.reachable(vm_ids), at=self._clock.now())

    async def sample_history(self, vm_ids: Sequence[UUID], *, instants: Sequence[datetime]) -> Sequence[Sample]:
        """Measure machines at instants of the past: instants in the given order, within each the ids."""
        await self._meet_faults(Action.HISTORY)
        samples: list[Sample] = []
        for at in instants:
            samples += await self.sample_at(vm_ids, at=at)
        return samples

    async def sample_at(self, vm_ids: Sequence[UUID], *, at: datetime) -> Sequence[Sample]:
        """Measure machines at any instant as they stood then; one not yet created is left out.

        An instant to come is measured as if the machines stayed as they are.
        """
        samples: list[Sample] = []
        remaining = iter(vm_ids)
        while chunk := list(islice(remaining, CHUNK)):
            pasts = self.world.past(chunk, at=at)
            samples += _measure_many(self.seed, pasts, at) if len(pasts) >= MANY else _measure_few(self.seed, pasts, at)
            await self._clock.sleep(0)
        return samples

    async def console(self, vm_id: UUID) -> str:
        """Return the log of the last boot; `DriverRejected` (`UNKNOWN_MACHINE`) for a machine that is not there."""
        await self._meet_faults(Action.CONSOLE, vm_id)
        booted = self.world.last_boot(vm_id)
        return "" if booted is None else boot_log(self.seed, booted)

    async def hosts(self) -> Sequence[HostState]:
        """Report the hosts, by number."""
        await self._meet_faults(Action.HOSTS)
        return self.world.hosts()

    async def close(self) -> None:
        """Let go of the world's file."""
        self.world.close()

    async def _carry_out(self, order: Order, *, longest_seconds: float = math.inf) -> None:
        self._deliver_what_is_late()
        strike = self._strike(order.action, order.vm_id)
        if strike.before is not None:
            raise strike.before
        seconds = min(self._latency.seconds_of(order), longest_seconds) + strike.delay_seconds
        if seconds <= 0 or await self._is_due_after(order, seconds):
            self.world.carry_out(order, at=self._clock.now())
        if strike.again_after_seconds is not None:
            self._late.append((self._clock.now() + timedelta(seconds=strike.again_after_seconds), order))
            self._deliver_what_is_late()
        if strike.after is not None:
            raise strike.after

    def _deliver_what_is_late(self) -> None:
        """Let orders arrive that were sent twice, with whatever call comes next; old ones are refused by the world."""
        due = [order for at, order in self._late if at <= self._clock.now()]
        self._late = [(at, order) for at, order in self._late if at > self._clock.now()]
        for order in due:
            with contextlib.suppress(DriverError):  # Nobody waits for the answer.
                self.world.carry_out(order, at=self._clock.now())

    def _strike(self, action: Action, vm_id: UUID | None = None) -> Strike:
        """Say what befalls a call: by this driver's script first, then by the rules of the world."""
        strike = self.faults.strike(action, vm_id)
        if strike is not UNHARMED:
            return strike
        rule = self.world.strike(action, vm_id, seed=self.seed)
        return UNHARMED if rule is None else strike_of(rule, action)

    async def _is_due_after(self, order: Order, seconds: float) -> bool:
        """Admit the order and let it take its time; one with nothing to do takes none."""
        if not self.world.admit(order):
            return False
        await self._clock.sleep(seconds)
        return True

    async def _meet_faults(self, action: Action, vm_id: UUID | None = None) -> None:
        self._deliver_what_is_late()
        strike = self._strike(action, vm_id)
        if strike.delay_seconds > 0:
            await self._clock.sleep(strike.delay_seconds)
        # Nothing happens in a question, so a lost answer is the same before and after.
        if error := strike.before or strike.after:
            raise error


def _measure_few(seed: int, pasts: Sequence[Past], at: datetime) -> list[Sample]:
    return [
        measure(seed, past.subject, created_at=past.created_at, at=at, running=past.running, rested=past.rested)
        for past in pasts
    ]


def _measure_many(seed: int, pasts: Sequence[Past], at: datetime) -> list[Sample]:
    from zentry.compute.simulator.arrays import Population, measure_all  # noqa: PLC0415 - small servers go without

    population = Population.of(
        [past.subject for past in pasts],
        age_days=[days(at - past.created_at - past.rested) for past in pasts],
        running=[past.running for past in pasts],
    )
    load = measure_all(seed, population, at=at)
    rows = zip(*(getattr(load, name).tolist() for name in load.__slots__), strict=True)
    return [Sample(past.subject.vm_id, at, *row) for past, row in zip(pasts, rows, strict=True)]
