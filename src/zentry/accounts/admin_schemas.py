"""What administrators see of accounts and do with them, on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import ConfigDict, Field

from zentry.accounts.types import AdministeredUser
from zentry.platform import money
from zentry.platform.caller import Role
from zentry.platform.pagination import CURSOR_PATTERN
from zentry.platform.wire import ReadModel, WriteModel

_ID: Final = "01936b5c-1a2b-7c3d-8e4f-5a6b7c8d9e0f"


class AdministeredUserResponse(ReadModel):
    """An account as administrators see it."""

    id: UUID = Field(examples=[_ID])
    email: str = Field(examples=["ada@example.com"])
    name: str = Field(examples=["Ada Lovelace"])
    role: Role
    is_active: bool = Field(description="Whether it can log in.")
    suspended_at: datetime | None = Field(description="Since when an administrator shuts it out.")
    suspended_for: str | None = Field(description="The reason that the administrator gave.")
    credits: float = Field(description="Balance, what is held included.", examples=[12.5])
    held: float = Field(description="What of it is held for running machines.", examples=[0.25])
    created_at: datetime
    last_login: datetime | None

    @classmethod
    def of(cls, user: AdministeredUser) -> AdministeredUserResponse:
        """Return the account as administrators see it."""
        return cls(
            id=user.id,
            email=user.email,
            name=user.name,
            role=user.role,
            is_active=user.is_active,
            suspended_at=user.suspended_at,
            suspended_for=user.suspended_for,
            credits=money.to_credits(user.credits),
            held=money.to_credits(user.held),
            created_at=user.created_at,
            last_login=user.last_login,
        )


class AdministeredUserList(ReadModel):
    """A page of accounts."""

    users: list[AdministeredUserResponse]
    next_cursor: Annotated[str, Field(pattern=CURSOR_PATTERN)] | None = Field(
        description="Send it as `cursor` for the next page; null on the last one."
    )


class Suspension(WriteModel):
    """Why an account is shut out, and what becomes of its machines."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Reported for abuse", "stop_vms": False}]})

    reason: str = Field(min_length=1, max_length=500, description="For administrators; the account is not told.")
    stop_vms: bool = Field(default=False, description="Whether its running VMs are stopped as well.")


class RoleChange(WriteModel):
    """What an account is to be on the platform."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "admin"}]})

    role: Annotated[Role, Field(strict=False)] = Field(description="What the account may do from now on.")
