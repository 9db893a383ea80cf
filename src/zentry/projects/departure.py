"""Ends what an account is in the projects of others, when the account itself is closed or deleted."""

from __future__ import annotations

from uuid import UUID

from zentry.events.recorder import EventRecorder
from zentry.platform.db import Transaction
from zentry.projects.members_repository import MemberRepository


async def leave_projects(tx: Transaction, user_id: UUID) -> None:
    """Leave every project that the account works in and does not own; what it has made there stays."""
    for project_id, owner_id, role in await MemberRepository(tx).remove_from_all(user_id):
        await EventRecorder(tx).record(
            "project.member_left",
            resource_type="project",
            resource_id=project_id,
            user_id=owner_id,
            project_id=project_id,
            actor_id=user_id,
            data={"member_id": str(user_id), "before": role},
        )
