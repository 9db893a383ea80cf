from __future__ import annotations

import fcntl
import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from uuid import UUID

import pytest

from zentry.compute.driver import DriverRejected, DriverUnavailable
from zentry.compute.simulator.hosts import Fleet
from zentry.compute.simulator.orders import Action, Order
from zentry.compute.simulator.world import World
from zentry.compute.types import VMSpec

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
FLEET = Fleet(hosts=3, vcpus=8, memory_mib=8192)

OpenWorld = Callable[[Fleet], World]


@pytest.fixture
def open_world(tmp_path: Path) -> Iterator[OpenWorld]:
    opened: list[World] = []

    def open_it(fleet: Fleet) -> World:
        opened.append(World(tmp_path / "simulator.db", fleet=fleet))
        return opened[-1]

    yield open_it
    for world in opened:
        world.close()


@pytest.fixture
def world(open_world: OpenWorld) -> World:
    return open_world(FLEET)


def create(number: int, *, vcpus: int = 1, memory_mib: int = 1024, fence: int = 1) -> Order:
    spec = VMSpec(UUID(int=number), f"m-{number}", vcpus, memory_mib, 20, "debian-12", "small", "10.64.0.1")
    return Order(Action.CREATE, spec.vm_id, fence, spec=spec)


def do(action: Action, number: int, *, fence: int = 1) -> Order:
    return Order(action, UUID(int=number), fence)


def host_of(world: World, number: int) -> str:
    return world.observe([UUID(int=number)])[UUID(int=number)].host


# Placement


def test_machines_spread_over_hosts_and_the_lowest_number_wins_a_draw(world: World) -> None:
    for number in range(1, 5):
        world.carry_out(create(number), at=AT)

    assert [host_of(world, number) for number in range(1, 5)] == ["host-1", "host-2", "host-3", "host-1"]


def test_the_host_with_most_free_memory_is_taken(world: World) -> None:
    world.carry_out(create(1, memory_mib=4096), at=AT)
    world.carry_out(create(2, memory_mib=1024), at=AT)
    world.carry_out(create(3, memory_mib=2048), at=AT)

    world.carry_out(create(4), at=AT)

    assert host_of(world, 4) == "host-2"


def test_a_host_short_of_cpus_is_passed_over(world: World) -> None:
    world.carry_out(create(1, vcpus=8, memory_mib=512), at=AT)
    world.carry_out(create(2, vcpus=1, memory_mib=4096), at=AT)
    world.carry_out(create(3, vcpus=1, memory_mib=4096), at=AT)

    world.carry_out(create(4, vcpus=4, memory_mib=512), at=AT)

    assert host_of(world, 4) == "host-2"


def test_a_host_can_be_filled_to_the_brim(world: World) -> None:
    for number in range(1, 4):
        world.carry_out(create(number, vcpus=8, memory_mib=8192), at=AT)

    with pytest.raises(DriverRejected, match="No host has room for 1 vCPUs, 1 MiB"):
        world.carry_out(create(4, memory_mib=1), at=AT)

    assert {(host.vcpus_used, host.memory_mib_used, host.machines) for host in world.hosts()} == {(8, 8192, 1)}


def test_what_hosts_carry_is_the_sum_of_their_machines(world: World) -> None:
    for number in range(1, 8):
        world.carry_out(create(number, vcpus=1 + number % 2, memory_mib=512 * number), at=AT)
    for number in (2, 5):
        world.carry_out(do(Action.REMOVE, number), at=AT)

    left = [1, 3, 4, 6, 7]
    for host in world.hosts():
        machines = [number for number in left if host_of(world, number) == host.name]
        assert host.machines == len(machines)
        assert host.memory_mib_used == sum(512 * number for number in machines)
        assert host.vcpus_used == sum(1 + number % 2 for number in machines)


# Fleets that change


def test_a_larger_fleet_adds_hosts(open_world: OpenWorld) -> None:
    open_world(FLEET).carry_out(create(1), at=AT)

    hosts = open_world(replace(FLEET, hosts=5, vcpus=16)).hosts()

    assert [host.name for host in hosts] == [f"host-{number}" for number in range(1, 6)]
    assert [host.machines for host in hosts] == [1, 0, 0, 0, 0]
    assert {host.vcpus for host in hosts} == {16}


def test_a_smaller_fleet_keeps_hosts_with_machines_but_gives_them_no_more(open_world: OpenWorld) -> None:
    before = open_world(FLEET)
    before.carry_out(create(1, memory_mib=8000), at=AT)
    before.carry_out(create(2), at=AT)

    after = open_world(replace(FLEET, hosts=1))

    assert [host.name for host in after.hosts()] == ["host-1", "host-2"]
    with pytest.raises(DriverRejected, match="No host"):
        after.carry_out(create(3), at=AT)
    assert host_of(after, 2) == "host-2"


def test_a_smaller_host_keeps_its_machines(open_world: OpenWorld) -> None:
    open_world(FLEET).carry_out(create(1, vcpus=8), at=AT)

    after = open_world(replace(FLEET, vcpus=2))

    assert (after.hosts()[0].vcpus, after.hosts()[0].vcpus_used) == (2, 8)
    after.carry_out(do(Action.REMOVE, 1), at=AT)
    assert after.hosts()[0].vcpus_used == 0


