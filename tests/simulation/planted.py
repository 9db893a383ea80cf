"""Bugs for simulations to find: each is a part of the platform with one line gone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from zentry.billing.meter import Meter
from zentry.compute.driver import ComputeDriver
from zentry.compute.simulator.driver import SimulatorDriver
from zentry.compute.simulator.faults import Faults
from zentry.compute.simulator.hosts import Fleet
from zentry.compute.simulator.latency import Latency
from zentry.compute.simulator.orders import Order
from zentry.compute.simulator.world import World
from zentry.platform.clock import Clock
from zentry.platform.settings import Settings
from zentry.simulation.simulation import SimulationTools
from zentry.worker.worker import Loop


class _ForgetfulWorld(World):
    def _remember_fence(self, order: Order) -> None:
        self._connection.execute("INSERT OR REPLACE INTO fences VALUES (?, ?)", (str(order.vm_id), order.fence))


class ForgottenFences(SimulationTools):
    """Hosts that carry out any order, however old."""

    def world(self, fleet: Fleet) -> World:
        return _ForgetfulWorld(":memory:", fleet=fleet)


class IdleMeter(SimulationTools):
    """Workers without a meter: nothing is renewed, and nothing stops when its credit ends."""

    def loops(self, settings: Settings, **parts: Any) -> Sequence[Loop]:
        return [loop for loop in super().loops(settings, **parts) if not isinstance(loop, Meter)]


class _ImpatientDriver(SimulatorDriver):
    async def ensure_stopped(self, vm_id: UUID, *, fence: int, grace: timedelta) -> None:
        del vm_id, fence, grace


class StopsNothing(SimulationTools):
    """A driver that says of every machine that it has stopped."""

    def driver(self, world: World, *, clock: Clock, seed: int, latency: Latency, faults: Faults) -> ComputeDriver:
        return _ImpatientDriver(world, clock=clock, seed=seed, latency=latency, faults=faults)
