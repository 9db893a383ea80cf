"""The rules about machines, asked of the service itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.support.platform import Account, PlatformUnderTest
from zentry.billing.errors import InsufficientCredits
from zentry.operations.errors import VMBusy
from zentry.operations.types import Operation
from zentry.platform.caller import Caller, Role
from zentry.platform.errors import InvalidInput, NotFound
from zentry.projects.quotas import QuotaExceeded
from zentry.schema.billing import holds
from zentry.schema.operations import OperationStatus, operations
from zentry.schema.vms import ip_leases, vms
from zentry.vms.errors import InvalidTransition, VMNameTaken, VMNotFound
from zentry.vms.service import VMService


def _caller(account: Account) -> Caller:
    return Caller(UUID(account.id), UUID(int=0), Role.USER)


async def _create(
    platform: PlatformUnderTest, account: Account, project_id: str | UUID | None, **wishes: Any
) -> tuple[UUID, Operation]:
    wish: dict[str, Any] = {"name": "web", "instance_type": "small", "image": "debian-12", **wishes}
    async with platform.database.work() as tx:
        service = VMService(tx, platform.settings)
        return await service.create_vm(
            **wish, project_id=UUID(str(project_id)) if project_id else None, caller=_caller(account)
        )


async def _rows(platform: PlatformUnderTest, table: sa.Table) -> int:
    async with platform.database.read() as tx:
        return int((await tx.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


async def test_a_creation_writes_wish_money_address_and_operation_together(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)

    vm_id, operation = await _create(platform, account, project_id)

    async with platform.database.read() as tx:
        vm = (await tx.execute(sa.select(vms).where(vms.c.id == vm_id))).one()
        hold = (await tx.execute(sa.select(holds).where(holds.c.resource_id == vm_id))).one()
        lease = (await tx.execute(sa.select(ip_leases).where(ip_leases.c.vm_id == vm_id))).one()
    assert (vm.status, vm.wanted, vm.ip_address) == ("creating", "running", lease.address)
    assert (hold.status, hold.remaining) == ("open", 100_000)
    assert (operation.kind, operation.status) == ("vms.create", OperationStatus.PENDING)
    await platform.settle()


@pytest.mark.parametrize(
    ("wish", "error"),
    [({"instance_type": "huge"}, InvalidInput), ({"image": "dos"}, InvalidInput), ({"name": "taken"}, VMNameTaken)],
)
async def test_a_refused_creation_leaves_nothing_behind(
    platform: PlatformUnderTest, wish: dict[str, str], error: type[Exception]
) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    await _create(platform, account, project_id, name="taken")
    tables = (vms, holds, ip_leases, operations)
    before = [await _rows(platform, table) for table in tables]

    with pytest.raises(error):
        await _create(platform, account, project_id, **wish)

    assert [await _rows(platform, table) for table in tables] == before
    await platform.settle()


async def test_a_project_that_is_unknown_gone_or_nobodys_is_not_found(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    await platform.client.delete(f"/projects/{project_id}", headers=account.headers)

    for wrong in (project_id, UUID(int=5), None):
        with pytest.raises(NotFound):
            await _create(platform, account, wrong)


@pytest.mark.parametrize("overrides", [{"quotas": {"vms_per_project": 1}}])
async def test_a_full_project_gives_the_hold_back(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    await _create(platform, account, project_id)

    with pytest.raises(QuotaExceeded) as refused:
        await _create(platform, account, project_id, name="second")

    assert refused.value.details == {"resource": "vms", "maximum": 1, "used": 1}
    assert (await platform.credits(account))["held_credits"] == 0.1
    await platform.settle()


@pytest.mark.parametrize("overrides", [{"billing": {"welcome_credits": 0.12}}])
async def test_a_start_needs_the_credit_of_a_window(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    await platform.advance(meter=False, minutes=30)
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()

    with pytest.raises(InsufficientCredits):
        async with platform.database.work() as tx:
            await VMService(tx, platform.settings).start_vm(UUID(vm["id"]), caller=_caller(account))

    assert (await platform.get_vm(vm["id"], account))["status"] == "stopped"


async def test_rules_are_asked_in_the_order_of_their_worth(platform: PlatformUnderTest) -> None:
    account, stranger = await platform.signup(), await platform.signup()
    vm = await platform.given_vm(account, status="creating")
    vm_id = UUID(vm["id"])

    async def start(caller: Caller) -> None:
        async with platform.database.work() as tx:
            await VMService(tx, platform.settings).start_vm(vm_id, caller=caller)

    with pytest.raises(VMNotFound):
        await start(_caller(stranger))
    with pytest.raises(VMBusy):
        await start(_caller(account))
    await platform.settle()
    with pytest.raises(InvalidTransition):
        await start(_caller(account))


async def test_suspending_ends_billing_and_says_why(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    await platform.client.post(f"/vms/{vm['id']}/restart", headers=account.headers)

    async with platform.database.work() as tx:
        await VMService(tx, platform.settings).suspend_vm(UUID(vm["id"]))
    await platform.settle()

    suspended = await platform.get_vm(vm["id"], account)
    assert (suspended["status"], suspended["stop_reason"]) == ("stopped", "credit")
    assert (await platform.credits(account))["held_credits"] == 0


async def test_deleting_a_project_terminates_its_machines(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    machines = [await platform.given_vm(account, project_id=project_id, status="creating")]
    await platform.settle()
    machines.append(await platform.given_vm(account, project_id=project_id, status="creating"))

    answer = await platform.client.delete(f"/projects/{project_id}", headers=account.headers)
    await platform.settle()

    assert "2 VMs were terminated" in answer.json()["message"]
    for vm in machines:
        assert (await platform.get_vm(vm["id"], account))["status"] == "terminated"
