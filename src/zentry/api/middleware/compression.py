"""Compresses whole answers of text for who accepts it: zstd, else gzip.

Streams go out as they come. Answers that hold tokens are left alone, since the length of a compressed
secret beside text that an attacker chooses gives it away.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence
from typing import Final

import zstandard
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zentry.platform.codings import accepted_coding

_TYPES: Final = (b"application/json", b"application/problem+json", b"text/html", b"text/css", b"text/javascript")
_NO_BODY: Final = frozenset({204, 206, 304})
_GZIP_LEVEL: Final = 5
_ZSTD_LEVEL: Final = 3
_OFF_THE_LOOP_BYTES: Final = 131_072
_UNTOUCHED_PATHS: Final = "/auth/"

Headers = Sequence[tuple[bytes, bytes]]


class Compression:
    """Compresses answers of at least `from_bytes`."""

    def __init__(self, app: ASGIApp, *, from_bytes: int) -> None:
        self._app = app
        self._from_bytes = from_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"].startswith(_UNTOUCHED_PATHS):
            await self._app(scope, receive, send)
            return
        coding = next((accepted_coding(value) for name, value in scope["headers"] if name == b"accept-encoding"), None)
        start: Message | None = None

        async def compress(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message  # Held back until the first piece shows whether it is the whole.
                return
            if start is not None:
                first, start = start, None
                body = message.get("body", b"")
                if not message.get("more_body") and len(body) >= self._from_bytes and _may_be_coded(first):
                    first["headers"] = [*first.get("headers", ()), (b"vary", b"Accept-Encoding")]
                    if coding is not None:
                        message = {**message, "body": await _encode(body, coding)}
                        first["headers"] = _coded(first["headers"], coding, len(message["body"]))
                await send(first)
            await send(message)

        await self._app(scope, receive, compress)


def _may_be_coded(start: Message) -> bool:
    if start["status"] in _NO_BODY:
        return False
    fits = False
    for name, value in start.get("headers", ()):
        if name == b"content-type":
            fits = value.startswith(_TYPES)
        elif name == b"content-encoding" or (name == b"cache-control" and b"no-transform" in value):
            return False
    return fits


async def _encode(body: bytes, coding: str) -> bytes:
    if len(body) >= _OFF_THE_LOOP_BYTES:
        return await asyncio.to_thread(_encode_now, body, coding)
    return _encode_now(body, coding)


def _encode_now(body: bytes, coding: str) -> bytes:
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body)
    return gzip.compress(body, compresslevel=_GZIP_LEVEL, mtime=0)


def _coded(headers: Headers, coding: str, length: int) -> list[tuple[bytes, bytes]]:
    """Return the headers of the coded body: other bytes, so a strong ETag becomes a weak one."""
    coded = [(b"content-encoding", coding.encode()), (b"content-length", str(length).encode())]
    for name, value in headers:
        if name == b"etag" and not value.startswith(b"W/"):
            coded.append((name, b"W/" + value))
        elif name != b"content-length":
            coded.append((name, value))
    return coded
