"""/docs, /redoc and /openapi.json, without a byte from another host.

The libraries lie in vendor/ (`zentry/_vendor` in the wheel), our own starters beside this file. Scripts come
from files alone; styles may be inline, because both libraries write style elements and attributes as they run.
"""

from __future__ import annotations

import asyncio
import html
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response

import zentry
from zentry.api.openapi import with_choices
from zentry.platform.caching import cached_json
from zentry.platform.errors import NotFound

_PAGES: Final = Path(__file__).parent / "pages"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_DOCUMENT_SECONDS: Final = 300
# The address holds the version, so what lies behind it never changes.
_ASSET_HEADERS: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
Choices = Callable[[], Awaitable[Mapping[str, Sequence[str]]]]
_MEDIA_TYPES: Final = {".js": "text/javascript", ".css": "text/css"}


def vendor_directory() -> Path:
    """Return where the vendored assets lie: in the wheel, else in the repository."""
    package = Path(zentry.__file__).parent
    installed = package / "_vendor"
    return installed if installed.is_dir() else package.parents[1] / "vendor"


def _assets() -> Mapping[str, Path]:
    vendor = vendor_directory()
    files = (
        vendor / "swagger-ui" / "swagger-ui-bundle.js",
        vendor / "swagger-ui" / "swagger-ui.css",
        vendor / "redoc" / "redoc.standalone.js",
        _PAGES / "swagger-ui.js",
        _PAGES / "redoc.js",
    )
    return {file.name: file for file in files}


async def no_choices() -> Mapping[str, Sequence[str]]:
    """Return an empty catalogue."""
    return {}


def add_documentation(app: FastAPI, choices: Choices) -> None:
    """Serve the OpenAPI document, with what the catalogue holds now, and the two pages that show it."""
    assets = _assets()
    rendered: dict[bytes, bytes] = {}

    async def openapi_json(request: Request) -> Response:
        chosen = await choices()
        key = msgspec.json.encode(chosen)
        if key not in rendered:
            rendered.clear()
            rendered[key] = msgspec.json.encode(with_choices(app.openapi(), chosen))
        return cached_json(request, rendered[key], max_age_seconds=_DOCUMENT_SECONDS)

    async def swagger_ui(request: Request) -> Response:
        return _page(request, app.title, styles=("swagger-ui.css",), scripts=("swagger-ui-bundle.js", "swagger-ui.js"))

    async def redoc(request: Request) -> Response:
        return _page(request, app.title, styles=(), scripts=("redoc.standalone.js", "redoc.js"))

    async def asset(request: Request) -> Response:
        file = assets.get(request.path_params["name"])
        if file is None:
            raise NotFound("Asset")
        content = await asyncio.to_thread(file.read_bytes)
        return Response(content, media_type=_MEDIA_TYPES[file.suffix], headers=_ASSET_HEADERS)

    app.router.add_route("/openapi.json", openapi_json, methods=["GET"], include_in_schema=False)
    app.router.add_route("/docs", swagger_ui, methods=["GET"], include_in_schema=False)
    app.router.add_route("/redoc", redoc, methods=["GET"], include_in_schema=False)
    app.router.add_route("/docs/assets/{name}", asset, methods=["GET"], include_in_schema=False)


def _page(request: Request, title: str, *, styles: tuple[str, ...], scripts: tuple[str, ...]) -> Response:
    root = html.escape(str(request.scope.get("root_path", "")).rstrip("/"), quote=True)

    def address(name: str) -> str:
        return f"{root}/docs/assets/{name}?v={zentry.__version__}"

    links = "".join(f'<link rel="stylesheet" href="{address(name)}">\n' for name in styles)
    loads = "".join(f'<script src="{address(name)}" defer></script>\n' for name in scripts)
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<link rel="icon" href="data:,">
{links}{loads}</head>
<body>
<div id="reference" data-document="{root}/openapi.json"></div>
<noscript>The documentation needs JavaScript; the document itself is at <a href="{root}/openapi.json">openapi.json</a>.
</noscript>
</body>
</html>
"""
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"})
