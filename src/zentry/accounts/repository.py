"""Statements over users, sessions, refresh tokens and failed logins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.accounts.types import Client, Credentials, SessionState, SessionView, UsedToken, UserProfile
from zentry.accounts.upserts import insert_into
from zentry.platform.caller import ProjectRole, Role
from zentry.platform.db import Transaction, values
from zentry.platform.etags import version_of
from zentry.platform.signals import ACCESS_CHANGED
from zentry.schema.accounts import (
    account_links,
    is_administrator,
    login_failures,
    personal_tokens,
    recovery_codes,
    refresh_tokens,
    second_factors,
    sessions,
    users,
)
from zentry.schema.projects import project_members, projects
from zentry.schema.vms import VMStatus, vms


class UserRepository:
    """Accounts; their money columns are billing's to write."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, values: Mapping[str, Any]) -> bool:
        """Insert an account; False when its e-mail is taken."""
        return await self._tx.insert_unless_there(users, values)

    async def find_credentials(self, email_key: str) -> Credentials | None:
        """Return what a sign-in with this e-mail is checked against."""
        row = (await self._tx.execute(_CREDENTIALS.where(users.c.email_key == email_key))).one_or_none()
        return None if row is None else Credentials(*values(row))

    async def get_credentials(self, user_id: UUID) -> tuple[str, Credentials]:
        """Return the key of an account's e-mail, and what its password is checked against."""
        row = (await self._tx.execute(_CREDENTIALS.add_columns(users.c.email_key).where(users.c.id == user_id))).one()
        *known, email_key = values(row)
        return email_key, Credentials(*known)

    async def find_address(self, email_key: str) -> tuple[UUID, str] | None:
        """Return the account that has this e-mail, and how its owner wrote it; None when it cannot be used."""
        query = sa.select(users.c.id, users.c.email).where(users.c.email_key == email_key, users.c.is_active)
        row = (await self._tx.execute(query)).one_or_none()
        return None if row is None else (row.id, row.email)

    async def find_profile(self, user_id: UUID) -> UserProfile | None:
        """Return an account with its figures, in one statement."""
        row = (await self._tx.execute(_PROFILE, {"user_id": user_id})).one_or_none()
        if row is None:
            return None
        values = row._asdict()
        return UserProfile(**{**values, "role": Role(values["role"])})

    async def get_profile(self, user_id: UUID) -> UserProfile:
        """Return the account of somebody who is logged in or has a link."""
        profile = await self.find_profile(user_id)
        assert profile is not None, "rows of accounts stay"
        return profile

    async def record_login(self, user_id: UUID) -> bool:
        """Note the time of a login; False when the account has been deactivated."""
        done = await self._tx.execute(
            sa.update(users).where(users.c.id == user_id, users.c.is_active).values(last_login=self._tx.now)
        )
        return done.rowcount == 1

    async def replace_hash(self, user_id: UUID, *, seen: str, by: str) -> None:
        """Store a password's newer hash, unless the password has changed since."""
        await self._tx.execute(
            sa.update(users).where(users.c.id == user_id, users.c.hashed_password == seen).values(hashed_password=by)
        )

    async def lock_version(self, user_id: UUID) -> datetime | None:
        """Return the version in which an account is, which stays until the transaction ends."""
        query = sa.select(version_of(users)).where(users.c.id == user_id).with_for_update(key_share=True)
        return (await self._tx.execute(query)).scalar_one_or_none()

    async def rename(self, user_id: UUID, name: str) -> bool:
        """Give an account another name; False when it has that one already."""
        done = await self._tx.execute(
            sa.update(users)
            .where(users.c.id == user_id, users.c.name != name)
            .values(name=name, updated_at=self._tx.now)
        )
        return done.rowcount == 1

    async def change_password(self, user_id: UUID, hashed_password: str, *, seen: str | None = None) -> bool:
        """Store another password; False when it is not any more the one that was seen."""
        chosen = [users.c.id == user_id, users.c.deleted_at.is_(None)]
        if seen is not None:
            chosen.append(users.c.hashed_password == seen)
        done = await self._tx.execute(
            sa.update(users).where(*chosen).values(hashed_password=hashed_password, updated_at=self._tx.now)
        )
        return done.rowcount == 1

    async def change_email(self, user_id: UUID, *, email: str, email_key: str) -> bool:
        """Give an account another, proven e-mail; False when somebody has it."""
        taken = sa.select(users.c.id).where(users.c.email_key == email_key, users.c.id != user_id)
        done = await self._tx.execute(
            sa.update(users)
            .where(users.c.id == user_id, users.c.deleted_at.is_(None), ~sa.exists(taken))
            .values(email=email, email_key=email_key, email_verified_at=self._tx.now, updated_at=self._tx.now)
        )
        return done.rowcount == 1

    async def verify_email(self, user_id: UUID) -> bool:
        """Note that the address is proven; True when the welcome has waited for it."""
        await self._tx.execute(
            sa.update(users)
            .where(users.c.id == user_id, users.c.email_verified_at.is_(None))
            .values(email_verified_at=self._tx.now)
        )
        done = await self._tx.execute(
            sa.update(users).where(users.c.id == user_id, users.c.welcome_pending).values(welcome_pending=False)
        )
        return done.rowcount == 1

    async def is_last_administrator(self, user_id: UUID) -> bool:
        """Tell whether nobody else administers; the locks keep two from going at once."""
        able = (
            sa.select(users.c.id)
            .where(is_administrator, users.c.is_active)
            .order_by(users.c.id)
            .with_for_update(key_share=True)
        )
        return (await self._tx.execute(able)).scalars().all() == [user_id]

    async def deactivate(self, user_id: UUID) -> bool:
        """Close an account until the operator opens it again; False when it was closed before."""
        done = await self._tx.execute(
            sa.update(users)
            .where(users.c.id == user_id, users.c.is_active)
            .values(is_active=False, updated_at=self._tx.now)
        )
        self._tx.after_commit(ACCESS_CHANGED)
        return done.rowcount == 1

    async def erase(self, user_id: UUID) -> bool:
        """Take everything personal off an account for good, unless it still has machines or projects."""
        machines = sa.select(vms.c.id).where(vms.c.user_id == user_id, vms.c.status != VMStatus.TERMINATED)
        owned = sa.select(projects.c.id).where(projects.c.user_id == user_id, projects.c.deleted_at.is_(None))
        done = await self._tx.execute(
            sa.update(users)
            .where(users.c.id == user_id, users.c.deleted_at.is_(None), ~sa.exists(machines), ~sa.exists(owned))
            .values(
                email=f"{user_id}@deleted.invalid",
                email_key=f"{user_id}@deleted.invalid",
                name="Deleted account",
                hashed_password=NO_PASSWORD,
                is_active=False,
                email_verified_at=None,
                welcome_pending=False,
                deleted_at=self._tx.now,
                updated_at=self._tx.now,
            )
        )
        self._tx.after_commit(ACCESS_CHANGED)
        return done.rowcount == 1

    async def delete_belongings(self, user_id: UUID) -> None:
        """Delete what belongs to an account and to nothing that must be kept."""
        for statement in _BELONGINGS:
            await self._tx.execute(statement, {"owner_id": user_id})

    async def promote(self, email_key: str) -> UUID | None:
        """Make an account an administrator; None when there is none with this e-mail."""
        done = await self._tx.execute(
            sa.update(users)
            .where(users.c.email_key == email_key)
            .values(role=Role.ADMIN, updated_at=self._tx.now)
            .returning(users.c.id)
        )
        return done.scalar_one_or_none()


