"""IP addresses: leased by inserting a row, so that the primary key decides who has one.

The candidate is drawn at random from the network. Unlike a counter or a free list that has no
row on which all creates would queue, and in a network that is half full two draws are enough.
"""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Network
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from zentry.platform.db import Transaction
from zentry.schema.vms import ip_leases
from zentry.vms.errors import NoFreeAddress

_RELEASE: Final = sa.delete(ip_leases).where(ip_leases.c.vm_id == sa.bindparam("released_vm"))
_DRAWS: Final = 64
_SMALL_NETWORK: Final = 65_536

_parsed = cache(IPv4Network)


class AddressPool:
    """Leases addresses of one network inside a transaction."""

    def __init__(self, tx: Transaction, network: str) -> None:
        self._tx = tx
        self._network = _parsed(network)

    async def lease(self, vm_id: UUID) -> str:
        """Return an address that nobody else has, or raise `NoFreeAddress`."""
        usable = self._network.num_addresses - 2  # Neither the network's own nor the broadcast address.
        for _ in range(_DRAWS):
            address = str(self._network[1 + self._tx.random_below(usable)])
            if await self._insert(address, vm_id):
                return address
        if usable <= _SMALL_NETWORK:
            leased = set((await self._tx.execute(sa.select(ip_leases.c.address))).scalars())
            for host in self._network.hosts():
                if str(host) not in leased and await self._insert(str(host), vm_id):
                    return str(host)
        raise NoFreeAddress

    async def release(self, vm_id: UUID) -> None:
        """Give a machine's address back."""
        await self._tx.execute(_RELEASE, {"released_vm": vm_id})

    async def _insert(self, address: str, vm_id: UUID) -> bool:
        return await self._tx.insert_unless_there(
            ip_leases, {"address": address, "vm_id": vm_id, "leased_at": self._tx.now}
        )
