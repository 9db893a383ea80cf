"""The rules by which administrators act on accounts: look, suspend, resume, sign out, change who administers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.accounts.errors import LastAdministrator
from zentry.accounts.identity import find_email
from zentry.accounts.repository import UserRepository
from zentry.accounts.types import AdministeredUser, OnSuspend, UserFilter
from zentry.events.changes import changes_of
from zentry.events.recorder import EventRecorder
from zentry.platform.caller import Caller, Role
from zentry.platform.db import Transaction
from zentry.platform.errors import NotFound
from zentry.platform.signals import ACCESS_CHANGED
from zentry.schema.accounts import is_administrator, recovery_codes, second_factors, sessions, users

_USER: Final[tuple[sa.ColumnElement[Any], ...]] = (
    users.c.id,
    users.c.email,
    users.c.name,
    users.c.role,
    users.c.is_active,
    users.c.suspended_at,
    users.c.suspended_for,
    users.c.credits,
    users.c.held,
    users.c.created_at,
    users.c.last_login,
)


class AccountAdministration:
    """What administrators do with accounts. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction, *, on_suspend: OnSuspend) -> None:
        self._tx = tx
        self._on_suspend = on_suspend
        self._events = EventRecorder(tx)

    async def list_users(
        self, wanted: UserFilter, *, limit: int, after: tuple[datetime, UUID] | None
    ) -> Sequence[AdministeredUser]:
        """Return accounts, the newest first, behind a row that was shown."""
        query = sa.select(*_USER).order_by(users.c.created_at.desc(), users.c.id.desc()).limit(limit)
        if wanted.email is not None:
            address = find_email(wanted.email)
            query = query.where(users.c.email_key == (wanted.email.casefold() if address is None else address.key))
        if wanted.role is Role.ADMIN:
            query = query.where(is_administrator)
        elif wanted.role is not None:
            query = query.where(~is_administrator)
        if wanted.suspended is not None:
            is_suspended = users.c.suspended_at.is_not(None)
            query = query.where(is_suspended if wanted.suspended else ~is_suspended)
        if after is not None:
            seen = (sa.literal(after[0], users.c.created_at.type), sa.literal(after[1], sa.Uuid))
            query = query.where(sa.tuple_(users.c.created_at, users.c.id) < sa.tuple_(*seen))
        return [_user(row) for row in (await self._tx.execute(query)).all()]

    async def get_user(self, user_id: UUID | None) -> AdministeredUser:
        """Return an account, or raise `NotFound`."""
        row = None
        if user_id is not None:
            row = (await self._tx.execute(sa.select(*_USER).where(users.c.id == user_id))).one_or_none()
        if row is None:
            raise NotFound("User")
        return _user(row)

    async def suspend(self, user_id: UUID | None, *, reason: str, stop_vms: bool, caller: Caller) -> UUID:
        """Shut an account out and end its sessions; its machines go on unless they are to stop."""
        user = await self._get_other_than_last(user_id)
        changed = await self._tx.execute(
            sa.update(users)
            .where(users.c.id == user.id, users.c.suspended_at.is_(None))
            .values(is_active=False, suspended_at=self._tx.now, suspended_for=reason, updated_at=self._tx.now)
        )
        ended = await self._end_sessions(user.id, reason="suspended")
        stopped = await self._on_suspend(self._tx, user.id) if stop_vms else 0
        if changed.rowcount or ended or stopped:
            changes = changes_of({"is_suspended": user.suspended_at is not None}, {"is_suspended": True})
            await self._record(
                "account.suspended", user.id, caller=caller, ended_sessions=ended, stopped_vms=stopped, **changes
            )
        return user.id

    async def resume(self, user_id: UUID | None, *, caller: Caller) -> UUID:
        """Let a suspended account in again; once more changes nothing."""
        user = await self.get_user(user_id)
        changed = await self._tx.execute(
            sa.update(users)
            .where(users.c.id == user.id, users.c.suspended_at.is_not(None))
            .values(is_active=True, suspended_at=None, suspended_for=None, updated_at=self._tx.now)
        )
        if changed.rowcount:
            changes = changes_of({"is_suspended": True}, {"is_suspended": False})
            await self._record("account.resumed", user.id, caller=caller, **changes)
        return user.id

    async def sign_out(self, user_id: UUID | None, *, caller: Caller) -> UUID:
        """End every session of an account."""
        user = await self.get_user(user_id)
        ended = await self._end_sessions(user.id, reason="administrator")
        if ended:
            await self._record("account.signed_out", user.id, caller=caller, ended_sessions=ended)
        return user.id

    async def reset_factor(self, user_id: UUID | None, *, caller: Caller) -> UUID:
        """Take the second factor and its recovery codes from an account whose owner has lost them."""
        user = await self.get_user(user_id)
        await self._tx.execute(sa.delete(recovery_codes).where(recovery_codes.c.user_id == user.id))
        gone = await self._tx.execute(sa.delete(second_factors).where(second_factors.c.user_id == user.id))
        if gone.rowcount:
            ended = await self._end_sessions(user.id, reason="factor_reset")
            await self._record("account.factor_reset", user.id, caller=caller, ended_sessions=ended)
        return user.id

    async def change_role(self, user_id: UUID | None, role: Role, *, caller: Caller) -> UUID:
        """Make an account an administrator, or an ordinary account again."""
        user = await (self.get_user(user_id) if role is Role.ADMIN else self._get_other_than_last(user_id))
        changed = await self._tx.execute(
            sa.update(users)
            .where(users.c.id == user.id, users.c.role != role)
            .values(role=role, updated_at=self._tx.now)
        )
        if changed.rowcount:
            kind = "account.promoted" if role is Role.ADMIN else "account.demoted"
            changes = changes_of({"role": user.role}, {"role": role})
            await self._record(kind, user.id, caller=caller, role=role, **changes)
        return user.id

    async def _get_other_than_last(self, user_id: UUID | None) -> AdministeredUser:
        """Return an account unless it is the only one that administers."""
        if user_id is not None and await UserRepository(self._tx).is_last_administrator(user_id):
            raise LastAdministrator
        return await self.get_user(user_id)

    async def _end_sessions(self, user_id: UUID, *, reason: str) -> int:
        ended = await self._tx.execute(
            sa.update(sessions)
            .where(sessions.c.user_id == user_id, sessions.c.revoked_at.is_(None))
            .values(revoked_at=self._tx.now, revoked_reason=reason)
        )
        return ended.rowcount

    async def _record(self, kind: str, user_id: UUID, *, caller: Caller, **data: object) -> None:
        self._tx.after_commit(ACCESS_CHANGED)  # By each of these acts.
        await self._events.record(
            kind,
            resource_type="user",
            resource_id=user_id,
            user_id=user_id,
            cause="administrator",
            actor_id=caller.user_id,
            data=data,
        )


def _user(row: sa.Row[Any]) -> AdministeredUser:
    return AdministeredUser(**{**row._mapping, "role": Role(row.role)})  # noqa: SLF001 - the documented mapping of a row
