"""What workers do for machines: the steps of each kind of operation, their undo, and the end of the failed.

An act talks to the driver with no transaction open; a record is one transaction, fenced by the
engine and here again on the machine's row.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from zentry.billing.service import BillingService
from zentry.compute.driver import ComputeDriver
from zentry.operations.types import Claim, Failure, Kind, Step
from zentry.platform.db import Database, Transaction
from zentry.platform.sealing import Sealer
from zentry.platform.settings import Settings
from zentry.projects.quotas import Quotas
from zentry.schema.vms import VMStatus
from zentry.vms.addresses import AddressPool
from zentry.vms.disks import Disks
from zentry.vms.kinds import CREATE, DELETE, RESTART, START, STOP
from zentry.vms.landing import NOTHING_EXTRA, get_claimed, land, record_event
from zentry.vms.regions import Regions
from zentry.vms.repository import VMRepository
from zentry.vms.resizing import Resizing
from zentry.vms.specifications import Specifications, UserDataUnreadable
from zentry.vms.states import VMEvent, next_state
from zentry.vms.types import VM


class VMLifecycle:
    """Carries out the operations of machines."""

    def __init__(self, *, database: Database, driver: ComputeDriver, settings: Settings, sealer: Sealer) -> None:
        self._database = database
        self._driver = driver
        self._settings = settings
        self._specifications = Specifications(database=database, sealer=sealer)
        self._disks = Disks(driver=driver, settings=settings, specifications=self._specifications)
        self._grace = timedelta(seconds=settings.compute.stop_grace_seconds)

    def kinds(self) -> Mapping[str, Kind]:
        """Return every kind of operation by its name."""
        place = Step("place", act=self._place, undo=self._remove)
        place_again = Step("place", act=self._place_again)
        kinds = (
            Kind(
                CREATE,
                (place, Step("boot", act=self._boot, account=self._meter_first_boot, record=self._booted)),
                release=self._stop_metering,
                abandon=self._creation_failed,
                cancellable=True,
            ),
            Kind(
                START,
                (place_again, Step("boot", act=self._boot, account=self._meter, record=self._booted, undo=self._halt)),
                release=self._stop_metering,
                abandon=self._start_failed,
                cancellable=True,
            ),
            Kind(
                STOP,
                (Step("stop", act=self._halt_and_clear, account=self._lock_to_clear, record=self._stopped),),
                release=_keep_money,
                abandon=self._failed,
            ),
            Kind(
                RESTART,
                (Step("reboot", act=self._reboot, record=self._rebooted),),
                release=self._stop_metering,
                abandon=self._failed,
            ),
            Kind(
                DELETE,
                (Step("remove", act=self._remove, account=self._lock_account, record=self._removed),),
                release=_keep_money,
                abandon=self._failed,
            ),
        )
        resizing = Resizing(database=self._database, driver=self._driver, settings=self._settings)
        return {kind.name: kind for kind in (*kinds, resizing.kind(), *self._disks.kinds())}

    # Acts

    async def _place(self, claim: Claim) -> None:
        await self._driver.ensure_created(await self._specifications.of(claim), fence=claim.fence)

    async def _place_again(self, claim: Claim) -> None:
        """Place what a failed creation has left nowhere, and undo a resize that gave way half-way."""
        try:
            spec = await self._specifications.of(claim)
        except UserDataUnreadable:
            if not await self._driver.observe([claim.vm_id]):
                raise
            spec = await self._specifications.without_user_data(claim)  # It is there, and has had it.
        await self._driver.ensure_created(spec, fence=claim.fence)
        if self._driver.capabilities.resize:
            await self._driver.resize(spec, fence=claim.fence)

    async def _boot(self, claim: Claim) -> None:
        await self._driver.ensure_running(claim.vm_id, fence=claim.fence)

    async def _halt(self, claim: Claim) -> None:
        if not await self._driver.observe([claim.vm_id]):
            return  # A creation that failed has left nothing that could run.
        await self._driver.ensure_stopped(claim.vm_id, fence=claim.fence, grace=self._grace)

    async def _halt_and_clear(self, claim: Claim) -> None:
        await self._halt(claim)
        await self._disks.clear(claim)

    async def _reboot(self, claim: Claim) -> None:
        await self._driver.reboot(claim.vm_id, fence=claim.fence, order=claim.operation_id)

    async def _remove(self, claim: Claim) -> None:
        await self._driver.ensure_absent(claim.vm_id, fence=claim.fence)
        await self._disks.clear(claim)

    # Money

    async def _meter_first_boot(self, tx: Transaction, claim: Claim) -> None:
        await self._start_metering(tx, claim, with_fee=True)

    async def _meter(self, tx: Transaction, claim: Claim) -> None:
        await self._start_metering(tx, claim, with_fee=False)

    async def _start_metering(self, tx: Transaction, claim: Claim, *, with_fee: bool) -> None:
        vm = await get_claimed(tx, claim)
        billing = BillingService(tx, self._settings.billing)
        prices = await billing.get_price_list_version(claim.input["price_version"])
        await billing.start_metering(vm.resource, prices=prices, with_fee=with_fee)

    async def _lock_to_clear(self, tx: Transaction, claim: Claim) -> None:
        if "snapshot_ids" in claim.input:
            await self._lock_account(tx, claim)

    async def _lock_account(self, tx: Transaction, claim: Claim) -> None:
        """Counters are changed under the account's lock, which comes before everything else."""
        await BillingService(tx, self._settings.billing).lock_account(claim.user_id)

    async def _stop_metering(self, tx: Transaction, claim: Claim, _failure: Failure) -> None:
        await BillingService(tx, self._settings.billing).stop_metering(claim.vm_id, claim.user_id)

    # Records

    async def _booted(self, tx: Transaction, claim: Claim) -> None:
        await self._land(tx, claim, VMEvent.BOOTED, last_started=tx.now, stop_reason=None)

    async def _rebooted(self, tx: Transaction, claim: Claim) -> None:
        vm = await get_claimed(tx, claim)
        uptime = vm.uptime_seconds + vm.session_seconds(tx.now)
        await self._land(tx, claim, VMEvent.REBOOTED, last_started=tx.now, uptime_seconds=uptime)

    async def _stopped(self, tx: Transaction, claim: Claim) -> None:
        await self._land(tx, claim, VMEvent.STOPPED)
        await self._disks.cleared(tx, claim)

    async def _removed(self, tx: Transaction, claim: Claim) -> None:
        vm = await self._land(tx, claim, VMEvent.REMOVED, ip_address=None, terminated_at=tx.now, **NOTHING_EXTRA)
        await self._release_address(tx, vm)
        if vm.has_user_data:
            await VMRepository(tx).forget_user_data(vm.id)
        await Quotas(tx).give_back_all((vm.user_id, vm.project_id), vm.counted)
        await self._disks.cleared(tx, claim)

    # Ends of what did not succeed

    async def _creation_failed(self, tx: Transaction, claim: Claim, failure: Failure) -> None:
        vm = await self._land(tx, claim, VMEvent.FAILED, failure=failure, wanted="stopped", ip_address=None)
        await self._release_address(tx, vm)

    async def _start_failed(self, tx: Transaction, claim: Claim, failure: Failure) -> None:
        """Leave the machine as it was: stopped, or in error."""
        vm = await get_claimed(tx, claim)
        await land(tx, claim, vm, vm.status, wanted="stopped")
        await Regions(tx).request(vm.id)
        await record_event(tx, claim, vm, "vm.start_failed", code=failure.code, message=failure.message)

    async def _failed(self, tx: Transaction, claim: Claim, failure: Failure) -> None:
        vm = await get_claimed(tx, claim)
        uptime = vm.uptime_seconds + vm.session_seconds(tx.now)
        await self._land(tx, claim, VMEvent.FAILED, failure=failure, uptime_seconds=uptime)

    async def _land(
        self, tx: Transaction, claim: Claim, event: VMEvent, *, failure: Failure | None = None, **values: Any
    ) -> VM:
        vm = await get_claimed(tx, claim)
        status = next_state(vm.status, event)
        await land(tx, claim, vm, status, **values)
        if failure is not None:
            await Regions(tx).request(vm.id)  # What could not be undone is for the reconciler to find.
        facts: dict[str, str] = {"code": failure.code, "message": failure.message} if failure else {}
        await record_event(
            tx, claim, vm, f"vm.{_EVENT_NAMES.get(status, status)}", before=vm.status, after=status, **facts
        )
        return vm

    async def _release_address(self, tx: Transaction, vm: VM) -> None:
        await AddressPool(tx, self._settings.compute.network).release(vm.id)


_EVENT_NAMES: Mapping[VMStatus, str] = {VMStatus.ERROR: "failed"}


async def _keep_money(_tx: Transaction, _claim: Claim, _failure: Failure) -> None:
    """Billing has ended when the request was accepted."""
