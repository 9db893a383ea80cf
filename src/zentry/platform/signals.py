"""Wake-up calls: hints that something happened, never the thing itself.

Whoever waits must look at the database when woken, and again after a timeout, since a signal
may be lost (a crash between commit and signal, a broken connection between processes). Signals
only make it fast. Between processes a carrier takes them along, see `platform/db/notifications.py`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, Self

ACCESS_CHANGED: Final = "accounts.access_changed"
OPERATIONS_DUE: Final = "operations.due"
OPERATION_ENDED: Final = "operations.ended"
CREDIT_ADDED: Final = "billing.credit_added"
MAIL_DUE: Final = "mail.due"
EVENTS_RECORDED: Final = "events.recorded"
EVENTS_LOGGED: Final = "events.logged"
WEBHOOKS_DUE: Final = "webhooks.due"


class Signals:
    """Topics that tasks wait on and others poke."""

    def __init__(self, timeout: Callable[[float], asyncio.Timeout] = asyncio.timeout) -> None:
        self.timeout = timeout
        # Dictionaries for their order: who listened first is woken first, which a simulation repeats.
        self._waiters: defaultdict[str, dict[asyncio.Event, None]] = defaultdict(dict)
        self.carrier: Callable[[Sequence[str]], None] | None = None
        """Takes what is announced here to the other processes, if there are any."""
        self.complete = True
        """Whether what other processes announce arrives here; else a waiter must look more often."""

    def announce(self, topics: Sequence[str]) -> None:
        """Wake everyone who waits on one of the topics, in the other processes too."""
        for topic in topics:
            self.poke(topic)
        if topics and self.carrier is not None:
            self.carrier(topics)

    def poke_all(self) -> None:
        """Wake everyone here, whatever they wait for."""
        for topic in list(self._waiters):
            self.poke(topic)

    def poke(self, topic: str) -> None:
        """Wake everyone in this process who waits on the topic."""
        for event in self._waiters.get(topic, ()):
            event.set()

    def listen(self, topic: str) -> Listening:
        """Start to listen; pokes from now on are remembered until `wait`."""
        event = asyncio.Event()
        self._waiters[topic][event] = None
        return Listening(self, topic, event)

    def forget(self, topic: str, event: asyncio.Event) -> None:
        """Stop waking a listener."""
        waiters = self._waiters.get(topic)
        if waiters is not None:
            waiters.pop(event, None)
            if not waiters:
                del self._waiters[topic]


class Listening:
    """One listener on one topic; use it as a context manager."""

    def __init__(self, signals: Signals, topic: str, event: asyncio.Event) -> None:
        self._signals = signals
        self._topic = topic
        self._event = event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._signals.forget(self._topic, self._event)

    def take(self) -> bool:
        """Tell, without waiting, whether there was a poke since the last look."""
        was_poked = self._event.is_set()
        self._event.clear()
        return was_poked

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait for a poke; False when the time ran out first."""
        try:
            async with self._signals.timeout(timeout_seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
