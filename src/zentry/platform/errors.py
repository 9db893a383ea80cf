"""What can be expected to go wrong, as one tree.

    ZentryError
    ├── InvalidInput          400  VALIDATION_ERROR
    ├── RuleBroken            400  business rule that no conflict describes
    ├── NotAuthenticated      401  AUTHENTICATION_ERROR
    ├── NotAllowed            403  AUTHORIZATION_ERROR
    ├── NotFound              404  NOT_FOUND
    ├── Conflict              409  CONFLICT
    ├── PreconditionFailed    412  PRECONDITION_FAILED
    ├── IdempotencyMismatch   422  IDEMPOTENCY_KEY_REUSED
    ├── TooManyRequests       429  RATE_LIMIT_EXCEEDED
    └── Unavailable           503  SERVICE_UNAVAILABLE

A class has an HTTP status and a stable, unique `code`; its message says what was tried and what
may be done. Domains add subclasses beside the service that raises them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class ZentryError(Exception):
    """An expected refusal, told to the caller as it is."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_SERVER_ERROR"
    title: ClassVar[str] = "Internal server error"

    def __init__(self, message: str, *, headers: Mapping[str, str] | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.headers = dict(headers or {})
        self.details = details


class InvalidInput(ZentryError):
    """The request does not fit its schema."""

    status, code, title = 400, "VALIDATION_ERROR", "Invalid input"

    @classmethod
    def at(cls, field: str, message: str, *, type_: str = "value_error") -> InvalidInput:
        """Return the error for a single field, in the form that schema errors have."""
        return cls.fields([{"field": field, "message": message, "type": type_}])

    @classmethod
    def fields(cls, errors: Sequence[Mapping[str, str]]) -> InvalidInput:
        """Return one error that names every bad field."""
        text = "; ".join(
            f"{error['field']}: {error['message']}" if error["field"] else error["message"] for error in errors
        )
        return cls(text, validation_errors=list(errors))


class RuleBroken(ZentryError):
    """A rule of the business forbids the request as it stands."""

    status, code, title = 400, "BAD_REQUEST", "Request refused"


class NotAuthenticated(ZentryError):
    """There is no valid proof of who asks."""

    status, code, title = 401, "AUTHENTICATION_ERROR", "Not authenticated"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"}, **details)


class NotAllowed(ZentryError):
    """The caller is known and may not do this."""

    status, code, title = 403, "AUTHORIZATION_ERROR", "Not allowed"


class NotFound(ZentryError):
    """It does not exist, or it is not the caller's: both look alike."""

    status, code, title = 404, "NOT_FOUND", "Not found"

    def __init__(self, noun: str = "Resource", **details: Any) -> None:
        super().__init__(f"{noun} not found", **details)


class Conflict(ZentryError):
    """The request collides with what is there."""

    status, code, title = 409, "CONFLICT", "Conflict"


class PreconditionFailed(ZentryError):
    """The resource has moved on since the caller saw it."""

    status, code, title = 412, "PRECONDITION_FAILED", "Precondition failed"


class IdempotencyMismatch(ZentryError):
    """An idempotency key came back with another request."""

    status, code, title = 422, "IDEMPOTENCY_KEY_REUSED", "Idempotency key reused"


class TooManyRequests(ZentryError):
    """A limit was reached; `Retry-After` says when to come back."""

    status, code, title = 429, "RATE_LIMIT_EXCEEDED", "Too many requests"

    def __init__(self, message: str, *, retry_after_seconds: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(
            message,
            headers={**(headers or {}), "Retry-After": str(retry_after_seconds)},
            retry_after_seconds=retry_after_seconds,
        )


class Unavailable(ZentryError):
    """Something that the platform stands on is away; trying again will help."""

    status, code, title = 503, "SERVICE_UNAVAILABLE", "Temporarily unavailable"

    def __init__(self, message: str, *, retry_after_seconds: int = 1, **details: Any) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after_seconds)}, **details)
