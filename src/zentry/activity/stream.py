"""A stream of events as server-sent events over one long answer.

It holds no connection to the database, is never compressed, and ends when its client is too slow,
may no longer listen, or has listened for long enough: the client goes on with `Last-Event-ID`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from zentry.events.hub import EventHub, Stream
from zentry.events.types import Bounds, Wanted
from zentry.platform.settings import EventSettings
from zentry.platform.tasks import first_of

MEDIA_TYPE: Final = "text/event-stream"
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),  # nginx would keep events until it has a few kilobytes.
)
_RETRY_MILLISECONDS: Final = 1000
_LAST_WORD_SECONDS: Final = 1.0
_CACHE_MARGIN_SECONDS: Final = 0.2

MayListen = Callable[[], Awaitable[bool]]


class EventStream(Response):
    """One client's stream."""

    media_type = MEDIA_TYPE

    def __init__(
        self,
        hub: EventHub,
        wanted: Wanted,
        *,
        after: int | None,
        may_listen: MayListen,
        settings: EventSettings,
        trust_seconds: float,
    ) -> None:
        """Prepare it; `trust_seconds` is for how long a lost right may go unnoticed when it is looked at."""
        self.background = None
        self.status_code = 200
        self._hub = hub
        self._wanted = wanted
        self._after = after
        self._may_listen = may_listen
        self._settings = settings
        self._trust_seconds = trust_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until one of the two has had enough."""
        del scope
        with self._hub.admit(self._wanted) as stream:
            bounds = await self._hub.start(stream, self._after)
            await send({"type": "http.response.start", "status": self.status_code, "headers": _HEADERS})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.stream_seconds):
                    await first_of(self._send_all(stream, bounds, send), _gone(receive), stream.ended.wait())
            # A client that takes nothing gets no last word either.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORD_SECONDS):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_all(self, stream: Stream, bounds: Bounds, send: Send) -> None:
        await _send(send, self._greeting(stream, bounds))
        while (page := await self._hub.catch_up(stream)) is not None:
            if page:
                await _send(send, page)
        loop, own = asyncio.get_running_loop(), self._settings
        due = loop.time() + own.heartbeat_seconds
        while True:
            news = await stream.take(max(0.0, due - loop.time()))
            if news:
                await _send(send, news)
            if stream.is_suspect:
                # Who asks is remembered for a moment: to ask before it is over would get the old answer.
                stream.is_suspect = False
                due = min(due, loop.time() + self._trust_seconds + _CACHE_MARGIN_SECONDS)
            if loop.time() >= due:
                if not await self._may_listen():
                    stream.end("revoked")
                    return
                # An id without an event: the client resumes here, however long nothing of its kind has happened.
                await _send(send, b"id: %d\n\n" % stream.position)
                due = loop.time() + own.heartbeat_seconds

    def _greeting(self, stream: Stream, bounds: Bounds) -> bytes:
        """Return what opens the stream, and says so when some of what was missed is no longer kept."""
        greeting = b"retry: %d\nid: %d\n\n" % (_RETRY_MILLISECONDS, stream.position)
        if self._after and self._after < bounds.kept_from - 1:
            greeting += b'event: gap\ndata: {"kept_from":%d}\n\n' % bounds.kept_from
        return greeting


async def _send(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _gone(receive: Receive) -> None:
    """Wait until the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
