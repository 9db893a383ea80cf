"""Opens a span for each request, around everything else, so that its line of the access log belongs to it."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zentry.api.errors import REQUEST_ID
from zentry.platform.tracing import Tracing

_LONGEST_METHOD: Final = 16
_SERVER_ERROR: Final = 500


class RequestTracing:
    """One span for each request, named after the template of its route."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = str(scope["method"])[:_LONGEST_METHOD]
        with self._tracing.span(method, role="server", parent=_parent(scope)) as span:
            try:
                await self._app(scope, receive, note_status)
            finally:
                route = getattr(scope.get("route"), "path", None) or "unmatched"
                span.rename(f"{method} {route}")
                span.note("http.request.method", method)
                span.note("http.route", route)
                span.note("http.response.status_code", status)
                span.note("zentry.request_id", str(scope.get(REQUEST_ID, "")))
                if status >= _SERVER_ERROR:
                    span.fail(f"answered {status}")


def _parent(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            return bytes(value).decode("latin-1")
    return None
