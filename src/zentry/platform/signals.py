"""Wake-up calls inside one process: hints that something happened, never the thing itself.

Whoever waits must look at the database when woken, and again after a timeout, since a signal
may be lost (another process, a crash between commit and signal). Signals only make it fast.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Final, Self

OPERATIONS_DUE: Final = "operations.due"
OPERATION_ENDED: Final = "operations.ended"


class Signals:
    """Topics that tasks wait on and others poke."""

    def __init__(self) -> None:
        self._waiters: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def poke(self, topic: str) -> None:
        """Wake everyone who waits on the topic."""
        for event in self._waiters.get(topic, ()):
            event.set()

    def listen(self, topic: str) -> Listening:
        """Start to listen; pokes from now on are remembered until `wait`."""
        event = asyncio.Event()
        self._waiters[topic].add(event)
        return Listening(self, topic, event)

    def forget(self, topic: str, event: asyncio.Event) -> None:
        """Stop waking a listener."""
        waiters = self._waiters.get(topic)
        if waiters is not None:
            waiters.discard(event)
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

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait for a poke; False when the time ran out first."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
