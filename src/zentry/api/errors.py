"""One envelope for every error, wherever it was raised.

What is expected (`ZentryError`) is told as it is. What the framework raises is translated. A database that
is away becomes 503. Everything else becomes 500 with a fixed text: the traceback is for the log alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy.exc as sa_exc
import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from prometheus_client import Counter
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from zentry.api.validation import field_errors
from zentry.platform.clock import Clock
from zentry.platform.db.faults import is_database_away
from zentry.platform.errors import InvalidInput, Unavailable, ZentryError

_log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
PATH: Final = "zentry.path"
REQUEST_ID: Final = "zentry.request_id"

ERRORS: Final = Counter(
    "zentry_http_errors_total",
    "Errors that were answered, by their code and the template of the route.",
    ("code", "route", "status"),
)
_MAX_INSTANCE: Final = 500
_SERVER_ERROR: Final = 500


class MethodNotAllowed(ZentryError):
    """The path is known, but not with this method."""

    status, code, title = 405, "METHOD_NOT_ALLOWED", "Method not allowed"


class RequestTimeout(ZentryError):
    """The request's body did not arrive in time."""

    status, code, title = 408, "REQUEST_TIMEOUT", "Request timeout"


class PayloadTooLarge(ZentryError):
    """The request's body is larger than the server accepts."""

    status, code, title = 413, "PAYLOAD_TOO_LARGE", "Payload too large"


class UnsupportedMediaType(ZentryError):
    """The request's body is not plain JSON."""

    status, code, title = 415, "UNSUPPORTED_MEDIA_TYPE", "Unsupported media type"


class InternalError(ZentryError):
    """Something unexpected happened; it is in the server's log."""


INTERNAL_TEXT: Final = "Something went wrong on our side. It is logged; name the request id when you ask for help."
_UNKNOWN: Final = ("UNKNOWN_ERROR", "Request refused", "The request was refused.")
_BY_STATUS: Final[Mapping[int, tuple[str, str, str]]] = {
    400: ("VALIDATION_ERROR", "Invalid input", "The request could not be understood."),
    401: ("AUTHENTICATION_ERROR", "Not authenticated", "Send an access token: Authorization: Bearer <token>."),
    403: ("AUTHORIZATION_ERROR", "Not allowed", "This is not allowed."),
    404: ("NOT_FOUND", "Not found", "There is nothing at this path."),
    405: ("METHOD_NOT_ALLOWED", "Method not allowed", "This path does not know this method; see the Allow header."),
    406: ("NOT_ACCEPTABLE", "Not acceptable", "The answer is only available as JSON."),
    408: ("REQUEST_TIMEOUT", "Request timeout", "The request did not arrive in time."),
    409: ("CONFLICT", "Conflict", "The request collides with what is there."),
    413: ("PAYLOAD_TOO_LARGE", "Payload too large", "The request's body is too large."),
    414: ("URI_TOO_LONG", "URI too long", "The request's path and query are too long."),
    415: ("UNSUPPORTED_MEDIA_TYPE", "Unsupported media type", "Send the body as application/json."),
    422: ("VALIDATION_ERROR", "Invalid input", "The request does not fit its schema."),
    429: ("RATE_LIMIT_EXCEEDED", "Too many requests", "There were too many requests; see the Retry-After header."),
    431: ("REQUEST_HEADERS_TOO_LARGE", "Request headers too large", "The request's headers are too large."),
    500: ("INTERNAL_SERVER_ERROR", "Internal server error", INTERNAL_TEXT),
    503: ("SERVICE_UNAVAILABLE", "Temporarily unavailable", "The service is away for a moment; try again."),
}


def problem_type(code: str) -> str:
    """Return the URI of a kind of problem."""
    return f"urn:zentry:error:{code.lower().replace('_', '-')}"


class Problems:
    """Turns exceptions into answers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def answer(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer to a failed request."""
        await self.response(error, scope)(scope, receive, send)

    def response(self, error: Exception, scope: Scope) -> Response:
        """Return the answer to a failed request, and log what is our fault."""
        if isinstance(error, HTTPException):
            return self._http(error, scope)
        expected = _expected(error)
        if expected.status >= _SERVER_ERROR:
            _log_fault(error, expected)
        return self._render(
            scope,
            status=expected.status,
            code=expected.code,
            title=expected.title,
            message=expected.message,
            details=expected.details,
            headers=expected.headers,
        )

    def _http(self, error: HTTPException, scope: Scope) -> Response:
        code, title, text = _BY_STATUS.get(error.status_code, _UNKNOWN)
        headers = dict(error.headers or {})
        if error.status_code == MethodNotAllowed.status:
            headers["Allow"] = ", ".join(allowed_methods(scope["app"].routes, scope))
        if error.status_code >= _SERVER_ERROR:
            _log.error("http.failed", status=error.status_code, exc_info=error)
        return self._render(
            scope, status=error.status_code, code=code, title=title, message=text, details={}, headers=headers
        )

    def _render(
        self,
        scope: Scope,
        *,
        status: int,
        code: str,
        title: str,
        message: str,
        details: Mapping[str, Any],
        headers: Mapping[str, str],
    ) -> Response:
        ERRORS.labels(code, getattr(scope.get("route"), "path", None) or "unmatched", str(status)).inc()
        body = {
            "success": False,
            "error_code": code,
            "message": message,
            "details": details or None,
            "timestamp": self._clock.now(),
            "type": problem_type(code),
            "title": title,
            "status": status,
            "detail": message,
            "instance": str(scope.get(PATH, scope["path"]))[:_MAX_INSTANCE],
            "request_id": scope.get(REQUEST_ID, ""),
        }
        return Response(msgspec.json.encode(body), status_code=status, headers=dict(headers), media_type=MEDIA_TYPE)


def render_error(scope: Scope, error: Exception) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of the answer to a failed request, for middleware that sends it by itself."""
    problems: Problems = scope["app"].state.problems
    response = problems.response(error, scope)
    return response.status_code, list(response.raw_headers), bytes(response.body)


def _expected(error: Exception) -> ZentryError:
    """Return what the caller is told about an exception."""
    if isinstance(error, ZentryError):
        return error
    if isinstance(error, RequestValidationError):
        return InvalidInput.fields(field_errors(error.errors()))
    if isinstance(error, ClientDisconnect):
        return RequestTimeout("The connection was closed before the body was complete.")
    if is_database_away(error):
        return Unavailable("The database is busy or away for a moment; try again.")
    return InternalError(INTERNAL_TEXT)


def _log_fault(error: Exception, told: ZentryError) -> None:
    if isinstance(error, sa_exc.StatementError):
        error.hide_parameters = True  # A statement's values are people's data.
    if isinstance(told, Unavailable) and not isinstance(error, sa_exc.DBAPIError):
        _log.warning("http.unavailable", error=type(error).__name__, reason=str(error))
    else:
        _log.error("http.failed", status=told.status, error=type(error).__name__, exc_info=error)


def allowed_methods(routes: Sequence[BaseRoute], scope: Scope) -> list[str]:
    """Return every method that the path of a request knows, over all routes.

    A path can fit two templates, such as `/vms/pricing` and `/vms/{vm_id}`; the first one speaks for it.
    """
    methods: set[str] = set()
    template: str | None = None
    for route in iter_route_contexts(routes):
        pattern = getattr(route, "path_regex", None)
        if pattern is not None and pattern.match(scope["path"]) and template in {None, pattern.pattern}:
            template = pattern.pattern
            methods |= set(route.methods or ())
    if "GET" in methods:
        methods.add("HEAD")
    return sorted(methods)
