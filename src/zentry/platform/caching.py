"""Answers that everyone shares: a strong ETag, a time to live, and 304 for who has it already."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response


def cached_json(request: Request, body: bytes, *, max_age_seconds: int) -> Response:
    """Return a JSON answer that caches may keep and revalidate, or 304 when the caller's copy is this one."""
    etag = _etag(body)
    headers = {"ETag": etag, "Cache-Control": f"public, max-age={max_age_seconds}"}
    if is_fresh(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def is_fresh(request: Request, etag: str) -> bool:
    """Say whether the caller has the version of this ETag already."""
    return _names(request.headers.get("if-none-match"), etag)


@lru_cache(
    maxsize=32
)  # Shared answers are few and rarely change; hashing them per request would cost more than they do.
def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _names(if_none_match: str | None, etag: str) -> bool:
    """Compare weakly, as RFC 9110 demands of If-None-Match: a compressed copy carries `W/`."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in (one.strip().removeprefix("W/") for one in if_none_match.split(","))
