"""Cross-origin calls from browsers: listed origins only, on errors as on successes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zentry.api.errors import Problems
from zentry.platform.errors import ZentryError

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
REQUEST_HEADERS: Final = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "Prefer",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "X-Request-Id",
)
EXPOSED_HEADERS: Final = (
    "Retry-After",
    "X-Request-Id",
    "Link",
    "ETag",
    "RateLimit",
    "RateLimit-Policy",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "Idempotency-Replayed",
)
_MAX_AGE_SECONDS: Final = 600
_PREFLIGHT_VARY: Final = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class OriginRefused(ZentryError):
    """Browser applications of this origin may not call the API."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "ORIGIN_REFUSED"
    title: ClassVar[str] = "Origin refused"


class CORS:
    """Answers preflights and marks answers for the origins that are listed.

    A wildcard never goes together with credentials: any site could then act for whoever visits it.
    """

    def __init__(self, app: ASGIApp, *, problems: Problems, origins: Sequence[str], credentials: bool) -> None:
        self._app = app
        self._problems = problems
        self._any = "*" in origins
        self._origins = frozenset(origin.encode() for origin in origins if origin != "*")
        self._marks = [(b"access-control-expose-headers", ", ".join(EXPOSED_HEADERS).encode())]
        if credentials and not self._any:
            self._marks.append((b"access-control-allow-credentials", b"true"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        origin = wanted = None
        for name, value in scope["headers"]:
            if name == b"origin":
                origin = value
            elif name == b"access-control-request-method":
                wanted = value
        if origin is not None and wanted is not None and scope["method"] == "OPTIONS":
            await self._preflight(origin, scope, receive, send)
            return
        added = self._headers(origin)

        async def mark(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        await self._app(scope, receive, mark)

    def _allowed(self, origin: bytes) -> bytes | None:
        if self._any:
            return b"*"
        return origin if origin in self._origins else None

    def _headers(self, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        # Vary even without an Origin: a cache must not hand this copy to a browser of another one.
        vary = [] if self._any else [(b"vary", b"Origin")]
        allowed = None if origin is None else self._allowed(origin)
        if allowed is None:
            return vary
        return [(b"access-control-allow-origin", allowed), *self._marks, *vary]

    async def _preflight(self, origin: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = self._allowed(origin)
        if allowed is None:
            refused = OriginRefused("This origin is not listed in ZENTRY_SERVER__CORS_ORIGINS.")
            response = self._problems.response(refused, scope)
        else:
            response = Response(
                headers={
                    "Access-Control-Allow-Origin": allowed.decode(),
                    "Access-Control-Allow-Methods": ", ".join(METHODS),
                    "Access-Control-Allow-Headers": ", ".join(REQUEST_HEADERS),
                    "Access-Control-Max-Age": str(_MAX_AGE_SECONDS),
                    **{name.decode(): value.decode() for name, value in self._marks[1:]},
                }
            )
        response.headers["Vary"] = _PREFLIGHT_VARY
        await response(scope, receive, send)
