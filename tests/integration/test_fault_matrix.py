"""Every step of every kind of operation meets every fault: one effect, one end, and books in order.

The steps come from the registry of kinds, so that a new kind or step is tried from its first day; a
kind that nobody can ask for here fails the first test.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Any, Final, cast
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.support.platform import Account, PlatformUnderTest
from zentry.compute.driver import DriverRejected, DriverUnavailable
from zentry.compute.simulator.driver import SimulatorDriver
from zentry.compute.types import Power
from zentry.invariants import broken_invariants
from zentry.operations.runner import OperationRunner
from zentry.operations.types import Act, Claim, Kind, Record
from zentry.platform.db import Transaction
from zentry.platform.sealing import Sealer
from zentry.platform.settings import Settings
from zentry.schema.operations import OperationStatus, operations
from zentry.vms import kinds
from zentry.vms.lifecycle import VMLifecycle

Ask = Callable[[PlatformUnderTest, Account, dict[str, Any], str], Awaitable[None]]


def _posting(path: str, **body: Any) -> Ask:
    async def ask(platform: PlatformUnderTest, account: Account, vm: dict[str, Any], snapshot_id: str) -> None:
        url = f"/vms/{vm['id']}/{path.format(snapshot=snapshot_id)}"
        answer = await platform.client.post(url, json=body or None, headers=account.headers)
        assert answer.is_success, answer.text

    return ask


async def _delete(platform: PlatformUnderTest, account: Account, vm: dict[str, Any], _snapshot_id: str) -> None:
    assert (await platform.client.delete(f"/vms/{vm['id']}", headers=account.headers)).is_success


async def _delete_snapshot(platform: PlatformUnderTest, account: Account, _vm: dict[str, Any], id_: str) -> None:
    assert (await platform.client.delete(f"/snapshots/{id_}", headers=account.headers)).is_success


async def _nothing(_platform: PlatformUnderTest, _account: Account, _vm: dict[str, Any], _snapshot_id: str) -> None:
    """The creation of the machine is the operation."""


@dataclass(frozen=True, slots=True)
class Case:
    """How to ask for a kind of operation, from where, and where it ends."""

    kind: str
    before: str
    ask: Ask
    after: str
    refused: tuple[str, ...]
    """Where it may end when the engine refuses a step."""

    def __str__(self) -> str:
        return f"{self.kind.removeprefix('vms.')}-{self.before}"


CASES: Final = (
    Case(kinds.CREATE, "creating", _nothing, "running", ("error",)),
    Case(kinds.START, "stopped", _posting("start"), "running", ("stopped",)),
    Case(kinds.STOP, "running", _posting("stop"), "stopped", ("error",)),
    Case(kinds.RESTART, "running", _posting("restart"), "running", ("error",)),
    Case(kinds.DELETE, "running", _delete, "terminated", ("error",)),
    Case(kinds.DELETE, "stopped", _delete, "terminated", ("error",)),
    *(
        Case(kind, before, ask, before, (before, "error"))
        for before in ("running", "stopped")
        for kind, ask in (
            (kinds.RESIZE, _posting("resize", instance_type="medium")),
            (kinds.REBUILD, _posting("rebuild", image="ubuntu-22.04")),
            (kinds.SNAPSHOT, _posting("snapshots", name="two")),
            (kinds.RESTORE, _posting("snapshots/{snapshot}/restore")),
            (kinds.DELETE_SNAPSHOTS, _delete_snapshot),
        )
    ),
)


def _registry() -> Mapping[str, Kind]:
    """Return the kinds for their steps only: nothing of them is carried out."""
    nobody = cast("Any", None)
    return VMLifecycle(
        database=nobody, driver=nobody, settings=Settings(_env_file=None), sealer=Sealer("k" * 64)
    ).kinds()


# Faults


class _Killed(Exception):
    """The worker is gone: nothing after this line happens."""


@dataclass(slots=True)
class Trouble:
    """What befalls one step once; afterwards everything works."""

    fault: str
    others: Callable[[], Awaitable[None]]
    """What other workers do while this one stands still."""
    is_over: bool = False

    def act(self, act: Act) -> Act:
        """Return the act with the fault."""

        async def troubled(claim: Claim) -> None:
            fault = "" if self.is_over else self.fault
            if fault not in ("dies in commit", ""):
                self.is_over = True
            if fault == "dies before":
                raise _Killed
            if fault == "unavailable":
                raise DriverUnavailable("The host is away.", code="HOST_UNAVAILABLE")
            if fault == "rejected":
                raise DriverRejected("The host refuses.", code="HOST_REJECTED")
            if fault == "stands still":
                await self.others()
            await act(claim)
            if fault == "twice":
                await act(claim)
            if fault == "lost reply":
                raise DriverUnavailable("The reply was lost.", code="LOST_REPLY")
            if fault == "dies after":
                raise _Killed

        return troubled

    def record(self, record: Record) -> Record:
        """Return the record with the fault: all is written, and nothing is committed."""

        async def troubled(tx: Transaction, claim: Claim) -> None:
            await record(tx, claim)
            if self.fault == "dies in commit" and not self.is_over:
                self.is_over = True
                raise _Killed

        return troubled


_POWERS: Final = {"running": Power.ON, "stopped": Power.OFF, "terminated": None}
FAULTS: Final = (
    "unavailable",
    "rejected",
    "lost reply",
    "twice",
    "dies before",
    "dies after",
    "dies in commit",
    "stands still",
)
MATRIX: Final = [
    pytest.param(case, step, fault, id=f"{case}-{_registry()[case.kind].steps[step].name}-{fault.replace(' ', '_')}")
    for case in CASES
    for step in range(len(_registry()[case.kind].steps))
    for fault in FAULTS
]


def _worker(platform: PlatformUnderTest, case: Case, step: int, trouble: Trouble) -> OperationRunner:
    """Return a worker whose one step meets the fault."""
    kind = platform.inner.kinds[case.kind]
    struck = kind.steps[step]
    steps = list(kind.steps)
    steps[step] = replace(struck, act=trouble.act(struck.act), record=trouble.record(struck.record))
    return OperationRunner(
        database=platform.database,
        kinds={**platform.inner.kinds, kind.name: replace(kind, steps=tuple(steps))},
        settings=platform.settings.operations,
        clock=platform.clock,
        random=Random(1),
        signals=platform.inner.signals,
        owner="troubled",
    )


async def _given(platform: PlatformUnderTest, account: Account, case: Case) -> tuple[dict[str, Any], str]:
    """Bring a machine, with a snapshot unless it is to be created, to where the case begins, and ask."""
    if case.before == "creating":
        return await platform.given_vm(account, status="creating"), ""
    vm = await platform.given_vm(account, status=case.before)
    taken = await platform.client.post(f"/vms/{vm['id']}/snapshots", json={"name": "one"}, headers=account.headers)
    await platform.settle()
    return vm, str(taken.json()["id"])


async def _operation(platform: PlatformUnderTest, vm_id: UUID) -> Any:
    async with platform.database.read() as tx:
        latest = operations.c.created_at.desc(), operations.c.fence.desc()
        return (await tx.execute(sa.select(operations).where(operations.c.vm_id == vm_id).order_by(*latest))).first()


async def test_every_kind_can_be_asked_for() -> None:
    assert {case.kind for case in CASES} == set(_registry())


@pytest.mark.parametrize(("case", "step", "fault"), MATRIX)
async def test_a_step_that_meets_a_fault_has_one_effect_and_one_end(
    platform: PlatformUnderTest, case: Case, step: int, fault: str
) -> None:
    account = await platform.signup()
    vm, snapshot_id = await _given(platform, account, case)
    vm_id = UUID(vm["id"])
    world = cast("SimulatorDriver", platform.driver).world
    before = dict(world.effects(vm_id))
    platform.clock.advance(timedelta(seconds=1))
    await case.ask(platform, account, vm, snapshot_id)

    async def others() -> None:
        await platform.advance(meter=False, seconds=platform.settings.operations.lease_seconds + 1)

    trouble = Trouble(fault, others)
    worker = _worker(platform, case, step, trouble)
    for claim in await worker.claim():
        try:
            await worker.drive(claim)
        except _Killed:
            continue
    for _ in range(8):
        await platform.advance(meter=False, seconds=platform.settings.operations.lease_seconds)

    operation = await _operation(platform, vm_id)
    ended = await platform.get_vm(vm["id"], account)
    seen = (await platform.driver.observe([vm_id])).get(vm_id)
    effects = {action: times - before.get(action, 0) for action, times in world.effects(vm_id).items()}
    assert trouble.is_over, "the step was never reached"
    assert operation.kind == case.kind
    assert ended["active_operation"] is None
    assert await broken_invariants(platform.database) == []
    if fault == "rejected":
        assert (operation.status, operation.error_code) == (OperationStatus.FAILED, "HOST_REJECTED")
        assert ended["status"] in case.refused
        assert (seen is not None and seen.power is Power.ON) == (ended["status"] == "running" or _may_run(case))
    else:
        assert operation.status == OperationStatus.SUCCEEDED
        assert ended["status"] == case.after
        assert {action: times for action, times in effects.items() if times > 1} == {}
        assert (seen and seen.power) == _POWERS[case.after]


def _may_run(case: Case) -> bool:
    """Tell whether what was refused may leave a machine that runs: the reconciler stops it."""
    return (case.after in ("stopped", "terminated") and case.before == "running") or case.kind == kinds.RESTART
