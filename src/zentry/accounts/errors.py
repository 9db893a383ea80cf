"""What accounts refuse."""

from __future__ import annotations

from uuid import UUID

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


class LastAdministrator(Conflict):
    """It is the only account that administers the platform."""

    code = "LAST_ADMINISTRATOR"

    def __init__(self) -> None:
        super().__init__("This is the last administrator. Make another one first, so that somebody can still act.")


class WrongCredentials(NotAuthenticated):
    """The e-mail or the password is wrong; which of them is not told."""

    def __init__(self, *, user_id: UUID | None = None) -> None:
        super().__init__("Invalid email or password")
        self.user_id = user_id  # For the record, not for the answer.


class WrongPassword(NotAllowed):
    """The password that was to prove the owner is wrong."""

    code = "WRONG_PASSWORD"

    def __init__(self) -> None:
        super().__init__("The password is wrong. Send the present password of your account.")


class InvalidLink(NotFound):
    """The token of the link is unknown, expired, used or for something else."""

    code = "INVALID_LINK"

    def __init__(self) -> None:
        super(NotFound, self).__init__("This link is not valid any more. Ask for a new one.")


class SecondFactorRequired(NotAuthenticated):
    """The password is right, and the account asks for a code as well."""

    code = "SECOND_FACTOR_REQUIRED"

    def __init__(self, challenge: str) -> None:
        super().__init__(
            "This account asks for a code of your authenticator. Send it with the challenge to POST "
            "/auth/login/second-factor.",
            challenge=challenge,
        )


class WrongCode(NotAllowed):
    """The code is wrong, too old, or was used already."""

    code = "WRONG_CODE"

    def __init__(self) -> None:
        super().__init__("The code is wrong or was used already. Wait for the next one and try again.")


class SecondFactorConflict(Conflict):
    """The second factor is not in the state that this needs."""


class AccountInUse(Conflict):
    """The account has machines or projects, so it cannot be deleted."""

    code = "ACCOUNT_IN_USE"

    def __init__(self) -> None:
        super().__init__(
            "The account has machines or projects. Delete them first, or hand projects that others work in over to a "
            "member (POST /projects/{project_id}/transfer); then it can be deleted."
        )


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


class ReauthenticationRequired(NotAllowed):
    """The last proof of who is at the session is too long ago for this."""

    code = "REAUTHENTICATION_REQUIRED"

    def __init__(self, *, proof_seconds: int) -> None:
        super().__init__(
            "You have signed in too long ago for this. Send your password to POST /auth/reauthenticate, and try again.",
            proof_seconds=proof_seconds,
        )


class SessionNotFound(NotFound):
    """There is no such session, it has ended, or it is not the caller's."""

    def __init__(self) -> None:
        super().__init__("Session")


class PersonalTokenNotFound(NotFound):
    """There is no such token, or it is not the caller's."""

    def __init__(self) -> None:
        super().__init__("Token")


class TokenProjectNotFound(NotFound):
    """A project that a token was to be limited to does not exist, or the caller does not work in it."""

    def __init__(self) -> None:
        super().__init__("Project")


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
