"""The outermost layer: a name for every request, headers for every answer, one line in the access log.

It also answers what fails in the layers between itself and the error boundary, so that nothing at all
leaves without the envelope.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zentry.api.errors import PATH, REQUEST_ID, Problems
from zentry.platform.clock import Clock

_log = structlog.get_logger(__name__)

_FIT_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_CLIENT_GONE: Final = 499
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")

# What an answer carries unless its handler says otherwise. The policy forbids everything: JSON needs nothing.
# Not stored: answers are somebody's data or change by the second; what may be shared says so itself.
_DEFAULT_HEADERS: Final[Sequence[tuple[bytes, bytes]]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class RequestContext:
    """Names the request, completes the answer's headers, and writes the access log."""

    def __init__(self, app: ASGIApp, *, problems: Problems, clock: Clock, hsts: bool) -> None:
        self._app = app
        self._problems = problems
        self._clock = clock
        self._headers = [*_DEFAULT_HEADERS, *((_HSTS,) if hsts else ())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope[REQUEST_ID] = request_id
        scope[PATH] = scope["path"]
        status = size = 0

        async def complete(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._complete(message.get("headers", ()), request_id)
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        started = self._clock.monotonic()
        tokens = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, complete)
        except Exception as error:
            if status:
                # Half an answer is out; only a broken connection can tell the client that it is not whole.
                _log.exception("http.broken_off")
                raise
            await self._problems.answer(error, scope, receive, complete)
        finally:
            took_ms = round((self._clock.monotonic() - started) * 1000, 2)
            _log.info(
                "http.request",
                method=scope["method"],
                route=_route(scope),
                status=status or _CLIENT_GONE,
                took_ms=took_ms,
                bytes=size,
            )
            structlog.contextvars.reset_contextvars(**tokens)

    def _complete(self, headers: Sequence[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
        present = {name for name, _ in headers}
        return [
            *headers,
            (b"x-request-id", request_id.encode()),
            *(header for header in self._headers if header[0] not in present),
        ]


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _FIT_REQUEST_ID.fullmatch(value):
            return bytes(value).decode()
    return secrets.token_hex(10)


def _route(scope: Scope) -> str:
    """Return the route's template, which groups; the path where no route was found. Never the query."""
    template = getattr(scope.get("route"), "path", None)
    return template if isinstance(template, str) else str(scope[PATH])
