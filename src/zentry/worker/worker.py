"""Runs the platform's loops until it is told to stop; several workers share the work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from zentry.platform.tasks import Stop


class Loop(Protocol):
    """Something that goes on until it is told to stop."""

    async def run(self, stop: Stop) -> None:
        """Go on until `stop` is set; end soon after."""
        ...


class Worker:
    """A set of loops."""

    def __init__(self, loops: Sequence[Loop]) -> None:
        self._loops = tuple(loops)

    async def run(self, stop: Stop) -> None:
        """Run every loop; one that crashes ends them all, so that a supervisor sees it."""
        async with asyncio.TaskGroup() as group:
            for loop in self._loops:
                group.create_task(loop.run(stop), name=type(loop).__name__)
