"""Who sees what, and who may do what with it: the one place that says so.

Everything that belongs to a project carries the project's id and the account that owns the
project. `seen_by` is the condition under which a row of such a table is there for a caller, and every
statement that reads for a caller has it. What is seen may be looked at; for anything else `ensure_may`
asks whether the caller's role has the right. So what is not seen is not found, and what is seen and not
allowed is refused with a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.platform.caller import Caller, ProjectRole
from zentry.platform.errors import NotAllowed


class Right(StrEnum):
    """What a role may allow in a project."""

    READ = "read"
    OPERATE = "operate"
    MANAGE = "manage"
    OWN = "own"


RIGHTS: Final[Mapping[ProjectRole, frozenset[Right]]] = {
    ProjectRole.OWNER: frozenset({Right.READ, Right.OPERATE, Right.MANAGE, Right.OWN}),
    ProjectRole.ADMIN: frozenset({Right.READ, Right.OPERATE, Right.MANAGE}),
    ProjectRole.MEMBER: frozenset({Right.READ, Right.OPERATE}),
    ProjectRole.VIEWER: frozenset({Right.READ}),
}

COVERS: Final[Mapping[Right, str]] = {
    Right.READ: "look at the project, its VMs, snapshots, operations, events, metrics, members and cost",
    Right.OPERATE: "create, change, start, stop and delete its VMs, read their consoles, and use its snapshots",
    Right.MANAGE: "rename it, invite people, change roles and remove members",
    Right.OWN: "delete it or hand it over; the owner pays for it",
}
"""What each right covers, in words."""


class RoleTooLow(NotAllowed):
    """The caller's role in the project does not allow it."""

    code = "PROJECT_ROLE_TOO_LOW"

    def __init__(self, role: ProjectRole, *, needed: Right) -> None:
        roles = [one.value for one in ProjectRole if needed in RIGHTS[one]]
        super().__init__(
            f"You are {role} of this project. To {COVERS[needed]}, one has to be {' or '.join(roles)}.",
            role=role,
            allowed_roles=roles,
        )


class Reach(StrEnum):
    """How far a caller sees; few values, so that statements are built once for each."""

    OWN = "own"
    SHARED = "shared"
    LIMITED = "limited"


def reach_of(caller: Caller) -> Reach:
    """Return how far a caller sees."""
    if caller.only is not None:
        return Reach.LIMITED
    return Reach.SHARED if caller.shared else Reach.OWN


def seen_by(reach: Reach, *, owner: sa.ColumnElement[UUID], project: sa.ColumnElement[UUID]) -> sa.ColumnElement[bool]:
    """Return the condition under which a row is there for a caller; `seeing` has its values.

    Whoever is a member of no other project is found by the index of the owner alone. Else the
    ids are listed, not selected: the planner looks each of them up in an index. A token that is
    limited to projects sees what its account sees, in these projects alone.
    """
    own = owner == sa.bindparam("caller_id", type_=sa.Uuid)
    if reach is Reach.OWN:
        return own
    seen = sa.or_(own, project.in_(sa.bindparam("caller_projects", expanding=True, type_=sa.Uuid)))
    if reach is Reach.SHARED:
        return seen
    return sa.and_(project.in_(sa.bindparam("caller_only", expanding=True, type_=sa.Uuid)), seen)


def seeing(caller: Caller) -> dict[str, Any]:
    """Return the values of `seen_by`."""
    values: dict[str, Any] = {"caller_id": caller.user_id}
    if caller.shared or caller.only is not None:
        values["caller_projects"] = sorted(caller.shared)
    if caller.only is not None:
        values["caller_only"] = sorted(caller.only)
    return values


def role_in(caller: Caller, *, project_id: UUID, owner_id: UUID) -> ProjectRole:
    """Return what a caller is in a project that the caller sees."""
    return ProjectRole.OWNER if owner_id == caller.user_id else caller.shared[project_id]


def ensure_may(caller: Caller, right: Right, *, project_id: UUID, owner_id: UUID) -> None:
    """Raise `RoleTooLow` unless the caller's role in a project that the caller sees has the right."""
    role = role_in(caller, project_id=project_id, owner_id=owner_id)
    if right not in RIGHTS[role]:
        raise RoleTooLow(role, needed=right)
