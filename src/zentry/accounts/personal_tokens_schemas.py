"""The wire shapes of personal access tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, JsonValue

from zentry.accounts.types import PersonalToken
from zentry.platform.scopes import LIMITABLE, SCOPES
from zentry.platform.wire import TITLE_PATTERN, WHOLE, ReadModel, WriteModel

_EXAMPLE: Final = "zpat_4bWJx0uB2ZcV9QmT7kLr3YfHs8NdPgEa6iXoRw5qCvU1t2zA7Kd"


_LIMITABLE: Final[list[JsonValue]] = [*sorted(LIMITABLE)]


def _known(scope: str) -> str:
    if scope not in SCOPES:
        raise ValueError(f"there is no such scope; the scopes are {', '.join(sorted(SCOPES))}")
    return scope


Scope = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": sorted(SCOPES)})]


class PersonalTokenCreate(WriteModel):
    """What a new token is for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "backup script", "scopes": ["vms:read", "vms:write"]}],
            "anyOf": [
                {"properties": {"project_ids": {"type": "null"}}},
                {"properties": {"scopes": {"items": {"enum": _LIMITABLE}}}},
            ],
        }
    )

    name: str = Field(
        min_length=1, max_length=100, pattern=TITLE_PATTERN, description="What it is for.", examples=["backup script"]
    )
    scopes: list[Scope] = Field(
        min_length=1,
        max_length=len(SCOPES),
        description="What it may be used for, as `resource:verb`; `write` does not include `read`.",
        examples=[["vms:read", "vms:write"]],
    )
    project_ids: list[Annotated[str, Field(min_length=1, max_length=64)]] | None = Field(
        default=None,
        min_length=1,
        max_length=50,
        description="Projects that it is limited to, which then takes only scopes of `projects`, `vms` and "
        "`operations`; null for all that the account sees.",
        examples=[None],
    )
    expires_in_days: Annotated[int, Field(ge=1, le=3650), WHOLE] = Field(
        default=90, description="Days until it expires.", examples=[90]
    )


class PersonalTokenResponse(ReadModel):
    """A token without its secret."""

    id: UUID = Field(description="Id of the token.", examples=["01936b61-2d3e-7b22-8c5d-6e3f0a4b7c12"])
    name: str = Field(description="What it is for.", examples=["backup script"])
    ending: str = Field(description="The last four characters of its secret.", examples=["A7Kd"])
    scopes: list[str] = Field(description="What it may be used for.", examples=[["vms:read", "vms:write"]])
    project_ids: list[UUID] | None = Field(
        description="Projects that it is limited to; null where it is not.", examples=[None]
    )
    created_at: datetime = Field(description="When it was made.", examples=["2026-01-31T12:00:00Z"])
    expires_at: datetime = Field(description="When it ends.", examples=["2026-05-01T12:00:00Z"])
    last_used_at: datetime | None = Field(
        description="When it was used last, to the minute.", examples=["2026-02-01T08:00:00Z"]
    )

    @classmethod
    def of(cls, token: PersonalToken) -> PersonalTokenResponse:
        """Return the wire shape of a token."""
        return cls.model_validate(token)


class PersonalTokenSecret(PersonalTokenResponse):
    """A token with its secret, which is shown this once."""

    token: str | None = Field(
        description="Send it as `Authorization: Bearer <token>`. It is shown once, and null when an "
        "`Idempotency-Key` is repeated.",
        examples=[_EXAMPLE],
    )

    @classmethod
    def with_secret(cls, token: PersonalToken, secret: str | None) -> PersonalTokenSecret:
        """Return the wire shape of a token that was just made."""
        return cls(**PersonalTokenResponse.of(token).model_dump(), token=secret)
