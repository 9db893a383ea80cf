"""The wire shapes of members and invitations."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, SecretStr

from zentry.accounts.identity import MAX_EMAIL_LENGTH
from zentry.platform.caller import ProjectRole
from zentry.platform.wire import ReadModel, WriteModel

_ID: Final = "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"
_ROLE: Final = "admin, member or viewer; the owner's role changes only when the project is handed over."
GivenRole = Literal["admin", "member", "viewer"]


class MemberResponse(ReadModel):
    """Somebody who works in a project."""

    user_id: UUID = Field(examples=[_ID])
    name: str = Field(examples=["Ada Lovelace"])
    email: str = Field(examples=["ada@example.com"])
    role: ProjectRole = Field(examples=["member"])
    created_at: datetime = Field(description="Since when; for the owner, since when the project exists.")


class MemberUpdate(WriteModel):
    """The role that a member is to have."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "viewer"}]})

    role: GivenRole = Field(description=_ROLE)


class InvitationCreate(WriteModel):
    """Who is wanted in the project, and as what."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "grace@example.com", "role": "member"}]})

    email: str = Field(
        min_length=3,
        max_length=MAX_EMAIL_LENGTH,
        description="Where the invitation is sent; only the account of this address can accept it.",
        json_schema_extra={"format": "email"},
    )
    role: GivenRole = Field(default="member", description=_ROLE)


class InvitationResponse(ReadModel):
    """An invitation that nobody has accepted yet."""

    id: UUID = Field(examples=[_ID])
    project_id: UUID = Field(examples=[_ID])
    email: str = Field(examples=["grace@example.com"])
    role: ProjectRole = Field(examples=["member"])
    invited_by: UUID = Field(description="The account that asked for it.", examples=[_ID])
    created_at: datetime
    sent_at: datetime = Field(description="When the newest mail was written.")
    expires_at: datetime = Field(description="Until when it can be accepted; sending it again renews it.")


class InvitationAccept(WriteModel):
    """The token of an invitation."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"token": "zi_" + "A" * 43}]})

    token: SecretStr = Field(min_length=3, max_length=100, description="As it stands in the mail.")