# The past


def test_the_past_is_told_at_every_instant(world: World) -> None:
    hour = timedelta(hours=1)
    world.carry_out(create(1), at=AT)
    world.carry_out(do(Action.START, 1), at=AT + hour)
    world.carry_out(do(Action.STOP, 1), at=AT + 3 * hour)
    world.carry_out(do(Action.START, 1), at=AT + 7 * hour)

    past = [world.past([UUID(int=1)], at=AT + count * hour) for count in (-1, 0, 1, 2, 3, 5, 7, 9)]

    assert past[0] == []
    assert [(was[0].running, was[0].rested / hour) for was in past[1:]] == [
        (False, 0.0),
        (True, 1.0),
        (True, 1.0),
        (False, 1.0),
        (False, 3.0),
        (True, 5.0),
        (True, 5.0),
    ]


def test_the_past_stays_in_order_when_a_clock_is_behind(world: World) -> None:
    world.carry_out(create(1), at=AT)
    world.carry_out(do(Action.START, 1), at=AT - timedelta(minutes=5))

    (was,) = world.past([UUID(int=1)], at=AT)

    assert was.running
    assert was.rested == timedelta(0)


def test_the_past_of_several_machines_comes_in_the_order_asked(world: World) -> None:
    for number in (1, 2, 3):
        world.carry_out(create(number), at=AT)
    wanted = [UUID(int=number) for number in (3, 1, 2)]

    assert [was.subject.vm_id for was in world.past(wanted, at=AT)] == wanted


def test_a_machine_made_again_starts_afresh(world: World) -> None:
    world.carry_out(create(1), at=AT)
    world.carry_out(do(Action.START, 1), at=AT)
    world.carry_out(do(Action.REMOVE, 1), at=AT)

    world.carry_out(create(1), at=AT + timedelta(days=1))

    (was,) = world.past([UUID(int=1)], at=AT + timedelta(days=1))
    assert was.created_at == AT + timedelta(days=1)
    assert not was.running


# The file


def test_a_world_of_another_version_is_refused(tmp_path: Path, open_world: OpenWorld) -> None:
    open_world(FLEET).close()
    with closing(sqlite3.connect(tmp_path / "simulator.db")) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(DriverRejected, match="version 99") as caught:
        open_world(FLEET)

    assert caught.value.code == "WORLD_UNUSABLE"


def test_a_file_that_is_no_world_is_refused(tmp_path: Path, open_world: OpenWorld) -> None:
    (tmp_path / "simulator.db").write_bytes(b"not a database, by any means" * 100)

    with pytest.raises(DriverRejected, match="cannot be opened"):
        open_world(FLEET)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DriverRejected, match="cannot be opened"):
        World(tmp_path / "file" / "simulator.db", fleet=FLEET)


def test_a_world_held_by_another_is_unavailable_and_then_available(tmp_path: Path) -> None:
    path = tmp_path / "simulator.db"
    with (
        closing(World(path, fleet=FLEET, busy_seconds=0.05)) as world,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DriverUnavailable) as caught:
            world.carry_out(create(1), at=AT)
        other.execute("ROLLBACK")

        assert caught.value.code == "WORLD_BUSY"
        assert world.carry_out(create(1), at=AT)


def test_a_world_that_somebody_else_opens_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "simulator.db"
    with ThreadPoolExecutor(1) as pool:
        with path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            opening = pool.submit(World, path, fleet=FLEET)
            with pytest.raises(TimeoutError):
                opening.result(timeout=0.1)

        world = opening.result(timeout=10)

    assert len(world.hosts()) == FLEET.hosts
    world.close()


WORKERS = 4
WIDE = Fleet(hosts=10, vcpus=32, memory_mib=262_144)


def prepare_worker(barrier: Barrier) -> None:
    globals()["all_ready"] = barrier


def place_many(path: str, worker: int) -> int:
    globals()["all_ready"].wait(timeout=30)
    world = World(Path(path), fleet=WIDE)
    placed = 0
    for number in range(150):
        with suppress(DriverRejected):
            placed += world.carry_out(create(1000 * worker + number), at=AT)
    world.close()
    return placed


def test_processes_share_a_world_that_none_of_them_made_and_never_overcommit(
    tmp_path: Path, open_world: OpenWorld
) -> None:
    path = str(tmp_path / "simulator.db")
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(WORKERS)
    with ProcessPoolExecutor(WORKERS, mp_context=spawn, initializer=prepare_worker, initargs=(barrier,)) as pool:
        placed = list(pool.map(place_many, [path] * WORKERS, range(WORKERS)))

    world = open_world(WIDE)

    assert sum(placed) == WIDE.hosts * WIDE.vcpus
    assert len(world.inventory()) == WIDE.hosts * WIDE.vcpus
    assert [host.vcpus_used for host in world.hosts()] == [WIDE.vcpus] * WIDE.hosts
