"""What a driver is told of a machine: its row, and its user data unsealed for this one call."""

from __future__ import annotations

from dataclasses import replace

from zentry.compute.driver import DriverRejected
from zentry.compute.types import VMSpec
from zentry.operations.types import Claim
from zentry.platform.db import Database
from zentry.platform.sealing import Sealer, Unreadable
from zentry.vms.landing import get_claimed
from zentry.vms.repository import VMRepository


class UserDataUnreadable(DriverRejected):
    """The user data was sealed under another signing key, or is damaged."""

    def __init__(self) -> None:
        super().__init__(
            "The user data of the VM cannot be decrypted: it was kept under another signing key. Create the VM anew.",
            code="USER_DATA_UNREADABLE",
        )


class Specifications:
    """Reads what machines are to be."""

    def __init__(self, *, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def of(self, claim: Claim) -> VMSpec:
        """Return the specification with the user data; raises `UserDataUnreadable`."""
        async with self._database.read() as tx:
            vm = await get_claimed(tx, claim)
            found = await VMRepository(tx).find_user_data(vm.id) if vm.has_user_data else None
        if found is None:
            return vm.spec
        sealed, owner_id = found
        try:
            return replace(vm.spec, user_data=self._sealer.unseal(sealed, owner=owner_id))
        except Unreadable as error:
            raise UserDataUnreadable from error

    async def without_user_data(self, claim: Claim) -> VMSpec:
        """Return the specification for a machine that has had its first boot."""
        async with self._database.read() as tx:
            return (await get_claimed(tx, claim)).spec
