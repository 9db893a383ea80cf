"""Who asks. The authentication middleware makes it; routers and services read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID


class Role(StrEnum):
    """What an account may do on the platform."""

    USER = "user"
    ADMIN = "admin"


_ADMIN_SCOPES: Final = frozenset({"admin:read", "admin:write"})


class ProjectRole(StrEnum):
    """What somebody is in a project; `projects/access.py` says what each may do."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated account, as far as the request needs to know it."""

    user_id: UUID
    session_id: UUID
    """Of the session, or of the token that stands for one."""
    role: Role
    scopes: frozenset[str] | None = None
    """What a token may be used for; None for a session, which may do what its account may."""
    only: frozenset[UUID] | None = None
    """The projects that a token is limited to; None where it is not."""
    shared: Mapping[UUID, ProjectRole] = field(default_factory=dict)
    """The projects of others that the account is a member of. Whose a project is, its row says."""

    @property
    def is_admin(self) -> bool:
        """Tell whether the account administers the platform, and this is no token that was not made for it."""
        return self.role is Role.ADMIN and (self.scopes is None or not self.scopes.isdisjoint(_ADMIN_SCOPES))