class SessionRepository:
    """Sessions and the refresh tokens that continue them."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, values: Mapping[str, Any]) -> None:
        """Insert a session."""
        await self._tx.execute(_INSERT_SESSION, values)

    async def find_state(self, session_id: UUID, *, user_id: UUID) -> SessionState | None:
        """Return a session of this account, with what counts of the account, in one statement."""
        row = (await self._tx.execute(_STATE, {"session_id": session_id, "owner_id": user_id})).one_or_none()
        if row is None:
            return None
        return SessionState(
            user_id=row.user_id,
            role=Role(row.role),
            is_active=row.is_active,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
        )

    async def touch(self, session_id: UUID, *, client: Client) -> tuple[UUID, datetime] | None:
        """Note who used a live session and return its account and end; None when it is over."""
        live = sessions.c.revoked_at.is_(None) & (sessions.c.expires_at > self._tx.now)
        done = await self._tx.execute(
            sa.update(sessions)
            .where(sessions.c.id == session_id, live)
            .values(last_used_at=self._tx.now, address=client.address, user_agent=client.user_agent)
            .returning(sessions.c.user_id, sessions.c.expires_at)
        )
        row = done.one_or_none()
        return None if row is None else (row.user_id, row.expires_at)

    async def find_live(self, session_id: UUID) -> tuple[UUID, datetime] | None:
        """Return the account and the end of a live session; None when it is over."""
        live = sessions.c.revoked_at.is_(None) & (sessions.c.expires_at > self._tx.now)
        query = sa.select(sessions.c.user_id, sessions.c.expires_at).where(sessions.c.id == session_id, live)
        row = (await self._tx.execute(query)).one_or_none()
        return None if row is None else (row.user_id, row.expires_at)

    async def find_proven_at(self, session_id: UUID) -> datetime | None:
        """Return when the owner of a session has last proven who it is: at the login, or since."""
        proven_at = sa.func.coalesce(sessions.c.proven_at, sessions.c.created_at)
        return (await self._tx.execute(sa.select(proven_at).where(sessions.c.id == session_id))).scalar_one_or_none()

    async def note_proof(self, session_id: UUID) -> None:
        """Note that the owner has proven who it is."""
        await self._tx.execute(sa.update(sessions).where(sessions.c.id == session_id).values(proven_at=self._tx.now))

    async def revoke(self, session_id: UUID, *, reason: str) -> UUID | None:
        """End a session and return its account; None when it was over before."""
        done = await self._tx.execute(
            sa.update(sessions)
            .where(sessions.c.id == session_id, sessions.c.revoked_at.is_(None))
            .values(revoked_at=self._tx.now, revoked_reason=reason)
            .returning(sessions.c.user_id)
        )
        self._tx.after_commit(ACCESS_CHANGED)
        return done.scalar_one_or_none()

    async def insert_refresh_token(self, *, hash_: str, session_id: UUID, expires_at: datetime) -> None:
        """Insert a refresh token that has not been used."""
        await self._tx.execute(
            _INSERT_REFRESH_TOKEN,
            {"hash": hash_, "session_id": session_id, "created_at": self._tx.now, "expires_at": expires_at},
        )

    async def use_refresh_token(self, hash_: str, *, salt: str) -> UUID | None:
        """Use up a fresh token and return its session; of any number of callers, one succeeds."""
        fresh = refresh_tokens.c.used_at.is_(None) & (refresh_tokens.c.expires_at > self._tx.now)
        done = await self._tx.execute(
            sa.update(refresh_tokens)
            .where(refresh_tokens.c.hash == hash_, fresh)
            .values(used_at=self._tx.now, salt=salt)
            .returning(refresh_tokens.c.session_id)
        )
        return done.scalar_one_or_none()

    async def find_refresh_token(self, hash_: str) -> UsedToken | None:
        """Return what is known of a refresh token."""
        columns = (
            refresh_tokens.c.session_id,
            refresh_tokens.c.expires_at,
            refresh_tokens.c.used_at,
            refresh_tokens.c.salt,
        )
        row = (await self._tx.execute(sa.select(*columns).where(refresh_tokens.c.hash == hash_))).one_or_none()
        return None if row is None else UsedToken(row.session_id, row.expires_at, row.used_at, row.salt)

    async def forget_salts(self, session_id: UUID, *, used_before: datetime) -> None:
        """Make what followed long used tokens impossible to find."""
        await self._tx.execute(
            sa.update(refresh_tokens)
            .where(
                refresh_tokens.c.session_id == session_id,
                refresh_tokens.c.used_at < used_before,
                refresh_tokens.c.salt.is_not(None),
            )
            .values(salt=None)
        )

    async def list_addresses(self, user_id: UUID, *, since: datetime, limit: int) -> Sequence[str]:
        """Return the addresses from which an account was used lately."""
        query = (
            sa.select(sessions.c.address)
            .where(sessions.c.user_id == user_id, sessions.c.created_at > since)
            .order_by(sessions.c.created_at.desc(), sessions.c.id.desc())
            .limit(limit)
        )
        return (await self._tx.execute(query)).scalars().all()

    async def list_live(self, user_id: UUID, *, used_since: datetime, limit: int) -> Sequence[SessionView]:
        """Return the sessions of an account that can still be used, the newest first."""
        query = (
            sa.select(
                sessions.c.id,
                sessions.c.created_at,
                sessions.c.expires_at,
                sessions.c.last_used_at,
                sessions.c.user_agent,
                sessions.c.address,
            )
            .where(self._is_live(user_id), sessions.c.last_used_at > used_since)
            .order_by(sessions.c.created_at.desc(), sessions.c.id.desc())
            .limit(limit)
        )
        return [SessionView(*values(row)) for row in await self._tx.execute(query)]

    async def revoke_of(
        self, user_id: UUID, *, reason: str, only: UUID | None = None, but: UUID | None = None
    ) -> Sequence[UUID]:
        """End the live sessions of an account, or one of them, or all but one; return which."""
        chosen = [self._is_live(user_id)]
        if only is not None:
            chosen.append(sessions.c.id == only)
        if but is not None:
            chosen.append(sessions.c.id != but)
        done = await self._tx.execute(
            sa.update(sessions)
            .where(*chosen)
            .values(revoked_at=self._tx.now, revoked_reason=reason)
            .returning(sessions.c.id)
        )
        self._tx.after_commit(ACCESS_CHANGED)
        return done.scalars().all()

    async def revoke_beyond(self, user_id: UUID, *, most: int) -> None:
        """End the oldest sessions of an account beyond a number."""
        done = await self._tx.execute(_REVOKE_BEYOND, {"account": user_id, "now": self._tx.now, "most": most})
        if done.rowcount:
            self._tx.after_commit(ACCESS_CHANGED)

    def _is_live(self, user_id: UUID) -> sa.ColumnElement[bool]:
        return sa.and_(
            sessions.c.user_id == user_id, sessions.c.revoked_at.is_(None), sessions.c.expires_at > self._tx.now
        )


class MembershipRepository:
    """Reads of which projects of others an account works in."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def find_all(self, user_id: UUID) -> Mapping[UUID, ProjectRole]:
        """Return the account's role in each of them."""
        rows = (await self._tx.execute(_SHARED, {"user_id": user_id})).all()
        return {row.project_id: ProjectRole(row.role) for row in rows}


