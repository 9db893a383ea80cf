"""Deletes samples and health records that are older than somebody wants them, in bounded batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from zentry.monitoring.repository import MonitoringRepository
from zentry.monitoring.store import MetricsStore
from zentry.platform.db import Database, Transaction

_BATCH: Final = 5000
_ROUNDS: Final = 200

_Prune = Callable[[Transaction, datetime], Awaitable[int]]


class Retention:
    """Prunes what monitoring keeps, when an administrator asks for it."""

    def __init__(self, *, database: Database, store: MetricsStore) -> None:
        self._database = database
        self._store = store

    async def __call__(self, *, retention_days: int) -> Mapping[str, int]:
        """Delete what is older; return how many rows went from each table, a million at most."""

        async def samples(tx: Transaction, before: datetime) -> int:
            return await self._store.prune(tx, before=before, limit=_BATCH)

        async def records(tx: Transaction, before: datetime) -> int:
            return await MonitoringRepository(tx).prune_health_records(before=before, limit=_BATCH)

        age = timedelta(days=retention_days)
        return {
            "vm_metrics": await self._all(samples, age),
            "health_records": await self._all(records, age),
        }

    async def _all(self, prune: _Prune, age: timedelta) -> int:
        total = 0
        for _ in range(_ROUNDS):
            async with self._database.work() as tx:
                gone = await prune(tx, tx.now - age)
            total += gone
            if gone < _BATCH:
                break
        return total
