"""Three steps on the simulator, which takes no time: what both sides of `benchmarks.operations` carry out."""

from __future__ import annotations

from datetime import timedelta
from random import SystemRandom
from typing import Final
from uuid import UUID

from zentry.compute.driver import ComputeDriver
from zentry.platform.clock import SystemClock
from zentry.platform.ids import new_id

AT_ONCE: Final = 32
"""Operations under way at a time, on both sides."""


class Steps:
    """Stop, start, reboot: each writes to the simulated world once."""

    def __init__(self, driver: ComputeDriver) -> None:
        self._driver = driver
        self._random = SystemRandom()
        self._clock = SystemClock()

    async def stop(self, vm_id: UUID, fence: int) -> None:
        await self._driver.ensure_stopped(vm_id, fence=fence, grace=timedelta(seconds=1))

    async def start(self, vm_id: UUID, fence: int) -> None:
        await self._driver.ensure_running(vm_id, fence=fence)

    async def reboot(self, vm_id: UUID, fence: int) -> None:
        await self._driver.reboot(vm_id, fence=fence, order=new_id(self._clock.now(), self._random))
