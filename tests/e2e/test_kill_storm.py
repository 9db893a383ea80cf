"""R7: kill -9 at seeded moments, while accounts create, change and delete machines: every kind of operation.

Nothing accepted may be lost, nothing done twice, nothing stuck, and the books must be in order.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from tests.support.bank import BankReader
from tests.support.databases import connect
from tests.support.fleet import Fleet, insist, running_fleet
from tests.support.platform import PASSWORD
from zentry.compute.simulator.hosts import Fleet as Hosts
from zentry.compute.simulator.orders import Action
from zentry.compute.simulator.world import World
from zentry.invariants import broken_invariants
from zentry.platform.db import Database
from zentry.schema.operations import operations
from zentry.schema.vms import vms
from zentry.vms import kinds

_SEED: Final = int(os.environ.get("ZENTRY_TEST_SEED", "20260302"))
_LEASE_SECONDS: Final = 3
_SHORT_LEASE_SECONDS: Final = 1
_SETTINGS: Final = {
    "ZENTRY_ENV": "development",
    "ZENTRY_SECURITY__BCRYPT_COST": "4",
    "ZENTRY_SECURITY__SIGNING_KEY": "k" * 64,
    "ZENTRY_LIMITS__SIGNIN_PER_MINUTE": "0",
    "ZENTRY_LIMITS__WRITES_PER_MINUTE": "0",
    "ZENTRY_LIMITS__READS_PER_MINUTE": "0",
    "ZENTRY_BILLING__WELCOME_CREDITS": "1000",
    "ZENTRY_QUOTAS__VMS_PER_USER": "10000",
    "ZENTRY_QUOTAS__VMS_PER_PROJECT": "10000",
    "ZENTRY_OPERATIONS__POLL_SECONDS": "0.2",
    "ZENTRY_OPERATIONS__WAIT_SECONDS": "0",
    "ZENTRY_SIMULATOR__BOOT_SECONDS": "0.05",
    "ZENTRY_SIMULATOR__ACTION_SECONDS": "0.02",
    "ZENTRY_LOG__LEVEL": "warning",
}
# The driver's actions that each kind may bring about, at most once each.
_EFFECTS: Final = {
    kinds.CREATE: (Action.CREATE, Action.START),
    kinds.START: (Action.CREATE, Action.START),
    kinds.STOP: (Action.STOP,),
    kinds.RESTART: (Action.REBOOT,),
    kinds.DELETE: (Action.REMOVE,),
    kinds.RESIZE: (Action.STOP, Action.RESIZE, Action.START),
    kinds.REBUILD: (Action.STOP, Action.REBUILD, Action.START),
    kinds.SNAPSHOT: (Action.SNAPSHOT,),
    kinds.RESTORE: (Action.STOP, Action.RESTORE, Action.START),
    kinds.DELETE_SNAPSHOTS: (Action.DELETE_SNAPSHOT,),
}

small = pytest.param(60, 10, id="10-kills")
large = pytest.param(1000, 100, id="100-kills", marks=pytest.mark.long)


@pytest.mark.parametrize(("wanted", "kills"), [small, large])
async def test_no_operation_is_lost_doubled_or_stuck_under_kill_9(
    database_url: str, dialect: str, tmp_path: Path, wanted: int, kills: int
) -> None:
    commands = ("serve",) if dialect == "sqlite" else ("api", "api", "worker", "worker")

    async def storm(fleet: Fleet, random: Random) -> None:
        await fleet.storm(kills=kills, random=random, between_seconds=(0.05, 1.5))
        assert fleet.kills == kills

    await _survives(storm, commands, database_url=database_url, directory=tmp_path, wanted=wanted)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("wanted", "rounds"),
    [pytest.param(40, 5, id="5-rounds"), pytest.param(1600, 200, id="200-rounds", marks=pytest.mark.long)],
)
async def test_a_worker_that_stood_still_for_three_leases_changes_nothing_when_it_goes_on(
    database_url: str, tmp_path: Path, wanted: int, rounds: int
) -> None:
    """R8. Its peer takes over meanwhile; what it still has in hand is refused by the database and by the hosts."""

    async def storm(fleet: Fleet, random: Random) -> None:
        await fleet.doze(rounds=rounds, seconds=3 * _SHORT_LEASE_SECONDS, random=random, between_seconds=(0.05, 0.5))
        assert fleet.dozes == rounds

    await _survives(
        storm,
        ("api", "worker", "worker"),
        database_url=database_url,
        directory=tmp_path,
        wanted=wanted,
        lease_seconds=_SHORT_LEASE_SECONDS,
    )


async def _survives(
    storm: Callable[[Fleet, Random], Awaitable[None]],
    commands: Sequence[str],
    *,
    database_url: str,
    directory: Path,
    wanted: int,
    lease_seconds: int = _LEASE_SECONDS,
) -> None:
    """Let customers use machines during the storm; nothing may be lost, doubled, stuck or wrong in the books."""
    settings = {
        **_SETTINGS,
        "ZENTRY_OPERATIONS__LEASE_SECONDS": str(lease_seconds),
        "ZENTRY_DATABASE__URL": database_url,
    }
    random = Random(_SEED)
    print(f"seed {_SEED}")
    async with running_fleet(commands, directory=directory, arguments=("--data-dir", directory), **settings) as fleet:
        database = connect(database_url)
        bank, stop = BankReader(database), asyncio.Event()
        reading = asyncio.create_task(bank.run(stop))
        try:
            accepted, _ = await asyncio.gather(_customers(fleet, wanted=wanted, random=random), storm(fleet, random))
            stop.set()
            await reading
            left = await _active_after(database, seconds=lease_seconds + 5)
            rows = await _operations(database)
            broken = await broken_invariants(database)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await database.close()

    print(f"{bank.reads} reads of the bank")
    assert (bank.reads > 0, bank.unbalanced) == (True, [])
    assert left == []
    assert broken == []
    assert accepted - {row.id for row in rows} == set(), "an accepted operation is not there"
    assert Counter(row.status for row in rows if row.id in accepted) == {"succeeded": len(accepted)}
    assert {row.kind for row in rows} == set(_EFFECTS)
    assert _doubled_effects(rows, directory) == []


async def _customers(fleet: Fleet, *, wanted: int, random: Random) -> set[UUID]:
    """Let ten customers use machines until enough operations were accepted; return the accepted ones."""
    accepted: set[UUID] = set()
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=20, limits=limits) as client:
        await asyncio.gather(
            *(_customer(client, fleet, number, accepted, wanted=wanted, random=random) for number in range(10))
        )
    return accepted


async def _customer(
    client: httpx.AsyncClient, fleet: Fleet, number: int, accepted: set[UUID], *, wanted: int, random: Random
) -> None:
    headers = await _sign_in(client, fleet, f"customer{number}@example.com")
    project = await insist(client, fleet, "POST", "/projects", headers=headers, body={"name": "storm"})
    if project.status_code == httpx.codes.CONFLICT:  # The answer to the first try was lost.
        project = httpx.Response(200, json=(await insist(client, fleet, "GET", "/projects", headers=headers)).json()[0])
    turn = 0
    while len(accepted) < wanted:
        turn += 1
        wish = {
            "name": f"vm-{turn}",
            "instance_type": "small",
            "image": "debian-12",
            "project_id": project.json()["id"],
        }
        keyed = {**headers, "Idempotency-Key": f"create-{turn}"}
        created = await insist(client, fleet, "POST", "/vms", headers=keyed, body=wish)
        assert created.status_code == httpx.codes.CREATED, created.text
        vm = await _rested(client, fleet, created.json()["id"], headers)
        assert vm["status"] == "running"
        keyed = {**headers, "Idempotency-Key": f"snapshot-{turn}"}
        name = {"name": "before"}
        taken = await insist(client, fleet, "POST", f"/vms/{vm['id']}/snapshots", headers=keyed, body=name)
        assert taken.status_code == httpx.codes.CREATED, taken.text
        vm = await _rested(client, fleet, vm["id"], headers)
        changes: tuple[tuple[str, dict[str, str] | None], ...] = (
            ("stop", None),
            ("start", None),
            ("restart", None),
            ("resize", {"instance_type": "medium"}),
            ("rebuild", {"image": "ubuntu-22.04"}),
            (f"snapshots/{taken.json()['id']}/restore", None),
        )
        for step, (path, body) in enumerate(random.sample(changes, k=3)):
            keyed = {**headers, "Idempotency-Key": f"{turn}-{step}"}
            answer = await insist(client, fleet, "POST", f"/vms/{vm['id']}/{path}", headers=keyed, body=body)
            if answer.status_code == httpx.codes.OK:
                accepted.add(UUID(answer.json()["data"]["operation_id"]))
            vm = await _rested(client, fleet, vm["id"], headers)
        keyed = {**headers, "Idempotency-Key": f"forget-{turn}"}
        forgotten = await insist(client, fleet, "DELETE", f"/snapshots/{taken.json()['id']}", headers=keyed)
        accepted.add(UUID(forgotten.json()["data"]["operation_id"]))
        vm = await _rested(client, fleet, vm["id"], headers)
        keyed = {**headers, "Idempotency-Key": f"delete-{turn}"}
        gone = await insist(client, fleet, "DELETE", f"/vms/{vm['id']}", headers=keyed)
        accepted.add(UUID(gone.json()["data"]["operation_id"]))


async def _sign_in(client: httpx.AsyncClient, fleet: Fleet, email: str) -> dict[str, str]:
    person = {"email": email, "name": "Ada Storm", "password": PASSWORD}
    answer = await insist(client, fleet, "POST", "/auth/signup", headers={}, body=person)
    if answer.status_code == httpx.codes.CONFLICT:  # The answer to the first try was lost.
        known = {"email": email, "password": PASSWORD}
        answer = await insist(client, fleet, "POST", "/auth/login", headers={}, body=known)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def _rested(client: httpx.AsyncClient, fleet: Fleet, vm_id: str, headers: dict[str, str]) -> dict[str, Any]:
    """Return the machine once nothing is under way for it."""
    async with asyncio.timeout(120):
        while True:
            vm: dict[str, Any] = (await insist(client, fleet, "GET", f"/vms/{vm_id}", headers=headers)).json()
            if vm["active_operation"] is None:
                return vm
            await asyncio.sleep(0.1)


async def _active_after(database: Database, *, seconds: float) -> list[Any]:
    """Return the operations that have not ended so long after the storm."""
    left: list[Any] = []
    for _ in range(int(seconds / 0.25)):
        left = [row for row in await _operations(database) if row.finished_at is None]
        if not left:
            break
        await asyncio.sleep(0.25)
    return left


async def _operations(database: Database) -> list[Any]:
    async with database.read() as tx:
        return list((await tx.execute(sa.select(operations).join(vms, vms.c.id == operations.c.vm_id))).all())


def _doubled_effects(rows: list[Any], directory: Path) -> list[str]:
    """Return what was done to a machine more often than operations asked for it."""
    allowed: Counter[tuple[UUID, Action]] = Counter()
    for row in rows:
        allowed.update((row.vm_id, action) for action in _EFFECTS[row.kind])
    world = World(directory / "simulator.db", fleet=Hosts(hosts=16, vcpus=256, memory_mib=524_288))
    try:
        return [
            f"{action} of {vm_id}: {times} times for {allowed[vm_id, action]} operations"
            for vm_id in {row.vm_id for row in rows}
            for action, times in world.effects(vm_id).items()
            if times > allowed[vm_id, action] or (action in {Action.CREATE, Action.REMOVE} and times > 1)
        ]
    finally:
        world.close()
