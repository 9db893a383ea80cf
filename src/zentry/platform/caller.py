"""Who asks. The authentication middleware makes it; routers and services read it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    """What an account may do on the platform."""

    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated account, as far as the request needs to know it."""

    user_id: UUID
    session_id: UUID
    role: Role

    @property
    def is_admin(self) -> bool:
        """Tell whether the account administers the platform."""
        return self.role is Role.ADMIN
