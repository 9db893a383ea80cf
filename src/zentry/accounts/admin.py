"""Administrators: made by whoever has the machine, through the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from zentry.accounts.identity import EmailAddress
from zentry.accounts.repository import UserRepository
from zentry.accounts.types import OnSignup
from zentry.events.recorder import EventRecorder
from zentry.platform.caller import Role
from zentry.platform.db import Transaction


@dataclass(frozen=True, slots=True)
class Administrator:
    """An account that administers the platform."""

    user_id: UUID
    is_new: bool


async def create_admin(
    tx: Transaction, *, email: EmailAddress, name: str, hashed_password: str, on_signup: Sequence[OnSignup] = ()
) -> Administrator:
    """Create an administrator, or promote the account that has this e-mail; its password and name stay."""
    users = UserRepository(tx)
    user_id = tx.new_id()
    is_new = await users.insert(
        {
            "id": user_id,
            "email": email.text,
            "email_key": email.key,
            "name": name,
            "hashed_password": hashed_password,
            "role": Role.ADMIN,
            "is_active": True,
            "created_at": tx.now,
        }
    )
    if is_new:
        await _record(tx, "account.signed_up", user_id=user_id)
        for hook in on_signup:
            await hook(tx, user_id)
        return Administrator(user_id, is_new=True)
    promoted = await users.promote(email.key)
    assert promoted is not None, "the e-mail was taken a moment ago, in this transaction"
    await _record(tx, "account.promoted", user_id=promoted)
    return Administrator(promoted, is_new=False)


async def _record(tx: Transaction, kind: str, *, user_id: UUID) -> None:
    await EventRecorder(tx).record(
        kind, resource_type="user", resource_id=user_id, user_id=user_id, cause="operator", data={"role": Role.ADMIN}
    )
