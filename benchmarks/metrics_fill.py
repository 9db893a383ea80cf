"""Fills both stores with a day of many machines, without a sample passing through Python.

The database makes the rows by itself, an hour of all machines at a time and in the order in which they come.
VictoriaMetrics is given the day of one machine by the front door; that is exported in its own format and imported
once for each of the others, under its name.
"""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

import httpx
import sqlalchemy as sa

from tests.support.victoria import VictoriaServer
from zentry.compute.types import Sample
from zentry.monitoring.store import MetricsStore
from zentry.platform.db import Database

SAMPLES_A_DAY: Final = 5760
_SAMPLES_AN_HOUR: Final = 240
_MERGES: Final = re.compile(r"^vm_active(_force)?_merges.* [1-9]", re.MULTILINE)
_EVERY: Final = timedelta(seconds=15)
_FIRST: Final = 1 << 100
_ROWS: Final = """
INSERT INTO vm_metrics (
    id, vm_id, recorded_at, cpu_usage, memory_usage, disk_usage, network_in, network_out, disk_read, disk_write
)
SELECT '00000000-0000-0000-0000-000000000000',
       CAST('00000010-0000-0000-0000-' || lpad(to_hex(machine), 12, '0') AS uuid),
       CAST(:start AS timestamptz) + number * interval '15 seconds',
       load, load / 2, 25, load * 1000, load * 500, load * 10, load * 20
FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) number
CROSS JOIN LATERAL (SELECT CAST(number % 97 AS float8) AS load) of_instant
CROSS JOIN generate_series(CAST(:from_machine AS integer), CAST(:to_machine AS integer)) machine
ORDER BY number, machine
"""
_AVERAGES: Final = """
INSERT INTO vm_metrics_5m (
    vm_id, starts_at, samples,
    cpu_usage, memory_usage, disk_usage, network_in, network_out, disk_read, disk_write,
    cpu_usage_peak, memory_usage_peak, disk_usage_peak, network_in_peak, network_out_peak, disk_read_peak,
    disk_write_peak
)
SELECT CAST('00000010-0000-0000-0000-' || lpad(to_hex(machine), 12, '0') AS uuid),
       CAST(:start AS timestamptz) + part * interval '5 minutes', samples,
       load, load / 2, 25, load * 1000, load * 500, load * 10, load * 20,
       peak, peak / 2, 25, peak * 1000, peak * 500, peak * 10, peak * 20
FROM (
    SELECT number / 20 AS part, count(*) AS samples, CAST(avg(number % 97) AS float8) AS load,
           CAST(max(number % 97) AS float8) AS peak
    FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) number GROUP BY 1
) of_part
CROSS JOIN generate_series(CAST(:from_machine AS integer), CAST(:to_machine AS integer)) machine
ORDER BY part, machine
"""
_UNTIL: Final = (
    "INSERT INTO metric_rollups (name, rolled_until) VALUES ('vm_metrics_5m', :until) "
    "ON CONFLICT (name) DO UPDATE SET rolled_until = excluded.rolled_until"
)


def machine_id(number: int) -> UUID:
    """Return the id of a machine by its number."""
    return UUID(int=_FIRST | number)


def sample(vm_id: UUID, at: datetime, number: int) -> Sample:
    """Return the sample of a machine with its number in the day."""
    load = float(number % 97)
    return Sample(vm_id, at, load, load / 2, 25.0, 1000.0 * load, 500.0 * load, 10.0 * load, 20.0 * load)


class MachineFill(Protocol):
    """Gives machines a day of samples."""

    async def add(self, first: int, until: int) -> None:
        """Add the machines of these numbers."""
        ...


class SQLFill:
    """Fills the table of samples."""

    def __init__(self, database: Database, start: datetime) -> None:
        self._database = database
        self._start = start

    async def add(self, first: int, until: int) -> None:
        """Add the machines of these numbers, an hour in each transaction, and their averages of five minutes."""
        machines = {"start": self._start, "from_machine": first, "to_machine": until - 1}
        for begin in range(0, SAMPLES_A_DAY, _SAMPLES_AN_HOUR):
            async with self._database.work() as tx:
                await tx.execute(sa.text("SET LOCAL statement_timeout = 0"))
                for statement in (_ROWS, _AVERAGES):
                    hour = {"first": begin, "last": begin + _SAMPLES_AN_HOUR - 1}
                    await tx.execute(sa.text(statement), {**machines, **hour})
        async with self._database.work() as tx:
            await tx.execute(sa.text(_UNTIL), {"until": self._start + timedelta(days=1)})
        async with self._database.read() as tx:  # As autovacuum does after some minutes.
            for statement in (
                "SET statement_timeout = 0",
                "VACUUM (ANALYZE) vm_metrics",
                "VACUUM (ANALYZE) vm_metrics_5m",
            ):
                await tx.execute(sa.text(statement))


class VictoriaFill:
    """Fills a VictoriaMetrics server."""

    def __init__(self, server: VictoriaServer, store: MetricsStore, start: datetime) -> None:
        self._server = server
        self._store = store
        self._start = start

    async def add(self, first: int, until: int) -> None:
        """Add the machines of these numbers, one by one."""
        model = machine_id(0)
        if first == 0:
            await self._store.record([sample(model, self._start + one * _EVERY, one) for one in range(SAMPLES_A_DAY)])
            self._server.flush()
        async with httpx.AsyncClient(base_url=self._server.url, trust_env=False, timeout=60) as client:
            span = {"start": f"{self._start.timestamp():.0f}", "end": f"{self._start.timestamp() + 86_400:.0f}"}
            day = await client.get("/api/v1/export/native", params={"match[]": f'{{vm_id="{model}"}}', **span})
            for number in range(max(first, 1), until):
                named = {"extra_label": f"vm_id={machine_id(number)}"}
                (await client.post("/api/v1/import/native", params=named, content=day.content)).raise_for_status()
            self._server.flush()
            await client.get("/internal/force_merge")  # As it does by itself with what is some hours old.
            while _MERGES.search((await client.get("/metrics")).text):  # noqa: ASYNC110 - the server tells nobody when it has done
                await asyncio.sleep(1)
