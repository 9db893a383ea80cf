"""Time as a dependency: nothing else in the project asks the operating system what time it is."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits; real in production, virtual in tests and simulations.

    `follows_database` says whether the database's own clock should correct this one: true for
    real time, where hosts may disagree, false for virtual time, which is the only one there is.
    """

    follows_database: bool

    def now(self) -> datetime:
        """Return the present instant, aware and in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of this clock's time."""
        ...

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """Return a context that ends with `TimeoutError` after `seconds` of this clock's time."""
        ...


class SystemClock:
    """The machine's clock."""

    follows_database = True

    def now(self) -> datetime:
        """Return the present instant, aware and in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """Return a context that ends after `seconds`."""
        return asyncio.timeout(seconds)


class ScaledClock:
    """The machine's clock, running faster: for demonstrations in which an hour passes in a minute."""

    follows_database = False

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self._real_start = time.monotonic()
        self._start = datetime.now(UTC)

    def now(self) -> datetime:
        """Return the present instant."""
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return how many seconds have passed, on this clock."""
        return (time.monotonic() - self._real_start) * self.scale

    def catch_up(self, instant: datetime) -> None:
        """Jump forward to an instant, unless it has passed: data from an earlier run must not lie in the future."""
        self._start += max(timedelta(0), instant - self.now())

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of this clock."""
        await asyncio.sleep(seconds / self.scale)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """Return a context that ends after `seconds` of this clock."""
        return asyncio.timeout(seconds / self.scale)


class ManualClock:
    """A clock that stands still until it is told to move; for tests.

    `sleep` moves it, so code that waits makes virtual time pass instead of real time.
    """

    follows_database = False

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Return the instant at which the clock stands."""
        return self._now

    def monotonic(self) -> float:
        """Return how many seconds the clock has moved."""
        return self._monotonic

    def advance(self, by: timedelta) -> None:
        """Move the clock forward."""
        assert by >= timedelta(0), "time does not go back"
        self._now += by
        self._monotonic += by.total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Move the clock by `seconds` and let other tasks run."""
        self.advance(timedelta(seconds=max(0.0, seconds)))
        await asyncio.sleep(0)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """Return a context that ends after `seconds` of real time: nobody moves this clock while one waits."""
        return asyncio.timeout(seconds)


def whole_second(instant: datetime) -> datetime:
    """Return the instant cut to its second: billed time is counted in whole seconds."""
    return instant.replace(microsecond=0)
