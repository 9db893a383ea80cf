"""Hosts that fail and come back, by chance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from zentry.compute.simulator.hosts import Condition
from zentry.compute.simulator.world import World
from zentry.platform.clock import Clock
from zentry.simulation.scenario import HostFailures

_HOUR: Final = 3600.0
_MINUTE: Final = 60.0
_LOST_PERCENT: Final = 50


class Weather:
    """Takes hosts away, one after another, and gives each back after a while."""

    def __init__(
        self,
        world: World,
        failures: HostFailures,
        *,
        clock: Clock,
        random: Random,
        on_change: Callable[[], Awaitable[None]],
    ) -> None:
        """Make it; `on_change` is called after each change, as the administrator's request does."""
        self._world = world
        self._failures = failures
        self._clock = clock
        self._random = random
        self._on_change = on_change
        self._back_at: dict[str, float] = {}
        self.failed = 0

    async def rage(self) -> None:
        """Let hosts fail until cancelled."""
        next_failure = self._clock.monotonic() + self._pause_seconds()
        while True:
            await self._clock.sleep(min([next_failure, *self._back_at.values()]) - self._clock.monotonic())
            now = self._clock.monotonic()
            for host in [host for host, at in self._back_at.items() if at <= now]:
                await self._bring_back(host)
            if next_failure <= now:
                await self._fail()
                next_failure = now + self._pause_seconds()

    async def clear_up(self) -> None:
        """Bring every host back."""
        for host in list(self._back_at):
            await self._bring_back(host)

    async def _fail(self) -> None:
        whole = sorted(
            host
            for host, (condition, lost) in self._world.conditions().items()
            if condition is Condition.UP and not lost
        )
        if not whole:
            return
        host = self._random.choice(whole)
        draw = self._random.random()
        failures = self._failures
        if draw < failures.unreachable:
            self._change(host, Condition.UNREACHABLE)
        elif draw < failures.unreachable + failures.shrink:
            self._world.change_host(host, lost_percent=_LOST_PERCENT, at=self._clock.now())
        else:
            self._change(host, Condition.DOWN)
        self.failed += 1
        minutes = self._random.expovariate(1 / failures.back_after_minutes)
        self._back_at[host] = self._clock.monotonic() + _MINUTE * minutes
        await self._on_change()

    async def _bring_back(self, host: str) -> None:
        del self._back_at[host]
        self._world.change_host(host, condition=Condition.UP, lost_percent=0, at=self._clock.now())
        await self._on_change()

    def _change(self, host: str, condition: Condition) -> None:
        self._world.change_host(host, condition=condition, at=self._clock.now())

    def _pause_seconds(self) -> float:
        return _HOUR * self._random.expovariate(1 / self._failures.every_hours)
