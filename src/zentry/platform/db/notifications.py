"""Carries wake-up calls between the processes of one PostgreSQL: LISTEN and NOTIFY.

One connection of its own per process, straight to the server: a pooler in transaction mode would
lose what it listens to. Topics are sent after the commit that they tell of, never inside it, since
a NOTIFY makes the commits of a server queue up behind one lock. What is poked while a message is
under way goes out together in the next, so that a thousand commits a second are a few messages.

A lost message costs time and nothing else: whoever waits looks again by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

import structlog
from prometheus_client import Counter, Gauge

from zentry.platform.db.database import Database
from zentry.platform.signals import Signals
from zentry.platform.tasks import first_of

_log = structlog.get_logger(__name__)

CHANNEL: Final = "zentry"
_SEPARATOR: Final = "\n"
_MAX_PAYLOAD_BYTES: Final = 7900
"""PostgreSQL takes payloads of less than 8000 bytes."""
_MAX_WAITING: Final = 10_000
_PING_SECONDS: Final = 15.0
_FIRST_BACKOFF_SECONDS: Final = 0.1
_MAX_BACKOFF_SECONDS: Final = 10.0

SENT: Final = Counter("zentry_notifications_sent_total", "Messages with wake-up calls for other processes.")
RECEIVED: Final = Counter("zentry_notifications_received_total", "Messages with wake-up calls of other processes.")
CONNECTED: Final = Gauge("zentry_notifications_connected", "Whether wake-up calls of other processes arrive here.")


class Notifications:
    """Sends this process's pokes to the others, and pokes here what they send."""

    def __init__(self, database: Database, signals: Signals, *, url: str = "") -> None:
        assert database.dialect == "postgresql", "SQLite is one process: its signals are all there are"
        self._arguments = database.connection_arguments(url)
        self._signals = signals
        self._signals.complete = False
        self._waiting: dict[str, None] = {}
        self._has_waiting = asyncio.Event()

    def send(self, topics: Iterable[str]) -> None:
        """Send topics to the other processes soon; nothing here waits for it."""
        if not self._signals.complete:
            return  # Without a connection the others find out by looking.
        for topic in topics:
            if len(self._waiting) < _MAX_WAITING:
                self._waiting[topic] = None
        self._has_waiting.set()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            try:
                await self._serve()
            except Exception as error:  # noqa: BLE001 - a process edge: the next round is the retry
                _log.warning("notifications.failed", error=f"{type(error).__name__}: {error}")
            finally:
                if self._signals.complete:
                    backoff = _FIRST_BACKOFF_SECONDS
                self._signals.complete = False
                CONNECTED.set(0)
            # Real time, whatever clock the platform runs on: it is a real server that we wait for.
            await asyncio.sleep(backoff)
            backoff = min(_MAX_BACKOFF_SECONDS, backoff * 2)

    async def _serve(self) -> None:
        """Listen and send until the connection breaks."""
        import asyncpg  # noqa: PLC0415 - only processes on PostgreSQL pay for it

        connection = await asyncpg.connect(**self._arguments)
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, partial(self._receive, connection.get_server_pid()))
            self._waiting.clear()
            self._signals.complete = True
            CONNECTED.set(1)
            _log.info("notifications.connected")
            self._signals.poke_all()  # Whatever happened while nobody listened.
            await first_of(lost.wait(), self._send_all(connection))
            _log.warning("notifications.lost")
        finally:
            connection.terminate()

    async def _send_all(self, connection: Any) -> None:
        while True:
            try:
                async with asyncio.timeout(_PING_SECONDS):
                    await self._has_waiting.wait()
            except TimeoutError:
                # A connection that a firewall has dropped is silent; only asking it shows that.
                await connection.execute("SELECT 1", timeout=_PING_SECONDS)
                continue
            self._has_waiting.clear()
            topics, self._waiting = self._waiting, {}
            for payload in _payloads(topics):
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, payload, timeout=_PING_SECONDS)
                SENT.inc()

    def _receive(self, own_pid: int, _connection: object, pid: int, _channel: str, payload: object) -> None:
        # The connection cannot be asked who it is: it may have ended before its last message is handed on.
        if pid == own_pid:
            return  # Our own: poked here already.
        RECEIVED.inc()
        for topic in str(payload).split(_SEPARATOR):
            self._signals.poke(topic)


def _payloads(topics: Iterable[str]) -> Iterator[str]:
    """Join topics to messages as large as the server takes."""
    batch: list[str] = []
    size = 0
    for topic in topics:
        length = len(topic.encode()) + len(_SEPARATOR)
        if batch and size + length > _MAX_PAYLOAD_BYTES:
            yield _SEPARATOR.join(batch)
            batch, size = [], 0
        batch.append(topic)
        size += length
    if batch:
        yield _SEPARATOR.join(batch)
