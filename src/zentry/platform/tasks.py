"""Small things that asyncio leaves to its users."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Stop(asyncio.Event):
    """Tells loops to end, and wakes those that pause."""

    def __init__(self) -> None:
        super().__init__()
        self._pauses: dict[asyncio.Timeout, None] = {}

    def set(self) -> None:
        """Tell everyone."""
        if self.is_set():
            return
        super().set()
        for pause in self._pauses:
            pause.reschedule(asyncio.get_running_loop().time())

    async def pause(self, *coroutines: Coroutine[Any, Any, Any]) -> None:
        """Wait for the first of them, but no longer than until told to stop; what it raises is raised.

        A pause is all that most loops do most of the time, so to wait for one thing takes no task of its own.
        """
        if self.is_set():
            for coroutine in coroutines:
                coroutine.close()
            return
        limit = asyncio.timeout(None)
        self._pauses[limit] = None
        try:
            async with limit:
                await (coroutines[0] if len(coroutines) == 1 else first_of(*coroutines))
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            del self._pauses[limit]


async def first_of(*coroutines: Coroutine[Any, Any, Any]) -> None:
    """Wait until one of them has ended, and cancel the others; what it raised is raised."""
    waits = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in done:
            wait.result()
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
