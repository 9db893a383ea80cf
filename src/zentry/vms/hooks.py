"""What machines answer when a domain below asks: a project's contents, and what can't be paid or may not run."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.settings import Settings
from zentry.schema.vms import StopReason
from zentry.vms.handover import get_required, hand_over
from zentry.vms.repository import VMRepository
from zentry.vms.service import VMService
from zentry.vms.ssh_keys import SSHKeyRepository
from zentry.vms.templates import TemplateRepository


class MachinesOfProject:
    """A project's contents, as projects ask for them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def terminate_all(self, tx: Transaction, *, project_id: UUID, caller: Caller) -> int:
        """Ask for every machine of the project to be removed; return how many there were."""
        return await VMService(tx, self._settings).delete_all_in_project(project_id, caller=caller)

    async def hand_over(self, tx: Transaction, *, project_id: UUID, giver_id: UUID, taker_id: UUID) -> int:
        """Give everything of the project to another account, which pays from now on; return how much is metered."""
        return await hand_over(tx, self._settings, project_id=project_id, giver_id=giver_id, taker_id=taker_id)

    async def get_required(self, tx: Transaction, *, project_id: UUID, giver_id: UUID, taker_id: UUID) -> int:
        """Return the credit that another account must have for that, in micro-credits."""
        return await get_required(tx, self._settings, project_id=project_id, giver_id=giver_id, taker_id=taker_id)


class StopMachines:
    """Stops what an account runs that an administrator shuts out."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __call__(self, tx: Transaction, user_id: UUID) -> int:
        """Stop every machine that runs; return how many there were."""
        running = await VMRepository(tx).list_running_of(user_id)
        service = VMService(tx, self._settings)
        for vm_id in running:
            await service.suspend_vm(vm_id, reason=StopReason.ADMINISTRATOR)
        return len(running)


class SuspendMachines:
    """Stops what can't be paid for any longer, as the meter asks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __call__(self, tx: Transaction, resource_ids: list[UUID]) -> None:
        """Stop these machines; their billing ends here."""
        service = VMService(tx, self._settings)
        for vm_id in resource_ids:
            await service.suspend_vm(vm_id)


class ForgetBelongings:
    """Forgets what an account keeps for its machines, when the account is deleted."""

    async def __call__(self, tx: Transaction, user_id: UUID) -> None:
        """Delete its SSH keys and templates; its machines are gone before."""
        await SSHKeyRepository(tx).delete_all(user_id)
        await TemplateRepository(tx).delete_all(user_id)


class SuspendForBudget:
    """Stops what a budget does not allow to run."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __call__(self, tx: Transaction, resource_ids: Sequence[UUID]) -> None:
        """Stop these machines; their billing ends here."""
        service = VMService(tx, self._settings)
        for vm_id in resource_ids:
            await service.suspend_vm(vm_id, reason=StopReason.BUDGET)
