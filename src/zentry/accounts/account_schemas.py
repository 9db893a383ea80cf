"""The wire shapes of an account's life: links, passwords, addresses, the second factor."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, SecretStr

from zentry.accounts.identity import MAX_EMAIL_LENGTH
from zentry.accounts.passwords import MAX_PASSWORD_LENGTH, ONE_CHARACTER_PATTERN
from zentry.platform.wire import ReadModel, WriteModel

_PASSWORD = "correct horse battery"  # noqa: S105 - the example in the documentation
_NEW_PASSWORD = "staple of another horse"  # noqa: S105 - the example in the documentation
_LINK = "zl_Hk1wYH0Y3p4m2v5tqkqQ9wqkqX7d1o5r9m1k7e0c2aI"

Email = Annotated[
    str,
    Field(
        min_length=3,
        max_length=MAX_EMAIL_LENGTH,
        description="E-mail address.",
        examples=["ada@example.com"],
        json_schema_extra={"format": "email"},
    ),
]
Password = Annotated[
    SecretStr,
    Field(
        min_length=1,
        max_length=MAX_PASSWORD_LENGTH,
        description="The present password of the account.",
        examples=[_PASSWORD],
    ),
]
NewPassword = Annotated[
    SecretStr,
    Field(
        min_length=8,
        max_length=MAX_PASSWORD_LENGTH,
        description="Any characters. The most common passwords, the e-mail and the name are refused.",
        examples=[_NEW_PASSWORD],
        json_schema_extra={"not": {"pattern": ONE_CHARACTER_PATTERN}},
    ),
]
LinkToken = Annotated[
    SecretStr,
    Field(min_length=1, max_length=100, description="The token of the link in the mail.", examples=[_LINK]),
]
Code = Annotated[
    str,
    Field(
        min_length=6,
        max_length=30,
        description="Six digits of the authenticator, or a recovery code where one is taken.",
        examples=["492039"],
    ),
]


class PasswordForgotten(WriteModel):
    """Whose password is to be chosen anew."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "ada@example.com"}]})

    email: Email


class PasswordReset(WriteModel):
    """Another password, and the proof that its owner chooses it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"token": _LINK, "new_password": _NEW_PASSWORD}]})

    token: LinkToken
    new_password: NewPassword


class PasswordChange(WriteModel):
    """Another password, and the present one."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"current_password": _PASSWORD, "new_password": _NEW_PASSWORD}]}
    )

    current_password: Password
    new_password: NewPassword


class EmailChange(WriteModel):
    """Another e-mail, and the password."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "ada.king@example.com", "password": _PASSWORD}]}
    )

    email: Email
    password: Password


class LinkConfirmation(WriteModel):
    """The token of a link that proves an address."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"token": _LINK}]})

    token: LinkToken


class OwnerConfirmation(WriteModel):
    """The password once more."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"password": _PASSWORD}]})

    password: Password


class FactorConfirmation(WriteModel):
    """A first code."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "492039"}]})

    code: Code


class FactorRemoval(WriteModel):
    """The password and a code."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"password": _PASSWORD, "code": "492039"}]})

    password: Password
    code: Code


class SecondFactorLogin(WriteModel):
    """The second half of a login."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"challenge": _LINK, "code": "492039"}]})

    challenge: SecretStr = Field(
        min_length=1, max_length=100, description="`details.challenge` of the login's answer.", examples=[_LINK]
    )
    code: Code


class Reauthentication(WriteModel):
    """The proof that the owner is at the session."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"password": _PASSWORD}]})

    password: Password
    code: Code | None = Field(
        default=None,
        description="A code of the authenticator or a recovery code, where the account has a second factor.",
        examples=[None],
    )


class FactorEnrolment(ReadModel):
    """What an authenticator needs; it is shown this once."""

    secret: str = Field(description="The secret in base32.", examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"])
    uri: str = Field(
        description="The same as a QR code holds it.",
        examples=["otpauth://totp/Zentry%20Cloud:ada%40example.com?secret=JBSWY3DPEHPK3PXP&issuer=Zentry%20Cloud"],
    )


class RecoveryCodes(ReadModel):
    """Codes for the day the authenticator is lost; they are shown this once, and each is good once."""

    recovery_codes: list[str] = Field(description="Keep them elsewhere.", examples=[["mzxw-6ytb-oi2d-gnrs"]])


class AccountExport(ReadModel):
    """What is kept about an account."""

    exported_at: datetime = Field(description="When.", examples=["2026-01-31T12:00:00Z"])
    account: dict[str, Any] = Field(description="The account itself.")
    sessions: list[dict[str, Any]] = Field(description="Where it was logged in.")
    personal_access_tokens: list[dict[str, Any]] = Field(description="Its tokens, without their secrets.")
    ssh_keys: list[dict[str, Any]] = Field(description="Its SSH keys.")
    projects: list[dict[str, Any]] = Field(description="Its projects.")
    vms: list[dict[str, Any]] = Field(description="Its machines.")
    billing: list[dict[str, Any]] = Field(description="Its lines in the books, 10,000 at most.")