class FailureRepository:
    """Counts sign-ins that have not succeeded."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def count(self, key: str, *, limit: int, pause: timedelta) -> bool:
        """Count one more try; False when the limit stands against it.

        One statement, so that any number of parallel guesses get no more tries than the limit.
        """
        now, until = self._tx.now, self._tx.now + pause
        over = login_failures.c.expires_at <= now
        done = await self._tx.execute(
            insert_into(login_failures, self._tx)
            .values(key=key, count=1, expires_at=until)
            .on_conflict_do_update(
                index_elements=["key"],
                set_={"count": sa.case((over, 1), else_=login_failures.c.count + 1), "expires_at": until},
                where=over | (login_failures.c.count < limit),
            )
        )
        return done.rowcount == 1

    async def pause_ends_at(self, key: str) -> datetime:
        """Return when the tries of a key are forgotten."""
        statement = sa.select(login_failures.c.expires_at).where(login_failures.c.key == key)
        ends_at: datetime = (await self._tx.execute(statement)).scalar_one()
        return ends_at

    async def clear(self, key: str) -> None:
        """Forget the tries of a key, because one of them succeeded."""
        await self._tx.execute(sa.delete(login_failures).where(login_failures.c.key == key))


def _count_of(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    statement = sa.select(sa.func.count()).select_from(table).where(table.c.user_id == users.c.id, *conditions)
    return statement.correlate(users).scalar_subquery()


NO_PASSWORD: Final = "!"  # noqa: S105 - no password has this hash
_OWNER: Final = sa.bindparam("owner_id", type_=sa.Uuid)
_BELONGINGS: Final = (
    sa.delete(sessions).where(sessions.c.user_id == _OWNER),
    sa.delete(personal_tokens).where(personal_tokens.c.user_id == _OWNER),
    sa.delete(account_links).where(account_links.c.user_id == _OWNER),
    sa.delete(second_factors).where(second_factors.c.user_id == _OWNER),
    sa.delete(recovery_codes).where(recovery_codes.c.user_id == _OWNER),
)
_HAS_FACTOR: Final = sa.exists(
    sa.select(second_factors.c.user_id).where(
        second_factors.c.user_id == users.c.id, second_factors.c.confirmed_at.is_not(None)
    )
)
_CREDENTIALS: Final = sa.select(users.c.id, users.c.hashed_password, users.c.is_active, _HAS_FACTOR)

_PROFILE: Final = sa.select(
    users.c.id,
    users.c.email,
    users.c.name,
    users.c.role,
    users.c.is_active,
    users.c.email_verified_at,
    _HAS_FACTOR.label("has_second_factor"),
    users.c.credits,
    users.c.total_spent,
    _count_of(vms, vms.c.status != VMStatus.TERMINATED).label("vm_count"),
    _count_of(vms, vms.c.status == VMStatus.RUNNING).label("active_vm_count"),
    _count_of(projects, projects.c.deleted_at.is_(None)).label("project_count"),
    users.c.created_at,
    users.c.updated_at,
    users.c.last_login,
).where(users.c.id == sa.bindparam("user_id"))

_INSERT_SESSION: Final = sa.insert(sessions)
_INSERT_REFRESH_TOKEN: Final = sa.insert(refresh_tokens)
_REVOKE_BEYOND: Final = (
    sa.update(sessions)
    .where(
        sessions.c.id.in_(
            sa.select(sessions.c.id)
            .where(
                sessions.c.user_id == sa.bindparam("account"),
                sessions.c.revoked_at.is_(None),
                sessions.c.expires_at > sa.bindparam("now"),
            )
            .order_by(sessions.c.created_at.desc(), sessions.c.id.desc())
            .limit(sa.bindparam("most"))
            .offset(sa.bindparam("most"))
        )
    )
    .values(revoked_at=sa.bindparam("now"), revoked_reason="too_many")
)
_STATE: Final = (
    sa.select(sessions.c.user_id, users.c.role, users.c.is_active, sessions.c.expires_at, sessions.c.revoked_at)
    .join(users, users.c.id == sessions.c.user_id)
    .where(sessions.c.id == sa.bindparam("session_id"), sessions.c.user_id == sa.bindparam("owner_id"))
)

_SHARED: Final = sa.select(project_members.c.project_id, project_members.c.role).where(
    project_members.c.user_id == sa.bindparam("user_id")
)
