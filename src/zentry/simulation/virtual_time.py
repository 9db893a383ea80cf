"""An event loop whose time is virtual: when nothing is ready it is at once the time of the next timer.

There is no selector and no file descriptor, nothing comes from outside and nothing runs in another
thread, so the order in which tasks run follows from the program alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

_FOREVER: Final = "every task waits for another: nothing will ever happen again"


class VirtualLoop(asyncio.BaseEventLoop):
    """asyncio's loop without the world behind it."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual_seconds = 0.0
        # Timers as near as this are due. Far from zero the base class's nanosecond would be lost in a float.
        self._clock_resolution = 1e-6
        self._selector = self  # The base class asks it for what came from outside.

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._virtual_seconds

    def select(self, timeout: float | None) -> tuple[()]:
        """Let the time until the next timer pass; called by the base class when it would wait."""
        if timeout is None:
            raise RuntimeError(_FOREVER)
        if timeout > 0:
            # Not `+= timeout`: far from zero a sum can fall short of the timer, again and again.
            timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]  # typeshed leaves it out
            self._virtual_seconds = max(self._virtual_seconds, timers[0].when())
        return ()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # the base class promises a future of the function's own type
        """Call at once: a thread would finish at a moment that nobody chose."""
        del executor
        future = self.create_future()
        future.set_result(func(*args))
        return future

    def _process_events(self, event_list: object) -> None:
        """Do nothing: no event comes from outside."""

    def _write_to_self(self) -> None:
        """Do nothing: nobody sleeps who could be woken."""


class VirtualClock:
    """The platform's clock on a virtual loop."""

    follows_database = False

    def __init__(self, loop: asyncio.AbstractEventLoop, *, start: datetime) -> None:
        self._loop = loop
        self._start = start
        self._seconds, self._now = 0.0, start

    def now(self) -> datetime:
        """Return the virtual instant."""
        seconds = self._loop.time()
        if seconds != self._seconds:  # Much is asked at one instant.
            self._seconds, self._now = seconds, self._start + timedelta(seconds=seconds)
        return self._now

    def monotonic(self) -> float:
        """Return the virtual seconds that have passed."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of virtual time."""
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """Return a context that ends after `seconds` of virtual time."""
        return asyncio.timeout(seconds)


def run_virtually(main: Coroutine[Any, Any, Result], loop: VirtualLoop) -> Result:
    """Run to the end on virtual time, and cancel what is left over."""
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)
