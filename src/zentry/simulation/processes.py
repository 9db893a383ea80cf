"""Worker processes that can die or stand still at any point at which a real one could be observed to.

Everything that a process does to the world goes through its clock, its database or its driver, and
the driver waits on its clock. So a process that is dead changes nothing more, whatever its tasks
still believe; and one that stands still goes on later, with the claims that it had.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Final

from zentry.platform.clock import Clock
from zentry.platform.db.synchronous import MemoryStore, SynchronousDatabase
from zentry.platform.signals import Signals
from zentry.simulation.faults import Chaos

_JITTER_SECONDS: Final = 2.0


class Process:
    """One process, alive until chance or somebody kills it."""

    def __init__(self, name: str, *, clock: Clock, chaos: Chaos, on_trouble: Callable[[float], None]) -> None:
        """Make it; `on_trouble` hears how long a process will stand still, 0 for one that has died."""
        self.name = name
        self.is_alive = True
        self._clock = clock
        self._chaos = chaos
        self._on_trouble = on_trouble
        self._frozen_until = 0.0
        self._main: asyncio.Task[None] | None = None

    def start(self, main: asyncio.Task[None]) -> None:
        """Say which task ends when the process dies."""
        self._main = main

    def kill(self) -> None:
        """End it as `kill -9` would: nothing that it holds is let go in an orderly way."""
        self.is_alive = False
        if self._main is not None:
            self._main.cancel()

    def risk_death(self) -> None:
        """Come past a point at which the process may die; a dead one ends here."""
        if self.is_alive and self._chaos.happens(self._chaos.table.kill):
            self.kill()
            self._on_trouble(0.0)
        if not self.is_alive:
            raise asyncio.CancelledError

    async def breathe(self) -> None:
        """Come past a point at which the process may die, stand still, or be a little late."""
        self.risk_death()
        chaos = self._chaos
        if chaos.happens(chaos.table.freeze):
            seconds = chaos.random.uniform(0, chaos.table.freeze_seconds)
            self._frozen_until = max(self._frozen_until, self._clock.monotonic() + seconds)
            self._on_trouble(0.0)
        elif chaos.happens(chaos.table.jitter):
            await self._clock.sleep(chaos.random.uniform(0, _JITTER_SECONDS))
        while (seconds := self._frozen_until - self._clock.monotonic()) > 0:
            await self._clock.sleep(seconds)
        if not self.is_alive:
            raise asyncio.CancelledError


class ProcessClock:
    """The clock as one process sees it: nobody wakes up in a process that is dead or stands still."""

    follows_database = False

    def __init__(self, clock: Clock, process: Process) -> None:
        self._clock = clock
        self._process = process

    def now(self) -> datetime:
        """Return the present instant."""
        return self._clock.now()

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._clock.sleep(seconds)
        await self._process.breathe()

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """Return a context that ends after `seconds`."""
        return self._clock.timeout(seconds)


class ProcessDatabase(SynchronousDatabase):
    """The database as one process reaches it."""

    def __init__(
        self,
        store: MemoryStore,
        *,
        process: Process,
        clock: Clock,
        random: Random,
        signals: Signals,
        on_commit: Callable[[], None],
    ) -> None:
        super().__init__(store, clock=clock, random=random, signals=signals, on_commit=on_commit)
        self._process = process

    async def before_look(self) -> None:
        """Come past a point at which the process may die, stand still, or be a little late."""
        await self._process.breathe()

    def at_commit(self) -> None:
        """Come past a point at which the process may die."""
        self._process.risk_death()
