"""A simulated fleet: hosts, machines, latencies and load, without a hypervisor.

`chance` gives randomness without state, `orders` names what a driver is asked to do, `world` keeps
hosts and machines, `latency` and `load` say how long things take and what machines measure,
`hosts` places machines, `faults` makes orders fail on purpose, and `driver` joins them behind the protocol.
"""

from __future__ import annotations

from typing import Final

from zentry.compute.driver import ComputeDriver, DriverContext
from zentry.compute.simulator.driver import SimulatorDriver
from zentry.compute.simulator.hosts import Fleet, Placement
from zentry.compute.simulator.latency import Latency
from zentry.compute.simulator.world import World
from zentry.platform.settings import SimulatorSettings

WORLD_FILE: Final = "simulator.db"
IN_MEMORY: Final = ":memory:"


def build(context: DriverContext) -> ComputeDriver:
    """Open the world in the context's data directory; the directory `:memory:` keeps it in memory.

    Raises `DriverRejected` when the world cannot be opened or is of another version.
    """
    settings = context.settings.simulator
    world = World(
        IN_MEMORY if str(context.data_dir) == IN_MEMORY else context.data_dir / WORLD_FILE,
        fleet=fleet_of(settings),
    )
    latency = Latency(seed=settings.seed, boot_seconds=settings.boot_seconds, action_seconds=settings.action_seconds)
    return SimulatorDriver(world, clock=context.clock, seed=settings.seed, latency=latency)


def fleet_of(settings: SimulatorSettings) -> Fleet:
    """Return the fleet that the settings describe."""
    return Fleet(
        hosts=settings.hosts,
        vcpus=settings.host_vcpus,
        memory_mib=settings.host_memory_mib,
        disk_gib=settings.host_disk_gib,
        placement=Placement(settings.placement),
    )


__all__ = ["build", "fleet_of"]
