"""What workers do with machines' disks: replace them by an image or a snapshot, take snapshots, remove them.

A disk is replaced at one instant, which is the point of no return: what fails before it leaves the
machine as it was, running if it ran; what fails after it leaves a machine with the new disk, in
error and unbilled, to be started or rebuilt again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from zentry.billing.service import BillingService
from zentry.compute.driver import ComputeDriver
from zentry.operations.types import Act, Claim, Failure, Kind, Step
from zentry.platform.db import Transaction
from zentry.platform.settings import Settings
from zentry.projects.quotas import Quotas
from zentry.schema.vms import SnapshotStatus
from zentry.vms.kinds import DELETE_SNAPSHOTS, REBUILD, RESTORE, SNAPSHOT
from zentry.vms.landing import get_claimed, land, record_event
from zentry.vms.regions import Regions
from zentry.vms.snapshots_repository import SnapshotRepository
from zentry.vms.specifications import Specifications
from zentry.vms.states import VMEvent, next_state

_REPLACING: Final = 1
"""The step that replaces the disk."""


class Disks:
    """Carries out what happens to disks."""

    def __init__(self, *, driver: ComputeDriver, settings: Settings, specifications: Specifications) -> None:
        self._specifications = specifications
        self._driver = driver
        self._settings = settings
        self._grace = timedelta(seconds=settings.compute.stop_grace_seconds)

    def kinds(self) -> Iterable[Kind]:
        """Return the kinds of operation."""
        return (
            self._replacing(REBUILD, act=self._rebuild),
            self._replacing(RESTORE, act=self._restore),
            Kind(
                SNAPSHOT,
                (Step("snapshot", act=self._take, account=self._meter, record=self._taken, undo=self._drop),),
                release=_keep_money,
                abandon=self._snapshot_failed,
            ),
            Kind(
                DELETE_SNAPSHOTS,
                (Step("delete", act=self.clear, account=self._lock_account, record=self.cleared),),
                release=_keep_money,
                abandon=self._deletion_failed,
            ),
        )

    def _replacing(self, name: str, *, act: Act) -> Kind:
        return Kind(
            name,
            (
                Step("halt", act=self._halt, undo=self._start_again),
                Step("replace", act=act, record=self._replaced),
                Step("boot", act=self._boot, record=self._booted, undo=self._halt),
            ),
            release=self._release,
            abandon=self._replacing_failed,
        )

    # Replacing a disk

    async def _halt(self, claim: Claim) -> None:
        if _was_running(claim):
            await self._driver.ensure_stopped(claim.vm_id, fence=claim.fence, grace=self._grace)

    async def _start_again(self, claim: Claim) -> None:
        if claim.step <= _REPLACING:
            await self._boot(claim)

    async def _boot(self, claim: Claim) -> None:
        if _was_running(claim):
            await self._driver.ensure_running(claim.vm_id, fence=claim.fence)

    async def _rebuild(self, claim: Claim) -> None:
        spec = replace(await self._specifications.of(claim), image=claim.input["image"], snapshot_id=None)
        await self._driver.rebuild(spec, fence=claim.fence, order=claim.operation_id)

    async def _restore(self, claim: Claim) -> None:
        await self._driver.restore(
            claim.vm_id, UUID(claim.input["snapshot_id"]), fence=claim.fence, order=claim.operation_id
        )

    async def _replaced(self, tx: Transaction, claim: Claim) -> None:
        vm = await get_claimed(tx, claim)
        snapshot_id = claim.input.get("snapshot_id")
        status = next_state(vm.status, VMEvent.REPLACED)
        came_from = UUID(snapshot_id) if snapshot_id else None
        await land(tx, claim, vm, status, image=claim.input["image"], snapshot_id=came_from)
        await record_event(tx, claim, vm, f"vm.{_PARTICIPLES[claim.kind]}", image=claim.input["image"])

    async def _booted(self, tx: Transaction, claim: Claim) -> None:
        if _was_running(claim):
            vm = await get_claimed(tx, claim)
            uptime = vm.uptime_seconds + vm.session_seconds(tx.now)
            status = next_state(vm.status, VMEvent.REBOOTED)
            await land(tx, claim, vm, status, last_started=tx.now, uptime_seconds=uptime)
            await record_event(tx, claim, vm, "vm.running", before=vm.status, after=status)

    async def _release(self, tx: Transaction, claim: Claim, _failure: Failure) -> None:
        if _was_running(claim) and claim.step > _REPLACING:
            await BillingService(tx, self._settings.billing).stop_metering(claim.vm_id, claim.user_id)

    async def _replacing_failed(self, tx: Transaction, claim: Claim, failure: Failure) -> None:
        vm = await get_claimed(tx, claim)
        if _was_running(claim) and claim.step > _REPLACING:
            uptime = vm.uptime_seconds + vm.session_seconds(tx.now)
            await land(tx, claim, vm, next_state(vm.status, VMEvent.FAILED), uptime_seconds=uptime)
        await Regions(tx).request(vm.id)  # What could not be taken back is for the reconciler to find.
        await record_event(tx, claim, vm, f"vm.{_VERBS[claim.kind]}_failed", code=failure.code, message=failure.message)

    # Snapshots

    async def _take(self, claim: Claim) -> None:
        await self._driver.snapshot(claim.vm_id, UUID(claim.input["snapshot_id"]), fence=claim.fence)

    async def _drop(self, claim: Claim) -> None:
        await self._driver.delete_snapshot(claim.vm_id, UUID(claim.input["snapshot_id"]), fence=claim.fence)

    async def _meter(self, tx: Transaction, claim: Claim) -> None:
        snapshot = await SnapshotRepository(tx).find_of_account(UUID(claim.input["snapshot_id"]), user_id=claim.user_id)
        if snapshot is not None:
            await BillingService(tx, self._settings.billing).start_keeping(snapshot.resource)

    async def _taken(self, tx: Transaction, claim: Claim) -> None:
        await self._end_snapshot(tx, claim, SnapshotStatus.AVAILABLE)

    async def _snapshot_failed(self, tx: Transaction, claim: Claim, failure: Failure) -> None:
        await self._end_snapshot(tx, claim, SnapshotStatus.ERROR, code=failure.code, message=failure.message)

    async def _end_snapshot(self, tx: Transaction, claim: Claim, status: SnapshotStatus, **facts: str) -> None:
        snapshot_id = UUID(claim.input["snapshot_id"])
        moved = await SnapshotRepository(tx).move(snapshot_id, seen=SnapshotStatus.CREATING, to=status)
        assert moved, "only a deletion of the machine takes a snapshot from its operation, and the claim with it"
        vm = await get_claimed(tx, claim)
        kind = "vm.snapshot_taken" if status is SnapshotStatus.AVAILABLE else "vm.snapshot_failed"
        await record_event(tx, claim, vm, kind, snapshot_id=str(snapshot_id), **facts)

    async def clear(self, claim: Claim) -> None:
        """Remove the snapshots that the operation names, if any."""
        for snapshot_id in _doomed(claim):
            await self._driver.delete_snapshot(claim.vm_id, snapshot_id, fence=claim.fence)

    async def cleared(self, tx: Transaction, claim: Claim) -> None:
        """Record that they are gone; the account's row is locked."""
        doomed = _doomed(claim)
        if not doomed:
            return
        vm = await get_claimed(tx, claim)
        gone = await SnapshotRepository(tx).bury(doomed)
        await Quotas(tx).give_back_all((vm.user_id, vm.project_id), {"snapshots": gone})
        await record_event(tx, claim, vm, "vm.snapshots_deleted", snapshot_ids=[str(one) for one in doomed])

    async def _lock_account(self, tx: Transaction, claim: Claim) -> None:
        await BillingService(tx, self._settings.billing).lock_account(claim.user_id)

    async def _deletion_failed(self, tx: Transaction, claim: Claim, failure: Failure) -> None:
        """Show them again, so that the deletion can be repeated."""
        vm = await get_claimed(tx, claim)
        for snapshot_id in _doomed(claim):
            await SnapshotRepository(tx).move(snapshot_id, seen=SnapshotStatus.DELETING, to=SnapshotStatus.ERROR)
        await record_event(tx, claim, vm, "vm.snapshot_delete_failed", code=failure.code, message=failure.message)


_PARTICIPLES: Final = {REBUILD: "rebuilt", RESTORE: "restored"}
_VERBS: Final = {REBUILD: "rebuild", RESTORE: "restore"}


async def _keep_money(_tx: Transaction, _claim: Claim, _failure: Failure) -> None:
    """What is not there is not metered."""


def _was_running(claim: Claim) -> bool:
    return bool(claim.input["was_running"])


def _doomed(claim: Claim) -> list[UUID]:
    return [UUID(one) for one in claim.input.get("snapshot_ids", ())]
