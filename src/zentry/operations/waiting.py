"""Waits for an operation to end without holding a database connection."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from zentry.operations.queue import OperationQueue, ended_topic
from zentry.operations.types import Operation
from zentry.platform.clock import Clock
from zentry.platform.db import Database
from zentry.platform.signals import Signals

_POLL_SECONDS: Final = 0.1
"""How often to look where signals of other processes do not arrive."""
_FALLBACK_SECONDS: Final = 1.0
"""How often to look where they do: one may still be lost."""


class OperationWaiter:
    """Answers with what is true once an operation has ended or the wait is over."""

    def __init__(self, *, database: Database, clock: Clock, signals: Signals) -> None:
        self._database = database
        self._clock = clock
        self._signals = signals

    async def wait(self, operation_id: UUID, *, seconds: float) -> Operation | None:
        """Return the operation as it is when it ends, or after `seconds`; None when it is unknown."""
        until = self._clock.monotonic() + seconds
        pause = _POLL_SECONDS  # The first look is early: the end may have come before we listened.
        with self._signals.listen(ended_topic(operation_id)) as ended:
            while True:
                remaining = until - self._clock.monotonic()
                if remaining > 0:
                    await ended.wait(min(pause, remaining))
                pause = _FALLBACK_SECONDS if self._signals.complete else _POLL_SECONDS
                async with self._database.read() as tx:
                    operation = await OperationQueue(tx).find(operation_id)
                if operation is None or operation.has_ended or remaining <= 0:
                    return operation
