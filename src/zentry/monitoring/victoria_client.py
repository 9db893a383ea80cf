"""Asks a VictoriaMetrics server, over connections that stay open.

The answer to one chart comes in some twenty pieces, and a client for everybody's needs takes longer to put them
together than the server to make them. Here they go through the parser that the platform's own server stands on
into one list. Whatever is asked may be asked twice: reads, and samples of which a second one counts for nothing.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from typing import Final, cast
from urllib.parse import unquote, urlsplit

import httptools

from zentry.monitoring.errors import MetricsUnavailable

_TIMEOUT_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 3.0
_CONNECTIONS: Final = 32
_MOST_ANSWER_BYTES: Final = 128 * 1024 * 1024
"""A hundred machines, seven metrics and a thousand steps are some fifty MiB."""
_PORTS: Final = {"http": 80, "https": 443}
_FIRST_FAILURE: Final = 300
FORM: Final = "application/x-www-form-urlencoded"


class VictoriaClient:
    """Sends requests to one server; a bounded number at once, the others wait."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._scheme, self._host = parts.scheme, parts.hostname
        self._port = parts.port or _PORTS.get(parts.scheme, 0)
        self._prefix = parts.path.rstrip("/")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._headers = f"Host: {parts.netloc.rpartition('@')[2]}\r\n"
        if parts.username:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers += f"Authorization: Basic {base64.b64encode(user.encode()).decode()}\r\n"
        self._room = asyncio.Semaphore(_CONNECTIONS)
        self._idle: list[_Connection] = []

    async def ask(self, method: str, path: str, body: bytes = b"", *, kind: str = "text/plain") -> bytes:
        """Return the body of the answer, or raise `MetricsUnavailable`."""
        head = f"{method} {self._prefix}{path} HTTP/1.1\r\n{self._headers}"
        if body:
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS), self._room:
                status, answer = await self._send(f"{head}\r\n".encode() + body)
        except OSError as error:  # Of which a timeout is one.
            raise MetricsUnavailable from error
        if status >= _FIRST_FAILURE:
            raise MetricsUnavailable from OSError(f"{method} {path} was answered with {status}")
        return answer

    async def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    async def _send(self, request: bytes) -> tuple[int, bytes]:
        while self._idle:
            try:
                return await self._send_on(self._idle.pop(), request)
            except ConnectionResetError:
                continue  # The server has closed it meanwhile, as it does with what is idle for long.
        return await self._send_on(await self._connect(), request)

    async def _send_on(self, connection: _Connection, request: bytes) -> tuple[int, bytes]:
        try:
            answer = await connection.send(request)
        except BaseException:  # Also one who no longer waits: what still comes would be the answer to the next.
            connection.close()
            raise
        if connection.stays_open:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    async def _connect(self) -> _Connection:
        if self._scheme not in _PORTS or self._host is None:
            raise OSError("the URL of the server begins with neither http:// nor https://")
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, connection = await asyncio.get_running_loop().create_connection(
                _Connection, self._host, self._port, ssl=self._tls
            )
        return connection


class _Connection(asyncio.Protocol):
    """One connection: one request at a time, and its answer."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self.stays_open = True

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Return status and body of the answer, or raise `ConnectionError`."""
        if not self.stays_open:
            raise ConnectionResetError("the server has closed the connection")
        self._pieces, self._size = [], 0
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close it at once."""
        self.stays_open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionAbortedError(f"the answer is no HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionResetError(f"the server has closed the connection: {exc}"))

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the answer; the parser calls this."""
        self._pieces.append(body)
        self._size += len(body)
        if self._size > _MOST_ANSWER_BYTES:
            self._fail(ConnectionAbortedError("the answer is too long"))

    def on_message_complete(self) -> None:
        """Hand the answer over; the parser calls this."""
        self.stays_open = self.stays_open and self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), b"".join(self._pieces)))

    def _fail(self, error: ConnectionError) -> None:
        self.stays_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self._transport.abort()
