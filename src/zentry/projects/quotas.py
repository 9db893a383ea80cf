"""Counters with a maximum. Taking is one conditional update, so no number of requests at once gets past it."""

from __future__ import annotations

from typing import Final, Literal
from uuid import UUID

import sqlalchemy as sa

from zentry.platform.db import Transaction
from zentry.platform.errors import Conflict
from zentry.platform.settings import QuotaSettings
from zentry.schema.projects import quotas

Resource = Literal["projects", "vms"]

_AMOUNT: Final = sa.bindparam("amount", type_=sa.Integer)
_TAKE: Final = (
    sa.update(quotas)
    .where(
        quotas.c.owner_id == sa.bindparam("owner", type_=sa.Uuid),
        quotas.c.resource == sa.bindparam("counted", type_=sa.Text),
        quotas.c.used + _AMOUNT <= quotas.c.maximum,
    )
    .values(used=quotas.c.used + _AMOUNT)
)


class QuotaExceeded(Conflict):
    """The account or the project has as many of these as it may have."""

    code = "QUOTA_EXCEEDED"
    title = "Quota exceeded"

    def __init__(self, resource: Resource, *, maximum: int, used: int) -> None:
        super().__init__(
            f"The limit of {maximum} {_NOUNS[resource]} is reached. Delete one, or ask for a higher limit.",
            resource=resource,
            maximum=maximum,
            used=used,
        )


class Quotas:
    """The counters of accounts and projects, inside the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def create(self, owner_id: UUID, resource: Resource, maximum: int) -> None:
        """Begin to count for a new owner."""
        values = {"owner_id": owner_id, "resource": resource, "used": 0, "maximum": maximum}
        await self._tx.execute(sa.insert(quotas).values(**values))

    async def take(self, owner_id: UUID, resource: Resource, amount: int = 1) -> None:
        """Count more of the resource, or raise `QuotaExceeded`."""
        assert amount > 0, "give_back() is the other way"
        taken = await self._tx.execute(_TAKE, {"owner": owner_id, "counted": resource, "amount": amount})
        if taken.rowcount == 1:
            return
        query = sa.select(quotas.c.maximum, quotas.c.used).where(*_row(owner_id, resource))
        counter = (await self._tx.execute(query)).one()
        raise QuotaExceeded(resource, maximum=counter.maximum, used=counter.used)

    async def give_back(self, owner_id: UUID, resource: Resource, amount: int = 1) -> None:
        """Count fewer; below zero the database refuses."""
        assert amount > 0, "take() is the other way"
        await self._tx.execute(sa.update(quotas).where(*_row(owner_id, resource)).values(used=quotas.c.used - amount))

    async def close(self, owner_id: UUID, resource: Resource) -> None:
        """Let nothing more be counted; what is there can still be given back."""
        await self._tx.execute(sa.update(quotas).where(*_row(owner_id, resource)).values(maximum=0))


async def open_account_quotas(tx: Transaction, user_id: UUID, settings: QuotaSettings) -> None:
    """Begin to count for a new account."""
    account = Quotas(tx)
    await account.create(user_id, "projects", settings.projects_per_user)
    await account.create(user_id, "vms", settings.vms_per_user)


def _row(owner_id: UUID, resource: Resource) -> tuple[sa.ColumnElement[bool], ...]:
    return quotas.c.owner_id == owner_id, quotas.c.resource == resource


_NOUNS: Final = {"projects": "projects", "vms": "VMs"}
