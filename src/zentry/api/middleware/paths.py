"""One path for several spellings, so that routes and their document exist once.

`/v1/vms`, `/vms/` and `/vms` are the same resource; HEAD is GET without the body.
"""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_VERSION: Final = "/v1"


class OnePath:
    """Strips the version prefix and one trailing slash, and answers HEAD from GET."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            scope["path"] = canonical_path(scope["path"])
            if scope["method"] == "HEAD":
                # The server must go on to see HEAD, or it would wait for the body.
                await self._app({**scope, "method": "GET"}, receive, _without_body(send))
                return
        await self._app(scope, receive, send)


def canonical_path(path: str) -> str:
    """Return the spelling under which routes are registered."""
    if path == _VERSION:
        return "/"
    if path.startswith("/v1/"):
        path = path[len(_VERSION) :]
    if path.endswith("/") and not path.endswith("//") and path != "/":
        return path[:-1]
    return path


def _without_body(send: Send) -> Send:
    async def headers_only(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return headers_only
