"""Values of the accounts domain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from zentry.platform.caller import Role
from zentry.platform.db import Transaction
from zentry.platform.etags import etag


class OnSignup(Protocol):
    """What a domain above does for a new account, in the transaction that creates it."""

    async def __call__(self, tx: Transaction, user_id: UUID) -> None:
        """Do it; an error undoes the sign-up."""
        ...


class OnDeparture(Protocol):
    """What a domain above ends or forgets with an account, in the transaction that closes or deletes it."""

    async def __call__(self, tx: Transaction, user_id: UUID) -> None:
        """Do it; an error undoes the whole."""
        ...


class OnSuspend(Protocol):
    """What a domain above does with the machines of an account that is shut out, where that is asked for."""

    async def __call__(self, tx: Transaction, user_id: UUID) -> int:
        """Stop them; return how many there were."""
        ...


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which accounts an administrator looks for."""

    email: str | None = None
    role: Role | None = None
    suspended: bool | None = None


@dataclass(frozen=True, slots=True)
class AdministeredUser:
    """An account as administrators see it; money in micro-credits."""

    id: UUID
    email: str
    name: str
    role: Role
    is_active: bool
    suspended_at: datetime | None
    suspended_for: str | None
    credits: int
    held: int
    created_at: datetime
    last_login: datetime | None


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from, as far as it can be known."""

    address: str
    user_agent: str
    bearer: str = ""
    """What it sends as its access token, which may have expired: whoever has been here has one."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a sign-in is checked against."""

    user_id: UUID
    hashed_password: str
    is_active: bool
    has_second_factor: bool


@dataclass(frozen=True, slots=True)
class UserProfile:
    """An account with the figures that its owner sees; money in micro-credits."""

    id: UUID
    email: str
    name: str
    role: Role
    is_active: bool
    email_verified_at: datetime | None
    has_second_factor: bool
    credits: int
    total_spent: int
    vm_count: int
    active_vm_count: int
    project_count: int
    created_at: datetime
    updated_at: datetime | None
    last_login: datetime | None

    @property
    def etag(self) -> str:
        """The name of its version, which a change may ask for."""
        return etag(self.id, created_at=self.created_at, updated_at=self.updated_at)


@dataclass(frozen=True, slots=True)
class SessionState:
    """A session and its account, as the next request must see them."""

    user_id: UUID
    role: Role
    is_active: bool
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as its owner sees it."""

    id: UUID
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime
    user_agent: str
    address: str


@dataclass(frozen=True, slots=True)
class UsedToken:
    """A refresh token that was presented again."""

    session_id: UUID
    expires_at: datetime
    used_at: datetime | None
    salt: str | None


@dataclass(frozen=True, slots=True)
class PersonalToken:
    """A personal access token as its owner sees it."""

    id: UUID
    name: str
    ending: str
    scopes: list[str]
    project_ids: list[str] | None
    life_days: int
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class TokenState:
    """A personal access token and its account, as the next request must see them."""

    id: UUID
    user_id: UUID
    role: Role
    is_active: bool
    scopes: frozenset[str]
    only: frozenset[UUID] | None
    expires_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """What a sign-up, a login or a refresh hands out."""

    access_token: str
    refresh_token: str
    expires_in_seconds: int
    user: UserProfile
