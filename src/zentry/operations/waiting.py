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
"""How often to look when the operation may be driven by another process, whose signals we miss."""


class OperationWaiter:
    """Answers with what is true once an operation has ended or the wait is over."""

    def __init__(self, *, database: Database, clock: Clock, signals: Signals) -> None:
        self._database = database
        self._clock = clock
        self._signals = signals

    async def wait(self, operation_id: UUID, *, seconds: float) -> Operation | None:
        """Return the operation as it is when it ends, or after `seconds`; None when it is unknown."""
        until = self._clock.monotonic() + seconds
        with self._signals.listen(ended_topic(operation_id)) as ended:
            while True:
                remaining = until - self._clock.monotonic()
                if remaining > 0:
                    await ended.wait(min(_POLL_SECONDS, remaining))
                async with self._database.read() as tx:
                    operation = await OperationQueue(tx).find(operation_id)
                if operation is None or operation.has_ended or remaining <= 0:
                    return operation
