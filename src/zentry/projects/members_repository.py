"""Statements over the members of projects and over invitations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.platform.caller import ProjectRole
from zentry.platform.db import Transaction
from zentry.platform.signals import ACCESS_CHANGED
from zentry.projects.types import Invitation, Member
from zentry.schema.accounts import users
from zentry.schema.events import events
from zentry.schema.projects import project_invitations, project_members, project_transfers, projects

INVITED: Final = "project.invited"
"""The event of each mail that goes out; the limit counts them."""

_INVITATION: Final[tuple[sa.ColumnElement[Any], ...]] = (
    project_invitations.c.id,
    project_invitations.c.project_id,
    project_invitations.c.email,
    project_invitations.c.role,
    project_invitations.c.invited_by,
    project_invitations.c.created_at,
    project_invitations.c.sent_at,
    project_invitations.c.sends,
    project_invitations.c.expires_at,
)


class MemberRepository:
    """Who works in a project besides its owner."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def list(self, project_id: UUID) -> Sequence[Member]:
        """Return the owner and then the members, who came first first."""
        owner = sa.select(
            users.c.id, users.c.name, users.c.email, sa.literal("owner").label("role"), projects.c.created_at
        ).join_from(projects, users, users.c.id == projects.c.user_id)
        others = (
            sa.select(users.c.id, users.c.name, users.c.email, project_members.c.role, project_members.c.created_at)
            .join_from(project_members, users, users.c.id == project_members.c.user_id)
            .order_by(project_members.c.created_at, users.c.id)
        )
        first = (await self._tx.execute(owner.where(projects.c.id == project_id))).all()
        rest = (await self._tx.execute(others.where(project_members.c.project_id == project_id))).all()
        return [Member(row.id, row.name, row.email, ProjectRole(row.role), row.created_at) for row in (*first, *rest)]

    async def insert(self, project_id: UUID, user_id: UUID, role: ProjectRole) -> bool:
        """Add a member; False when the account is one already."""
        self._tx.after_commit(ACCESS_CHANGED)
        return await self._tx.insert_unless_there(
            project_members,
            {"project_id": project_id, "user_id": user_id, "role": role, "created_at": self._tx.now},
        )

    async def find_role(self, project_id: UUID, user_id: UUID) -> ProjectRole | None:
        """Return the role of a member."""
        query = sa.select(project_members.c.role).where(*_is(project_id, user_id))
        role = (await self._tx.execute(query)).scalar_one_or_none()
        return None if role is None else ProjectRole(role)

    async def change_role(self, project_id: UUID, user_id: UUID, *, seen: ProjectRole, to: ProjectRole) -> bool:
        """Give a member another role than the one that was seen."""
        changed = await self._tx.execute(
            sa.update(project_members)
            .where(*_is(project_id, user_id), project_members.c.role == seen)
            .values(role=to, updated_at=self._tx.now)
        )
        self._tx.after_commit(ACCESS_CHANGED)
        return changed.rowcount == 1

    async def remove(self, project_id: UUID, user_id: UUID) -> bool:
        """Remove a member and what was offered to it; False when the account is none."""
        await self._tx.execute(
            sa.delete(project_transfers).where(
                project_transfers.c.project_id == project_id, project_transfers.c.user_id == user_id
            )
        )
        gone = await self._tx.execute(sa.delete(project_members).where(*_is(project_id, user_id)))
        self._tx.after_commit(ACCESS_CHANGED)
        return gone.rowcount == 1

    async def remove_all(self, project_id: UUID) -> Sequence[UUID]:
        """Remove everybody and every invitation of a project that ends; return whom."""
        gone = await self._tx.execute(
            sa.delete(project_members)
            .where(project_members.c.project_id == project_id)
            .returning(project_members.c.user_id)
        )
        self._tx.after_commit(ACCESS_CHANGED)
        await self._tx.execute(sa.delete(project_invitations).where(project_invitations.c.project_id == project_id))
        await self._tx.execute(sa.delete(project_transfers).where(project_transfers.c.project_id == project_id))
        return gone.scalars().all()

    async def remove_from_all(self, user_id: UUID) -> Sequence[tuple[UUID, UUID, ProjectRole]]:
        """Take an account out of every project of others; return each with its owner and what the account was."""
        await self._tx.execute(sa.delete(project_transfers).where(project_transfers.c.user_id == user_id))
        gone = await self._tx.execute(
            sa.delete(project_members)
            .where(project_members.c.user_id == user_id)
            .returning(project_members.c.project_id, project_members.c.role)
        )
        self._tx.after_commit(ACCESS_CHANGED)
        roles = {row.project_id: ProjectRole(row.role) for row in gone}
        owners = sa.select(projects.c.id, projects.c.user_id).where(projects.c.id.in_(sorted(roles)))
        return [(row.id, row.user_id, roles[row.id]) for row in await self._tx.execute(owners.order_by(projects.c.id))]

    async def count(self, *, project_id: UUID) -> int:
        """Return how many members a project has."""
        return await self._count(project_members.c.project_id == project_id)

    async def count_of(self, user_id: UUID) -> int:
        """Return in how many projects of others an account works."""
        return await self._count(project_members.c.user_id == user_id)

    async def _count(self, condition: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(project_members).where(condition)
        return int((await self._tx.execute(query)).scalar_one())


class InvitationRepository:
    """Invitations that nobody has accepted yet; what becomes of them is an event, and the row goes."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def list(self, project_id: UUID) -> Sequence[Invitation]:
        """Return a project's invitations, the oldest first."""
        query = (
            sa.select(*_INVITATION)
            .where(project_invitations.c.project_id == project_id)
            .order_by(project_invitations.c.created_at, project_invitations.c.id)
        )
        return [_invitation(row) for row in (await self._tx.execute(query)).all()]

    async def find(self, invitation_id: UUID, *, project_id: UUID) -> Invitation | None:
        """Return an invitation to a project."""
        query = sa.select(*_INVITATION).where(
            project_invitations.c.id == invitation_id, project_invitations.c.project_id == project_id
        )
        row = (await self._tx.execute(query)).one_or_none()
        return None if row is None else _invitation(row)

    async def insert(self, invitation: Invitation, *, email_key: str, token_hash: str) -> bool:
        """Add an invitation; False when the address has one to this project."""
        return await self._tx.insert_unless_there(
            project_invitations,
            {
                "id": invitation.id,
                "project_id": invitation.project_id,
                "email": invitation.email,
                "email_key": email_key,
                "role": invitation.role,
                "token_hash": token_hash,
                "invited_by": invitation.invited_by,
                "created_at": invitation.created_at,
                "sent_at": invitation.sent_at,
                "expires_at": invitation.expires_at,
            },
        )

    async def renew(self, invitation_id: UUID, *, token_hash: str, expires_at: datetime, pause: timedelta) -> bool:
        """Give an invitation another token, which makes the one before worthless; False within the pause."""
        renewed = await self._tx.execute(
            sa.update(project_invitations)
            .where(project_invitations.c.id == invitation_id, project_invitations.c.sent_at <= self._tx.now - pause)
            .values(
                token_hash=token_hash,
                expires_at=expires_at,
                sent_at=self._tx.now,
                sends=project_invitations.c.sends + 1,
            )
        )
        return renewed.rowcount == 1

    async def remove(self, invitation_id: UUID, *, project_id: UUID) -> bool:
        """Revoke an invitation; False when it is not there."""
        gone = await self._tx.execute(
            sa.delete(project_invitations).where(
                project_invitations.c.id == invitation_id, project_invitations.c.project_id == project_id
            )
        )
        return gone.rowcount == 1

    async def find_open(self, token_hash: str, *, user_id: UUID) -> tuple[Invitation, UUID] | None:
        """Return the invitation of a token as far as it is meant for the account, and the owner of its project."""
        query = (
            sa.select(*_INVITATION, projects.c.user_id.label("owner_id"))
            .join(projects, projects.c.id == project_invitations.c.project_id)
            .join(users, users.c.email_key == project_invitations.c.email_key)
            .where(
                project_invitations.c.token_hash == token_hash,
                project_invitations.c.expires_at > self._tx.now,
                projects.c.deleted_at.is_(None),
                users.c.id == user_id,
            )
        )
        row = (await self._tx.execute(query)).one_or_none()
        return None if row is None else (_invitation(row), row.owner_id)

    async def use(self, invitation_id: UUID, *, token_hash: str) -> bool:
        """Use an invitation up; of any number of callers, one succeeds."""
        used = await self._tx.execute(
            sa.delete(project_invitations).where(
                project_invitations.c.id == invitation_id, project_invitations.c.token_hash == token_hash
            )
        )
        return used.rowcount == 1

    async def has_member_at(self, project_id: UUID, email_key: str) -> bool:
        """Tell whether the account of an address owns the project or works in it."""
        query = sa.select(users.c.id).where(
            users.c.email_key == email_key,
            sa.or_(
                sa.exists().where(projects.c.id == project_id, projects.c.user_id == users.c.id),
                sa.exists().where(*_is(project_id, users.c.id)),
            ),
        )
        return (await self._tx.execute(query)).first() is not None

    async def count_sent(self, owner_id: UUID, *, since: datetime) -> int:
        """Return how many invitations were sent for an account's projects since an instant."""
        query = (
            sa.select(sa.func.count())
            .select_from(events)
            .where(events.c.user_id == owner_id, events.c.created_at > since, events.c.kind == INVITED)
        )
        return int((await self._tx.execute(query)).scalar_one())

    async def name_of(self, user_id: UUID) -> str:
        """Return how an account is called."""
        return str((await self._tx.execute(sa.select(users.c.name).where(users.c.id == user_id))).scalar_one())


def _is(project_id: UUID, user_id: UUID | sa.Column[UUID]) -> tuple[sa.ColumnElement[bool], ...]:
    return project_members.c.project_id == project_id, project_members.c.user_id == user_id


def _invitation(row: sa.Row[Any]) -> Invitation:
    return Invitation(
        id=row.id,
        project_id=row.project_id,
        email=row.email,
        role=ProjectRole(row.role),
        invited_by=row.invited_by,
        created_at=row.created_at,
        sent_at=row.sent_at,
        sends=row.sends,
        expires_at=row.expires_at,
    )
