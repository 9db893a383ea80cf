"""The wire shapes of accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, SecretStr

from zentry.accounts.identity import MAX_EMAIL_LENGTH, MAX_NAME_LENGTH, MIN_NAME_LENGTH, NAME_PATTERN
from zentry.accounts.passwords import MAX_PASSWORD_LENGTH, ONE_CHARACTER_PATTERN
from zentry.accounts.types import IssuedTokens, SessionView, UserProfile
from zentry.platform import money
from zentry.platform.caller import Caller, Role
from zentry.platform.wire import ReadModel, WriteModel

_PASSWORD = "correct horse battery"  # noqa: S105 - the example in the documentation

Name = Annotated[
    str,
    Field(
        min_length=MIN_NAME_LENGTH,
        max_length=MAX_NAME_LENGTH,
        description="How the person is called: letters of any script, digits, spaces, `-`, `'` and `.`. "
        "Spaces around it are cut off.",
        examples=["Ada Lovelace"],
        json_schema_extra={"pattern": NAME_PATTERN},
    ),
]


class UserSignup(WriteModel):
    """What a new account needs."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "ada@example.com", "name": "Ada Lovelace", "password": _PASSWORD}]}
    )

    email: str = Field(
        min_length=3,
        max_length=MAX_EMAIL_LENGTH,
        description="E-mail address; it names one account, in any case of its letters.",
        examples=["ada@example.com"],
        json_schema_extra={"format": "email"},
    )
    name: Name
    password: SecretStr = Field(
        min_length=8,
        max_length=MAX_PASSWORD_LENGTH,
        description="Any characters. The most common passwords, the e-mail and the name are refused; "
        "the operator may demand more than eight characters.",
        examples=[_PASSWORD],
        json_schema_extra={"not": {"pattern": ONE_CHARACTER_PATTERN}},
    )


class UserLogin(WriteModel):
    """Proof of an account."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "ada@example.com", "password": _PASSWORD}]})

    email: str = Field(
        min_length=1,
        max_length=MAX_EMAIL_LENGTH,
        description="E-mail address of the account.",
        examples=["ada@example.com"],
        json_schema_extra={"format": "email"},
    )
    password: SecretStr = Field(
        min_length=1, max_length=MAX_PASSWORD_LENGTH, description="Its password.", examples=[_PASSWORD]
    )


class UserUpdate(WriteModel):
    """What may change of a profile; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Ada King"}]})

    name: Name | None = Field(default=None, description="The new name.")


