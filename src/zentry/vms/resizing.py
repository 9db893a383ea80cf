"""What workers do to give a machine another size: halt it, resize it, boot it again.

A machine at rest stays at rest. The new price, the new size and the counters land in one
transaction, at the instant when the machine has its new size and runs; until then everything is
as it was. A disk grows and never shrinks.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from zentry.billing.service import BillingService
from zentry.compute.driver import ComputeDriver
from zentry.operations.types import Claim, Failure, Kind, Step
from zentry.platform.db import Database, Transaction
from zentry.platform.settings import Settings
from zentry.projects.quotas import Quotas
from zentry.schema.vms import VMStatus
from zentry.vms.kinds import RESIZE
from zentry.vms.landing import NOTHING_EXTRA, get_claimed, land, record_event
from zentry.vms.regions import Regions
from zentry.vms.states import VMEvent, next_state
from zentry.vms.types import VM


class Resizing:
    """Carries out the resize of a machine."""

    def __init__(self, *, database: Database, driver: ComputeDriver, settings: Settings) -> None:
        self._database = database
        self._driver = driver
        self._settings = settings
        self._grace = timedelta(seconds=settings.compute.stop_grace_seconds)

    def kind(self) -> Kind:
        """Return the kind of operation."""
        return Kind(
            RESIZE,
            (
                Step("halt", act=self._halt, undo=self._boot),
                Step("resize", act=self._resize, undo=self._resize_back),
                Step("boot", act=self._boot, account=self._change_rate, record=self._resized, undo=self._halt),
            ),
            release=self._release_excess,
            abandon=self._resize_failed,
            cancellable=True,
        )

    async def _halt(self, claim: Claim) -> None:
        if _was_running(claim):
            await self._driver.ensure_stopped(claim.vm_id, fence=claim.fence, grace=self._grace)

    async def _boot(self, claim: Claim) -> None:
        if _was_running(claim):
            await self._driver.ensure_running(claim.vm_id, fence=claim.fence)

    async def _resize(self, claim: Claim) -> None:
        async with self._database.read() as tx:
            vm = await get_claimed(tx, claim)
        await self._driver.resize(_resized(vm, claim).spec, fence=claim.fence)

    async def _resize_back(self, claim: Claim) -> None:
        async with self._database.read() as tx:
            vm = await get_claimed(tx, claim)
        await self._driver.resize(vm.spec, fence=claim.fence)

    async def _change_rate(self, tx: Transaction, claim: Claim) -> None:
        billing = BillingService(tx, self._settings.billing)
        if not _was_running(claim):
            await billing.lock_account(claim.user_id)
            return
        vm = _resized(await get_claimed(tx, claim), claim)
        prices = await billing.get_price_list_version(claim.input["price_version"])
        await billing.change_rate(vm.resource, prices=prices)

    async def _resized(self, tx: Transaction, claim: Claim) -> None:
        vm = await get_claimed(tx, claim)
        resized = _resized(vm, claim)
        restarted = {
            "uptime_seconds": vm.uptime_seconds + vm.session_seconds(tx.now),
            "last_started": tx.now if vm.status is VMStatus.RUNNING else vm.last_started,
        }
        await land(
            tx,
            claim,
            vm,
            next_state(vm.status, VMEvent.RESIZED),
            instance_type=resized.instance_type,
            vcpus=resized.vcpus,
            memory_mib=resized.memory_mib,
            disk_gib=resized.disk_gib,
            **NOTHING_EXTRA,
            **restarted,
        )
        freed = {name: amount - resized.counted[name] for name, amount in vm.counted.items()}
        await Quotas(tx).give_back_all((vm.user_id, vm.project_id), freed)
        await record_event(tx, claim, vm, "vm.resized", before=vm.instance_type, after=resized.instance_type)

    async def _release_excess(self, tx: Transaction, claim: Claim, _failure: Failure) -> None:
        billing = BillingService(tx, self._settings.billing)
        if _was_running(claim):
            await billing.release_excess(claim.vm_id, claim.user_id)
        else:
            await billing.lock_account(claim.user_id)

    async def _resize_failed(self, tx: Transaction, claim: Claim, failure: Failure) -> None:
        """Leave the machine as it was, with the size and the price that it had."""
        vm = await get_claimed(tx, claim)
        await land(tx, claim, vm, vm.status, **NOTHING_EXTRA)
        await Regions(tx).request(vm.id)  # What could not be taken back is for the reconciler to find.
        await Quotas(tx).give_back_all((vm.user_id, vm.project_id), vm.extra)
        await record_event(tx, claim, vm, "vm.resize_failed", code=failure.code, message=failure.message)


def _was_running(claim: Claim) -> bool:
    return bool(claim.input["was_running"])


def _resized(vm: VM, claim: Claim) -> VM:
    """Return the machine as it is to be."""
    return replace(
        vm,
        instance_type=claim.input["instance_type"],
        vcpus=claim.input["vcpus"],
        memory_mib=claim.input["memory_mib"],
        disk_gib=claim.input["disk_gib"],
        extra_vcpus=0,
        extra_memory_mib=0,
        extra_disk_gib=0,
    )
