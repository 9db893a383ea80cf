"""Routes of the console.

`/` is the API's own description. A browser that asks for it wants to see something, so it is led to the console: who
names `text/html` and prefers it to JSON. Everybody else gets the JSON, as ever.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from zentry.console.files import Asset, Files, press
from zentry.console.page import render_page
from zentry.platform.caching import is_fresh
from zentry.platform.codings import accepted_coding
from zentry.platform.errors import NotFound

_FOREVER: Final = "public, max-age=31536000, immutable"
_MAX_ACCEPT_LENGTH: Final = 1024
_MAX_ROOTS: Final = 8


class BrowserRoute(Route):
    """A route that only browsers see."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a request that wants a page more than JSON."""
        if scope["type"] == "http" and wants_page(scope):
            return super().matches(scope)
        return Match.NONE, {}


def wants_page(scope: Scope) -> bool:
    """Say whether a request names `text/html` and prefers it to JSON."""
    accept = ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"accept")
    if len(accept) > _MAX_ACCEPT_LENGTH:
        return False
    qualities = dict(map(_quality, accept.lower().split(",")))
    page = qualities.get("text/html", 0.0)
    return page > 0 and page >= qualities.get("application/json", 0.0)


def _quality(part: str) -> tuple[str, float]:
    kind, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return kind, float(parameter[2:])
            except ValueError:
                return kind, 0.0
    return kind, 1.0


def web_console_router(vendor: Path) -> APIRouter:
    """Return the routes of the page, its files, and the way to it from `/`."""
    files = Files(vendor)
    pages: dict[str, tuple[Asset, str, str]] = {}

    async def lead(request: Request) -> Response:
        return RedirectResponse(f"{_root(request)}/console", status_code=303, headers={"Vary": "Accept"})

    async def page(request: Request) -> Response:
        root = _root(request)
        if root not in pages:
            if len(pages) >= _MAX_ROOTS:
                pages.clear()
            content, policy = render_page(assets=f"{root}/console/assets/{files.version}", root=root)
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            pages[root] = (press(content, "text/html; charset=utf-8"), policy, etag)
        pressed, policy, etag = pages[root]
        headers = {"ETag": etag, "Cache-Control": "no-cache", "Content-Security-Policy": policy}
        return _answer(request, pressed, headers)

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if request.path_params["version"] != files.version or not files.has(name):
            raise NotFound("Asset")
        pressed = await asyncio.to_thread(files.get, name)
        return _answer(request, pressed, {"ETag": f'"{files.version}"', "Cache-Control": _FOREVER})

    router = APIRouter()
    router.routes.append(BrowserRoute("/", lead, methods=["GET"], include_in_schema=False))
    router.add_route("/console/assets/{version}/{name:path}", asset, methods=["GET"], include_in_schema=False)
    router.add_route("/console", page, methods=["GET"], include_in_schema=False)
    router.add_route("/console/{screen:path}", page, methods=["GET"], include_in_schema=False)
    return router


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


def _answer(request: Request, asset: Asset, headers: dict[str, str]) -> Response:
    """Answer in the best coding that the request accepts, or 304 to who has it."""
    headers = {**headers, "Vary": "Accept-Encoding"}
    if is_fresh(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    coding = accepted_coding(request.headers.get("accept-encoding", "").encode("latin-1"))
    if coding is not None:
        headers["Content-Encoding"] = coding
    return Response(asset.coded(coding), media_type=asset.media_type, headers=headers)
