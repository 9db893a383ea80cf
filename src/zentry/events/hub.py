"""One reader of the log for all streams of a process.

A thousand streams are one query a batch: the hub follows the log while anybody listens and hands
each event to those who want it. What a stream has missed before it came, it reads itself, page by
page, until it has reached the hub; from there on it misses nothing, since it joins without an
await in between.

A stream that does not keep up is ended. Its client goes on from the last position that it has seen.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

import msgspec
import structlog
from prometheus_client import Counter, Gauge

from zentry.events.errors import PositionUnknown, TooManyStreams
from zentry.events.reading import LogReader
from zentry.events.types import Bounds, LoggedEvent, Wanted
from zentry.platform.db import Database
from zentry.platform.settings import EventSettings
from zentry.platform.signals import EVENTS_LOGGED, Signals

_log = structlog.get_logger(__name__)
_BATCH: Final = 500
_RETRY_SECONDS: Final = 1.0
_OPEN: Final = Gauge("zentry_event_streams", "Streams of events that are open in this process.")
_ENDED: Final = Counter("zentry_event_streams_ended_total", "Streams that the server has ended, by reason.", ["reason"])
_SENT: Final = Counter("zentry_event_stream_events_total", "Events handed to streams.")
_RIGHTS: Final = ("account.", "project.")
"""Kinds of events after which somebody may have lost the right to listen."""
_encode: Final = msgspec.json.Encoder().encode


def frame(event: LoggedEvent) -> bytes:
    """Return an event as a stream carries it."""
    return b"id: %d\ndata: %b\n\n" % (event.position, _encode(event))


class Stream:
    """What waits for one client."""

    def __init__(self, wanted: Wanted, *, most: int, signals: Signals) -> None:
        self.wanted = wanted
        self.position = 0
        """Up to here the client has been sent everything that it wants."""
        self.is_suspect = False
        """Something happened to the account: whoever listens must be asked again who he is."""
        self.reason: str | None = None
        self.ended = asyncio.Event()
        self._most = most
        self._signals = signals
        self._waiting: deque[bytes] = deque()
        self._reached = 0
        self._has_news = asyncio.Event()

    def put(self, position: int, piece: bytes | None) -> None:
        """Add an event, or move on past one that is not wanted."""
        self._reached = position
        if piece is None:
            return
        if len(self._waiting) >= self._most:
            self.end("slow")
            return
        self._waiting.append(piece)
        self._has_news.set()

    def suspect(self) -> None:
        """Have the client's right to listen looked at soon."""
        self.is_suspect = True
        self._has_news.set()

    def end(self, reason: str) -> None:
        """Send nothing more."""
        if self.reason is None:
            self.reason = reason
            _ENDED.labels(reason).inc()
        self._waiting.clear()
        self.ended.set()

    async def take(self, seconds: float) -> bytes:
        """Return what has come, or nothing when nothing comes in time."""
        if not self._has_news.is_set():
            with contextlib.suppress(TimeoutError):
                async with self._signals.timeout(seconds):
                    await self._has_news.wait()
        self._has_news.clear()
        pieces = list(self._waiting)
        self._waiting.clear()
        self.position = max(self.position, self._reached)
        _SENT.inc(len(pieces))
        return b"".join(pieces)


class EventHub:
    """Follows the log for the streams of this process."""

    def __init__(self, *, database: Database, settings: EventSettings, signals: Signals) -> None:
        self._database = database
        self._settings = settings
        self._signals = signals
        self._position = 0
        self._all: dict[Stream, None] = {}
        self._open: defaultdict[UUID, int] = defaultdict(int)
        self._streams: dict[UUID | None, dict[Stream, None]] = {}
        self._following: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._replays = asyncio.Semaphore(settings.replays)

    @contextlib.contextmanager
    def admit(self, wanted: Wanted) -> Iterator[Stream]:
        """Count a stream of an account while it lasts, or raise `TooManyStreams`."""
        user_id = wanted.user_id
        if self._open[user_id] >= self._settings.streams_per_account or self.count >= self._settings.streams:
            raise TooManyStreams(self._settings.streams_per_account)
        self._open[user_id] += 1
        _OPEN.inc()
        stream = Stream(wanted, most=self._settings.stream_backlog, signals=self._signals)
        self._all[stream] = None
        try:
            yield stream
        finally:
            self._leave(stream)

    @property
    def count(self) -> int:
        """How many streams are open."""
        return len(self._all)

    async def start(self, stream: Stream, after: int | None) -> Bounds:
        """Say where a stream begins: behind a position, or now; return what there is of the log."""
        async with self._database.read() as tx:
            bounds = await LogReader(tx).get_bounds()
        if after is not None and after > bounds.newest:
            raise PositionUnknown(after)
        stream.position = bounds.newest if after is None else max(after, bounds.kept_from - 1)
        async with self._starting:
            if self._following is None or self._following.done():
                self._position = bounds.newest
                self._following = asyncio.create_task(self._follow(), name="events.hub")
        return bounds

    async def catch_up(self, stream: Stream) -> bytes | None:
        """Return the next page of what a stream has missed; None once it has joined those that miss nothing."""
        reached = self._position
        if stream.position >= reached:
            # No await between the look and this: nothing can come in between.
            self._streams.setdefault(stream.wanted.scope, {})[stream] = None
            return None
        async with self._replays, self._database.read() as tx:
            page = await LogReader(tx).list_after(stream.wanted, stream.position, up_to=reached, most=_BATCH)
        stream.position = page[-1].position if len(page) == _BATCH else reached
        return b"".join(frame(event) for event in page)

    async def close(self) -> None:
        """End every stream."""
        for stream in list(self._all):
            stream.end("shutdown")
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    def _leave(self, stream: Stream) -> None:
        del self._all[stream]
        user_id = stream.wanted.user_id
        self._open[user_id] -= 1
        if not self._open[user_id]:
            del self._open[user_id]
        _OPEN.dec()
        scope = stream.wanted.scope
        listening = self._streams.get(scope, {})
        listening.pop(stream, None)
        if not listening:
            self._streams.pop(scope, None)

    async def _follow(self) -> None:
        """Read the log as it grows, while anybody listens."""
        with self._signals.listen(EVENTS_LOGGED) as logged:
            while self._open:
                try:
                    async with self._database.read() as tx:
                        news = await LogReader(tx).list_all_after(self._position, most=_BATCH)
                except Exception:  # noqa: BLE001 - a process edge: the next look is the retry
                    _log.exception("hub.read_failed")
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                self._hand_out(news)
                if len(news) < _BATCH:
                    await logged.wait(self._settings.poll_seconds)

    def _hand_out(self, news: Sequence[LoggedEvent]) -> None:
        for event in news:
            # The position moves with the event, in one go with those who hear of it.
            self._position = event.position
            scopes = {event.user_id, event.project_id}
            streams = [stream for scope in scopes if scope in self._streams for stream in self._streams[scope]]
            piece = frame(event) if streams else b""
            for stream in streams:
                if event.kind.startswith(_RIGHTS):
                    stream.suspect()
                if stream.position < event.position:
                    stream.put(event.position, piece if stream.wanted.has(event) else None)