class TokenRefresh(WriteModel):
    """A refresh token to exchange."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"refresh_token": "zr_Hk1wYH0Y3p4m2v5tqkqQ9wqkqX7d1o5r9m1k7e0c2aI"}]}
    )

    refresh_token: SecretStr = Field(
        min_length=1,
        max_length=200,
        description="The `refresh_token` of the last answer; it can be used once.",
        examples=["zr_Hk1wYH0Y3p4m2v5tqkqQ9wqkqX7d1o5r9m1k7e0c2aI"],
    )


class UserResponse(ReadModel):
    """An account as its owner sees it."""

    id: UUID = Field(description="Id of the account.", examples=["01980f3c-7c1e-7d42-9a56-2f4f0f1f6a10"])
    email: str = Field(
        description="E-mail address.", examples=["ada@example.com"], json_schema_extra={"format": "email"}
    )
    name: str = Field(description="How the person is called.", examples=["Ada Lovelace"])
    credits: float = Field(description="Balance in credits, with what is held for running machines.", examples=[50.0])
    total_spent: float = Field(description="Credits charged since sign-up.", examples=[1.25])
    vm_count: int = Field(description="Machines that are not terminated.", examples=[2])
    project_count: int = Field(description="Projects.", examples=[1])
    active_vm_count: int = Field(description="Machines that are running.", examples=[1])
    is_active: bool = Field(description="False for an account that the operator has deactivated.", examples=[True])
    email_verified: bool = Field(description="Whether the owner has confirmed the e-mail.", examples=[False])
    has_second_factor: bool = Field(description="Whether a login asks for a code as well.", examples=[False])
    role: Role = Field(description="`admin` administers the platform.", examples=["user"])
    created_at: datetime = Field(description="When the account was made.", examples=["2026-01-31T12:00:00Z"])
    updated_at: datetime | None = Field(description="When the profile changed last.", examples=["2026-02-01T08:30:00Z"])
    last_login: datetime | None = Field(description="When it logged in last.", examples=["2026-02-01T08:00:00Z"])

    @classmethod
    def of(cls, user: UserProfile) -> UserResponse:
        """Return the wire shape of an account."""
        return cls(
            id=user.id,
            email=user.email,
            name=user.name,
            credits=money.to_credits(user.credits),
            total_spent=money.to_credits(user.total_spent),
            vm_count=user.vm_count,
            project_count=user.project_count,
            active_vm_count=user.active_vm_count,
            is_active=user.is_active,
            email_verified=user.email_verified_at is not None,
            has_second_factor=user.has_second_factor,
            role=user.role,
            created_at=user.created_at,
            updated_at=user.updated_at,
            last_login=user.last_login,
        )


class Token(ReadModel):
    """Tokens of a session, and whose it is."""

    access_token: str = Field(
        description="Send it with every call: `Authorization: Bearer <access_token>`.",
        examples=["eyJhbGciOiJIUzI1NiIsImtpZCI6IjRmMWEiLCJ0eXAiOiJhdCtqd3QifQ.e30.c2ln"],
    )
    refresh_token: str = Field(
        description="Exchange it at `/auth/refresh` when the access token has expired; it can be used once.",
        examples=["zr_Hk1wYH0Y3p4m2v5tqkqQ9wqkqX7d1o5r9m1k7e0c2aI"],
    )
    token_type: Literal["bearer"] = Field(default="bearer", description="Always `bearer`.")
    expires_in: int = Field(description="Seconds that the access token lives.", examples=[3600])
    user: UserResponse = Field(description="The account.")

    @classmethod
    def of(cls, issued: IssuedTokens) -> Token:
        """Return the wire shape of issued tokens."""
        return cls(
            access_token=issued.access_token,
            refresh_token=issued.refresh_token,
            expires_in=issued.expires_in_seconds,
            user=UserResponse.of(issued.user),
        )


class SessionResponse(ReadModel):
    """A session: where somebody is logged in."""

    id: UUID = Field(description="Id of the session.", examples=["01936b61-2d3e-7b22-8c5d-6e3f0a4b7c12"])
    user_agent: str = Field(description="What the device called itself at its last use.", examples=["Mozilla/5.0"])
    address: str = Field(description="Address that it was last used from.", examples=["192.0.2.7"])
    created_at: datetime = Field(description="When it was opened.", examples=["2026-01-31T12:00:00Z"])
    last_used_at: datetime = Field(
        description="When it was opened or its tokens were refreshed last.", examples=["2026-02-01T08:00:00Z"]
    )
    expires_at: datetime = Field(
        description="When it ends, however much it is used.", examples=["2026-03-02T12:00:00Z"]
    )
    is_current: bool = Field(description="Whether this is the session that asks.", examples=[True])

    @classmethod
    def of(cls, session: SessionView, *, caller: Caller) -> SessionResponse:
        """Return the wire shape of a session."""
        return cls(
            id=session.id,
            user_agent=session.user_agent,
            address=session.address,
            created_at=session.created_at,
            last_used_at=session.last_used_at,
            expires_at=session.expires_at,
            is_current=session.id == caller.session_id,
        )


class JWK(ReadModel):
    """A public key (RFC 7517, RFC 8037)."""

    kty: Literal["OKP"] = Field(description="The kind of key.")
    crv: Literal["Ed25519"] = Field(description="Its curve.")
    use: Literal["sig"] = Field(description="It is for signatures.")
    alg: Literal["EdDSA"] = Field(description="The one algorithm that it is used with.")
    kid: str = Field(description="Its id, by which tokens name it.", examples=["8d7a1c0f5e2b4a69"])
    x: str = Field(description="The key in base64url.", examples=["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"])


class JWKSet(ReadModel):
    """Public keys."""

    keys: list[JWK] = Field(description="Of today and, during a rotation, of before.")
