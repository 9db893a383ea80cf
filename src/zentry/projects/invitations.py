"""The rules about invitations: a token that is mailed to one address, is good once, and ends.

The token lies hashed in the row and in clear in the mail alone. It is worth nothing without an account
of the address that it was sent to, so a forwarded or stolen mail opens no door. When an invitation is
accepted or revoked its row goes; what happened is in the events, which hold no address.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from zentry.accounts.identity import parse_email
from zentry.accounts.tokens import SecretSource
from zentry.events.recorder import EventRecorder
from zentry.mail import texts
from zentry.mail.outbox import Outbox
from zentry.mail.ways import way_to
from zentry.platform.caller import Caller, ProjectRole
from zentry.platform.db import Transaction
from zentry.platform.settings import QuotaSettings
from zentry.projects.access import Right, ensure_may
from zentry.projects.errors import (
    AlreadyInvited,
    AlreadyMember,
    InvitationNotFound,
    MembershipLimit,
    ProjectNotFound,
    TooManyInvitations,
)
from zentry.projects.members_repository import INVITED, InvitationRepository, MemberRepository
from zentry.projects.repository import ProjectRepository
from zentry.projects.types import Invitation, Project

_PREFIX: Final = "zi_"
_PAUSE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)


class InvitationService:
    """Invites people into projects. Runs inside the caller's transaction and never commits."""

    def __init__(
        self, tx: Transaction, *, settings: QuotaSettings, outbox: Outbox, secrets: SecretSource, public_url: str
    ) -> None:
        self._tx = tx
        self._settings = settings
        self._outbox = outbox
        self._secrets = secrets
        self._public_url = public_url
        self._projects = ProjectRepository(tx)
        self._members = MemberRepository(tx)
        self._invitations = InvitationRepository(tx)
        self._events = EventRecorder(tx)

    async def list_invitations(self, project_id: UUID | None, *, caller: Caller) -> Sequence[Invitation]:
        """Return the invitations to a project that nobody has accepted yet."""
        project = await self._get_project(project_id, caller=caller)
        return await self._invitations.list(project.id)

    async def get_invitation(
        self, project_id: UUID | None, invitation_id: UUID | None, *, caller: Caller
    ) -> Invitation:
        """Return an invitation to a project that the caller manages, or raise `InvitationNotFound`."""
        project = await self._get_project(project_id, caller=caller)
        return await self._get(project, invitation_id)

    async def invite(self, project_id: UUID | None, *, email: str, role: ProjectRole, caller: Caller) -> UUID:
        """Send an invitation to an address, whether or not anybody has an account there."""
        address = parse_email(email)
        project = await self._get_project(project_id, caller=caller)
        await self._ensure_room(project)
        if await self._invitations.has_member_at(project.id, address.key):
            raise AlreadyMember
        token, token_hash = self._new_token()
        invitation = Invitation(
            id=self._tx.new_id(),
            project_id=project.id,
            email=address.text,
            role=role,
            invited_by=caller.user_id,
            created_at=self._tx.now,
            sent_at=self._tx.now,
            sends=1,
            expires_at=self._tx.now + timedelta(hours=self._settings.invitation_hours),
        )
        if not await self._invitations.insert(invitation, email_key=address.key, token_hash=token_hash):
            raise AlreadyInvited
        await self._send(project, invitation, token, caller=caller)
        return invitation.id

    async def resend(self, project_id: UUID | None, invitation_id: UUID | None, *, caller: Caller) -> UUID:
        """Send an invitation again with another token; the one before is worth nothing from now on."""
        project = await self._get_project(project_id, caller=caller)
        invitation = await self._get(project, invitation_id)
        await self._ensure_room(project)
        token, token_hash = self._new_token()
        expires_at = self._tx.now + timedelta(hours=self._settings.invitation_hours)
        if not await self._invitations.renew(invitation.id, token_hash=token_hash, expires_at=expires_at, pause=_PAUSE):
            raise TooManyInvitations(
                "This invitation was sent a moment ago. Wait a minute before it is sent again.",
                retry_after_seconds=int(_PAUSE.total_seconds()),
            )
        await self._send(project, await self._get(project, invitation.id), token, caller=caller)
        return invitation.id

    async def revoke(self, project_id: UUID | None, invitation_id: UUID | None, *, caller: Caller) -> UUID:
        """Take an invitation back; its token is worth nothing from now on."""
        project = await self._get_project(project_id, caller=caller)
        invitation = await self._get(project, invitation_id)
        if not await self._invitations.remove(invitation.id, project_id=project.id):
            raise InvitationNotFound
        await self._record("project.invitation_revoked", invitation, owner_id=project.user_id, caller=caller)
        return invitation.id

    async def accept(self, token: str, *, caller: Caller) -> UUID:
        """Make the caller a member; return the project's id."""
        token_hash = _hash(token)
        found = await self._invitations.find_open(token_hash, user_id=caller.user_id)
        if found is None:
            raise InvitationNotFound
        invitation, owner_id = found
        # Members are counted under these locks, so that the limits hold for whoever comes at the same time.
        for account_id in sorted({owner_id, caller.user_id}):
            await self._projects.lock_account(account_id)
        if not await self._projects.is_owned_by(invitation.project_id, owner_id):
            raise InvitationNotFound
        if not await self._invitations.use(invitation.id, token_hash=token_hash):
            raise InvitationNotFound
        await self._ensure_seats(invitation.project_id, caller)
        if owner_id == caller.user_id or not await self._members.insert(
            invitation.project_id, caller.user_id, invitation.role
        ):
            raise AlreadyMember
        await self._record("project.member_joined", invitation, owner_id=owner_id, caller=caller)
        return invitation.project_id

    async def as_member(self, project_id: UUID, *, caller: Caller) -> Caller:
        """Return the caller as the next request will see it, with the role that was just given."""
        role = await self._members.find_role(project_id, caller.user_id)
        return caller if role is None else replace(caller, shared={**caller.shared, project_id: role})

    async def _ensure_room(self, project: Project) -> None:
        """Raise unless another invitation may be sent; the lock makes the count hold for the next one."""
        await self._projects.lock_account(project.user_id)
        sent = await self._invitations.count_sent(project.user_id, since=self._tx.now - _DAY)
        if sent >= self._settings.invitations_per_day:
            raise TooManyInvitations(
                f"{sent} invitations were sent for the projects of this account in 24 hours, which is the limit."
                " Try again tomorrow.",
                retry_after_seconds=int(_DAY.total_seconds()),
            )

    async def _ensure_seats(self, project_id: UUID, caller: Caller) -> None:
        most = self._settings.members_per_project
        if await self._members.count(project_id=project_id) >= most:
            raise MembershipLimit(f"The project has {most} members, as many as it may have.", maximum=most)
        most = self._settings.shared_projects_per_user
        if await self._members.count_of(caller.user_id) >= most:
            raise MembershipLimit(
                f"You work in {most} projects of others, as many as you may. Leave one.", maximum=most
            )

    async def _send(self, project: Project, invitation: Invitation, token: str, *, caller: Caller) -> None:
        letter = texts.project_invitation(
            way=way_to("invitation", token, public_url=self._public_url),
            project=project.name,
            inviter=await self._invitations.name_of(caller.user_id),
            role=invitation.role,
            hours=self._settings.invitation_hours,
        )
        key = f"projects.invitation:{invitation.id}:{invitation.sends}"
        await self._outbox.put(key, to=invitation.email, letter=letter, until=invitation.expires_at)
        await self._record(INVITED, invitation, owner_id=project.user_id, caller=caller)

    async def _get_project(self, project_id: UUID | None, *, caller: Caller) -> Project:
        project = None if project_id is None else await self._projects.find_live(project_id, caller=caller)
        if project is None:
            raise ProjectNotFound
        ensure_may(caller, Right.MANAGE, project_id=project.id, owner_id=project.user_id)
        return project

    async def _get(self, project: Project, invitation_id: UUID | None) -> Invitation:
        found = None
        if invitation_id is not None:
            found = await self._invitations.find(invitation_id, project_id=project.id)
        if found is None:
            raise InvitationNotFound
        return found

    def _new_token(self) -> tuple[str, str]:
        token = f"{_PREFIX}{self._secrets.token()}"
        return token, _hash(token)

    async def _record(self, kind: str, invitation: Invitation, *, owner_id: UUID, caller: Caller) -> None:
        await self._events.record(
            kind,
            resource_type="project",
            resource_id=invitation.project_id,
            user_id=owner_id,
            project_id=invitation.project_id,
            actor_id=caller.user_id,
            data={"invitation_id": str(invitation.id), "role": invitation.role},
        )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
