"""Deletes samples and health records that are older than somebody wants them, in bounded batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

from zentry.monitoring.repository import MonitoringRepository
from zentry.monitoring.store import MetricsStore
from zentry.platform.db import Database

_BATCH: Final = 5000
_ROUNDS: Final = 200


class Retention:
    """Prunes what monitoring keeps, when an administrator asks for it."""

    def __init__(self, *, database: Database, store: MetricsStore) -> None:
        self._database = database
        self._store = store

    async def __call__(self, *, retention_days: int) -> Mapping[str, int]:
        """Delete what is older; return how many rows went from each table, a million at most."""
        async with self._database.read() as tx:
            before = tx.now - timedelta(days=retention_days)

        async def samples() -> int:
            return await self._store.prune(before=before, limit=_BATCH)

        async def records() -> int:
            async with self._database.work() as tx:
                return await MonitoringRepository(tx).prune_health_records(before=before, limit=_BATCH)

        return {"vm_metrics": await _all(samples), "health_records": await _all(records)}


async def _all(prune: Callable[[], Awaitable[int]]) -> int:
    total = 0
    for _ in range(_ROUNDS):
        gone = await prune()
        total += gone
        if gone < _BATCH:
            break
    return total
