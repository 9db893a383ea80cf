"""The rules about SSH keys: an account keeps them by name, and a machine gets those that it is created with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.service import BillingService
from zentry.events.changes import changes_of
from zentry.events.recorder import EventRecorder
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction, values
from zentry.platform.settings import BillingSettings
from zentry.schema.vms import ssh_keys
from zentry.vms.errors import SSHKeyNotFound, SSHKeyTaken, TooManySSHKeys
from zentry.vms.public_keys import PublicKey
from zentry.vms.types import SSHKey

MOST_KEYS: Final = 100
_KEY: Final[tuple[sa.ColumnElement[Any], ...]] = (
    ssh_keys.c.id,
    ssh_keys.c.name,
    ssh_keys.c.public_key,
    ssh_keys.c.fingerprint,
    ssh_keys.c.created_at,
)


class SSHKeyRepository:
    """Rows of SSH keys."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def list(self, user_id: UUID, *, ids: Sequence[UUID] | None = None) -> Sequence[SSHKey]:
        """Return an account's keys by name, only these where ids are given."""
        query = sa.select(*_KEY).where(ssh_keys.c.user_id == user_id)
        if ids is not None:
            query = query.where(ssh_keys.c.id.in_(ids))
        rows = (await self._tx.execute(query.order_by(ssh_keys.c.name_key).limit(MOST_KEYS))).all()
        return [SSHKey(*values(row)) for row in rows]

    async def insert(self, key: SSHKey, *, user_id: UUID) -> bool:
        """Write a key; False when the account has its name or the key itself."""
        return await self._tx.insert_unless_there(
            ssh_keys,
            {
                "id": key.id,
                "user_id": user_id,
                "name": key.name,
                "name_key": key.name.casefold(),
                "public_key": key.public_key,
                "fingerprint": key.fingerprint,
                "created_at": key.created_at,
            },
        )

    async def rename(self, key_id: UUID, name: str) -> bool:
        """Give a key another name; False when it is taken."""
        try:
            await self._tx.execute(
                sa.update(ssh_keys).where(ssh_keys.c.id == key_id).values(name=name, name_key=name.casefold())
            )
        except sa.exc.IntegrityError:
            return False
        return True

    async def delete(self, key_id: UUID) -> None:
        """Remove a key."""
        await self._tx.execute(sa.delete(ssh_keys).where(ssh_keys.c.id == key_id))

    async def delete_all(self, user_id: UUID) -> None:
        """Forget every key of an account."""
        await self._tx.execute(sa.delete(ssh_keys).where(ssh_keys.c.user_id == user_id))


class SSHKeyService:
    """The rules about SSH keys. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction, settings: BillingSettings) -> None:
        self._tx = tx
        self._keys = SSHKeyRepository(tx)
        self._billing = BillingService(tx, settings)
        self._events = EventRecorder(tx)

    async def list_keys(self, *, caller: Caller) -> Sequence[SSHKey]:
        """Return the caller's keys by name."""
        return await self._keys.list(caller.user_id)

    async def get_key(self, key_id: UUID | None, *, caller: Caller) -> SSHKey:
        """Return a key of the caller, or raise `SSHKeyNotFound`."""
        found = [] if key_id is None else await self._keys.list(caller.user_id, ids=[key_id])
        if not found:
            raise SSHKeyNotFound
        return found[0]

    async def add_key(self, *, name: str, public_key: PublicKey, caller: Caller) -> SSHKey:
        """Keep a key under a name."""
        await self._billing.lock_account(caller.user_id)  # Counts below hold for whoever comes next.
        if len(await self._keys.list(caller.user_id)) >= MOST_KEYS:
            raise TooManySSHKeys(MOST_KEYS)
        key = SSHKey(self._tx.new_id(), name, public_key.text, public_key.fingerprint, self._tx.now)
        if not await self._keys.insert(key, user_id=caller.user_id):
            raise SSHKeyTaken(name, fingerprint=key.fingerprint)
        await self._record("ssh_key.added", key, caller=caller)
        return key

    async def rename_key(self, key_id: UUID | None, *, name: str, caller: Caller) -> SSHKey:
        """Give a key another name."""
        key = await self.get_key(key_id, caller=caller)
        if not await self._keys.rename(key.id, name):
            raise SSHKeyTaken(name, fingerprint=key.fingerprint)
        await self._record("ssh_key.renamed", key, caller=caller, **changes_of({"name": key.name}, {"name": name}))
        return await self.get_key(key.id, caller=caller)

    async def delete_key(self, key_id: UUID | None, *, caller: Caller) -> UUID:
        """Forget a key; machines that were created with it keep it."""
        key = await self.get_key(key_id, caller=caller)
        await self._keys.delete(key.id)
        await self._record("ssh_key.deleted", key, caller=caller)
        return key.id

    async def _record(self, kind: str, key: SSHKey, *, caller: Caller, **changes: object) -> None:
        await self._events.record(
            kind,
            resource_type="ssh_key",
            resource_id=key.id,
            user_id=caller.user_id,
            actor_id=caller.user_id,
            data={"fingerprint": key.fingerprint, **changes},
        )
