"""The HTTP server: a socket of our own, uvicorn on it, and the API's envelope for what is no HTTP."""

from __future__ import annotations

import errno
import math
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import ClassVar, Final

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from zentry.api.errors import PATH, REQUEST_ID, Problems
from zentry.platform.clock import Clock
from zentry.platform.errors import InvalidInput, ZentryError
from zentry.platform.settings import ServerSettings
from zentry.platform.starting import CannotStart

MAX_HEAD_BYTES: Final = 65_536
_BACKLOG: Final = 2048
_LINGER_SECONDS: Final = 1.0
_LINGER_BYTES: Final = 1_048_576
_IN_USE: Final = frozenset({errno.EADDRINUSE})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM})


class CannotListen(CannotStart):
    """The address cannot be had."""


class MalformedRequest(InvalidInput):
    """What came is not HTTP."""


class RequestHeadTooLarge(ZentryError):
    """The request's target and headers are larger than the server accepts."""

    status, code, title = 431, "REQUEST_HEADERS_TOO_LARGE", "Request headers too large"


def bind(settings: ServerSettings) -> socket.socket:
    """Take the address, or raise `CannotListen` in words; port 0 takes a free port."""
    host, port = settings.host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as error:  # A host's name can be no name at all.
        raise CannotListen(_why_not(host, port, error)) from error


def url_of(listening: socket.socket) -> str:
    """Return the URL under which this machine reaches the socket."""
    host, port = listening.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - a comparison; nothing is bound here
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """Uvicorn without its signal handlers: the command has its own, which also stop the workers."""

    def __init__(
        self, app: ASGIApp, *, settings: ServerSettings, clock: Clock, on_started: Callable[[], None] | None = None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_connection_class(Problems(clock)),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=True,
                timeout_graceful_shutdown=math.ceil(settings.shutdown_seconds),
            )
        )
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and say so."""
        await super().startup(sockets)
        if self._on_started is not None:
            self._on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


class _Connection(HttpToolsProtocol):
    """Bounds the head of a request, and answers what it cannot parse in the one envelope."""

    problems: ClassVar[Problems]
    _head_bytes = 0
    _is_in_head = False
    _discarded_bytes = 0
    _is_refused = False

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._discarded_bytes += len(data)
            if self._discarded_bytes > _LINGER_BYTES:
                self.transport.close()
            return
        super().data_received(data)
        if self._is_in_head and not self._is_refused:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_too_large())

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        self._is_in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._head_bytes = size
            raise _too_large()
        self._is_in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        del msg
        too_large = self._head_bytes > MAX_HEAD_BYTES
        self._refuse(_too_large() if too_large else MalformedRequest("The request is not well-formed HTTP."))

    def _refuse(self, error: ZentryError) -> None:
        request_id = secrets.token_hex(10)
        scope: Scope = {"type": "http", "path": "", PATH: "", REQUEST_ID: request_id}
        answer = self.problems.response(error, scope)
        head = [f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}".encode()]
        own = [(b"x-request-id", request_id.encode()), (b"connection", b"close")]
        head += [
            name + b": " + value for name, value in [*self.server_state.default_headers, *answer.raw_headers, *own]
        ]
        self.transport.write(b"\r\n".join([*head, b"", bytes(answer.body)]))
        # Closing at once, with input unread, would reset the connection before the answer is seen.
        self._is_refused = True
        self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)


def _connection_class(problems: Problems) -> type[HttpToolsProtocol]:
    """Return the class for uvicorn, which makes its objects itself."""

    class Connection(_Connection):
        pass

    Connection.problems = problems
    return Connection


def _too_large() -> RequestHeadTooLarge:
    return RequestHeadTooLarge(f"The request's target and headers may have {MAX_HEAD_BYTES} bytes in all.")


def _why_not(host: str, port: int, error: OSError | UnicodeError) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number in _IN_USE:
        return (
            f"Port {port} on {host} is in use by another program. Choose another with --port or "
            "ZENTRY_SERVER__PORT; 0 takes a free one."
        )
    if number in _FORBIDDEN:
        return (
            f"Port {port} may not be used by this account. Choose one from 1024 up with --port or ZENTRY_SERVER__PORT."
        )
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"The address {host}:{port} cannot be listened on: {reason}. Correct --host or ZENTRY_SERVER__HOST."
