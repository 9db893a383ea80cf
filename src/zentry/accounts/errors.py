"""What accounts refuse."""

from __future__ import annotations

from zentry.platform.errors import (
    Conflict,
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    TooManyRequests,
    Unavailable,
)


class EmailTaken(Conflict):
    """There is an account with this e-mail already."""

    def __init__(self) -> None:
        super().__init__("This e-mail is already registered. Log in, or sign up with another one.")


class WrongCredentials(NotAuthenticated):
    """The e-mail or the password is wrong; which of them is not told."""

    def __init__(self) -> None:
        super().__init__("Invalid email or password")


class InvalidAccessToken(NotAuthenticated):
    """The access token is missing, malformed, forged, expired or revoked."""

    def __init__(self, message: str = "The access token is invalid or has expired. Log in again.") -> None:
        super().__init__(message)


class InvalidRefreshToken(NotAuthenticated):
    """The refresh token is unknown, expired, used or revoked."""

    def __init__(self) -> None:
        super().__init__("The refresh token is invalid or has expired. Log in again.")


class AccountDeactivated(NotAllowed):
    """The account has been deactivated."""

    def __init__(self) -> None:
        super().__init__("This account has been deactivated. Ask the operator of this platform.")


class SessionNotFound(NotFound):
    """There is no such session, it has ended, or it is not the caller's."""

    def __init__(self) -> None:
        super().__init__("Session")


class PersonalTokenNotFound(NotFound):
    """There is no such token, or it is not the caller's."""

    def __init__(self) -> None:
        super().__init__("Token")


class TokenNameTaken(Conflict):
    """The account has a token of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"You have a token called {name} already. Choose another name, or rotate that one.")


class TooManyTokens(Conflict):
    """The account has as many tokens as it may have."""

    def __init__(self, most: int) -> None:
        super().__init__(f"You have {most} tokens, which is the most. Revoke one that is not used.")


class WeakPassword(InvalidInput):
    """The password is too short, too long, or one of those that are tried first."""

    def __init__(self, message: str) -> None:
        error = {"field": "password", "message": message, "type": "weak_password"}
        super().__init__(message, validation_errors=[error])


class TooManyFailures(TooManyRequests):
    """Sign-in with this e-mail has failed too often from this network."""

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(
            "Too many failed logins with this e-mail. Wait before you try again.",
            retry_after_seconds=retry_after_seconds,
        )


class RateLimited(TooManyRequests):
    """More requests than the rate limit admits."""


class HashingBusy(Unavailable):
    """Too many passwords wait to be checked."""

    def __init__(self) -> None:
        super().__init__("Too many sign-ins at once. Try again in a moment.", retry_after_seconds=2)
