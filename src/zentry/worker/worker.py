"""Runs the platform's loops until it is told to stop; several workers share the work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol


class Loop(Protocol):
    """Something that goes on until it is told to stop."""

    async def run(self, stop: asyncio.Event) -> None:
        """Go on until `stop` is set."""
        ...


class Worker:
    """A set of loops."""

    def __init__(self, loops: Sequence[Loop]) -> None:
        self._loops = tuple(loops)

    async def run(self, stop: asyncio.Event) -> None:
        """Run every loop; one that crashes ends them all, so that a supervisor sees it."""
        async with asyncio.TaskGroup() as group:
            for loop in self._loops:
                group.create_task(_until(loop, stop), name=type(loop).__name__)


async def _until(loop: Loop, stop: asyncio.Event) -> None:
    """Run a loop; when told to stop, give it no longer than its present sleep."""
    running = asyncio.ensure_future(loop.run(stop))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await asyncio.wait({running}, timeout=_GRACE_SECONDS)
            running.cancel()
        await asyncio.gather(running, return_exceptions=stop.is_set())
    finally:
        running.cancel()
        stopping.cancel()


_GRACE_SECONDS = 2.0
