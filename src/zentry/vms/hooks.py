"""What machines answer when a domain below asks: a project's contents, and what can't be paid or may not run."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.settings import Settings
from zentry.schema.vms import StopReason
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
