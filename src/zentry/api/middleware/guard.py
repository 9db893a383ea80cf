"""Refuses hostile and malformed requests before anything parses them.

The API takes JSON and nothing else, so a body is read whole here, under limits of size, time and shape,
and handed on in one piece. The limits bound what one request and all requests together can cost.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zentry.api.errors import PayloadTooLarge, RequestTimeout, UnsupportedMediaType
from zentry.platform.errors import InvalidInput, Unavailable
from zentry.platform.settings import ServerSettings

_WRITES: Final = frozenset({"POST", "PUT", "PATCH"})
_CLOSE: Final = {"Connection": "close"}  # The rest of the body is not read, so the connection cannot be used again.
# Beyond its first part a body needs room in a budget that all requests share. Small bodies need none, so that
# who fills the budget slowly does not shut the others out.
_FREE_BYTES: Final = 65_536
_BUDGET_BODIES: Final = 32
# No body of the API comes near; schema errors are collected per member, so their number must be bounded.
_MAX_MEMBERS: Final = 5_000
# The closing quote is optional: a search that could fail here would start again at every quote.
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_ESCAPED_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class RequestGuard:
    """Lets through requests that are well formed and within the limits."""

    def __init__(self, app: ASGIApp, *, settings: ServerSettings) -> None:
        self._app = app
        self._max_bytes = settings.max_body_bytes
        self._max_depth = settings.max_json_depth
        self._max_parameters = settings.max_query_parameters
        self._timeout_seconds = settings.body_timeout_seconds
        self._budget_bytes = _BUDGET_BODIES * settings.max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._check_target(scope)
        announced = self._check_headers(scope)
        if announced == 0:
            await self._app(scope, receive, send)
            return
        body = _Body()
        try:
            content = await self._read(body, receive)
            if scope["method"] in _WRITES and content:
                check_json(content, max_depth=self._max_depth)
            await self._app(scope, _replay(content, receive), send)
        finally:
            self._budget_bytes += body.borrowed

    def _check_target(self, scope: Scope) -> None:
        """Refuse paths and queries that are no text, or that no route could want."""
        raw_path: bytes = scope.get("raw_path") or b""
        if "\0" in scope["path"] or (b"%" in raw_path and not _is_text(unquote_to_bytes(raw_path))):
            raise InvalidInput("The path is not valid UTF-8 text.")
        query: bytes = scope["query_string"]
        if not query:
            return
        if query.count(b"&") >= self._max_parameters:
            raise InvalidInput(f"There are more than {self._max_parameters} query parameters.")
        if not _is_text(unquote_to_bytes(query)):
            raise InvalidInput("The query is not valid UTF-8 text.")

    def _check_headers(self, scope: Scope) -> int | None:
        """Return how many bytes of body are announced, None for an unknown number."""
        length = content_type = None
        chunked = False
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = _length(value, length)
            elif name == b"transfer-encoding":
                chunked = True
            elif name == b"content-type":
                content_type = value
            elif name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
                raise UnsupportedMediaType("Send the body without a Content-Encoding.", headers=_CLOSE)
        if chunked and length is not None:
            raise InvalidInput.at("Content-Length", "Send Content-Length or Transfer-Encoding, not both.")
        if not chunked and not length:
            return 0
        if scope["method"] in _WRITES and not _is_json(content_type):
            raise UnsupportedMediaType("Send the body as application/json.", headers=_CLOSE)
        if length is not None and length > self._max_bytes:
            raise self._too_large()
        return length

    async def _read(self, body: _Body, receive: Receive) -> bytes:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    self._take(body, message.get("body", b""))
                    if not message.get("more_body"):
                        return b"".join(body.pieces)
        except TimeoutError as error:
            text = f"The body did not arrive within {self._timeout_seconds:g} seconds."
            raise RequestTimeout(text, headers=_CLOSE) from error

    def _take(self, body: _Body, piece: bytes) -> None:
        body.size += len(piece)
        if body.size > self._max_bytes:
            raise self._too_large()
        wanted = max(0, body.size - _FREE_BYTES) - body.borrowed
        if wanted > self._budget_bytes:
            raise Unavailable("Too many large bodies are on their way; try again.")
        self._budget_bytes -= wanted
        body.borrowed += wanted
        body.pieces.append(piece)

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"The body is larger than {self._max_bytes} bytes.", headers=_CLOSE, max_bytes=self._max_bytes
        )


@dataclass(slots=True)
class _Body:
    """A body that is arriving."""

    pieces: list[bytes] = field(default_factory=list)
    size: int = 0
    borrowed: int = 0


def check_json(body: bytes, *, max_depth: int) -> None:
    """Refuse what a JSON parser or a database would choke on; whether it is JSON at all, the parser says."""
    if not _is_text(body):
        raise InvalidInput("The body is not valid UTF-8 text.")
    if body.count(b"[") + body.count(b"{") > max_depth or body.count(b",") >= _MAX_MEMBERS:
        _check_shape(_STRINGS.sub(b"", body), max_depth)
    if b"\\u" in body and not _escapes_are_text(body):
        raise InvalidInput("The body holds characters that are no text: NUL or half of a surrogate pair.")
    _check_members(body)


def _check_shape(structure: bytes, max_depth: int) -> None:
    if structure.count(b",") >= _MAX_MEMBERS:
        raise InvalidInput(f"The body has more than {_MAX_MEMBERS} members.")
    brackets = structure.translate(_ONE_KIND, delete=_NOT_BRACKETS)
    # Each round removes the innermost level, at the speed of memory.
    for _ in range(max_depth):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise InvalidInput(f"The body is nested deeper than {max_depth} levels, or its brackets do not match.")


def _check_members(body: bytes) -> None:
    """Refuse an object that names a member twice: parsers differ in which of the two they take."""
    try:
        json.loads(body, object_pairs_hook=_unique)
    except ValueError:
        return  # Not JSON, or a number too long: the parser proper tells it better.


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidInput("The body names a member twice.")
    return members


def _escapes_are_text(body: bytes) -> bool:
    if _ESCAPED_NUL.search(body):
        return False
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    except ValueError:
        return True  # Not JSON, or a number too long: the parser proper tells it better.
    return True


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in raw


def _is_json(content_type: bytes | None) -> bool:
    if content_type is None:
        return False
    kind = content_type.partition(b";")[0].strip().lower()
    return kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))


def _length(value: bytes, earlier: int | None) -> int:
    if not value.isdigit() or len(value) > len("1000000000000000000") or earlier not in {None, int(value)}:
        raise InvalidInput.at("Content-Length", "This is not one length.")
    return int(value)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives the body once and then whatever comes, such as a disconnect."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
