"""`zentry serve --time-scale`: platform time that runs faster, on one process with SQLite and the simulator.

A data directory that was used this way holds instants that real time has not reached. It goes on
where it was, and real time is refused there until it has caught up: bills must not run backwards.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from zentry.platform.clock import Clock, ScaledClock
from zentry.platform.db import Database
from zentry.platform.db.database import dialect_of
from zentry.platform.settings import Environment, Settings
from zentry.platform.starting import CannotStart
from zentry.schema.events import events
from zentry.schema.monitoring import health_records, vm_metrics

_AHEAD: Final = timedelta(minutes=5)
"""As far as two machines' clocks may differ without anybody having scaled time."""

_LONGEST_ACCESS_SECONDS: Final = 86_400
"""No access token may live longer, at whatever pace."""


class NotScalable(CannotStart):
    """Time cannot be scaled with these settings."""


class DataFromTheFuture(CannotStart):
    """The data directory is ahead of the clock."""


def scaled(settings: Settings, scale: float) -> Settings:
    """Return settings for time at this scale, or raise `NotScalable` with everything that speaks against it.

    What is about this machine and its people instead of the simulated world keeps its real length.
    """
    wrong = [
        why
        for is_wrong, why in (
            (settings.env is Environment.PRODUCTION, "ZENTRY_ENV is production"),
            (settings.compute.driver != "simulator", f"the driver is {settings.compute.driver}, whose time is real"),
            (dialect_of(settings.resolved_database.url) != "sqlite", "the database is not SQLite"),
        )
        if is_wrong
    ]
    if wrong:
        message = "--time-scale is for demonstrations on SQLite and the simulator, and here:" + "".join(
            f"\n  {line}" for line in wrong
        )
        raise NotScalable(message)
    security, operations = settings.security, settings.operations
    return settings.model_copy(
        update={
            "security": security.model_copy(
                update={
                    "access_token_seconds": min(_LONGEST_ACCESS_SECONDS, round(security.access_token_seconds * scale)),
                    "refresh_token_seconds": round(security.refresh_token_seconds * scale),
                    "proof_seconds": round(security.proof_seconds * scale),
                    "session_seconds": round(security.session_seconds * scale),
                }
            ),
            "operations": operations.model_copy(
                update={
                    "lease_seconds": operations.lease_seconds * scale,
                    "poll_seconds": operations.poll_seconds * scale,
                    "wait_seconds": operations.wait_seconds * scale,
                }
            ),
        }
    )


async def set_clock(clock: Clock, database: Database) -> None:
    """Let scaled time go on where the data ends; raise `DataFromTheFuture` where real time has not come that far."""
    newest = await _newest(database, after=clock.now())
    if newest is None:
        return
    if isinstance(clock, ScaledClock):
        clock.catch_up(newest)
    elif newest > clock.now() + _AHEAD:
        message = (
            f"The data goes up to {newest:%Y-%m-%d %H:%M} UTC and it is {clock.now():%Y-%m-%d %H:%M}: it was used with"
            " --time-scale. Start with --time-scale again (1 goes on at the normal pace), or name another --data-dir."
        )
        raise DataFromTheFuture(message)


async def _newest(database: Database, *, after: datetime) -> datetime | None:
    """Return the newest instant of the data beyond another; what lies before it need not be looked at."""
    columns = (events.c.created_at, vm_metrics.c.recorded_at, health_records.c.recorded_at)
    async with database.read() as tx:
        queries = [sa.select(sa.func.max(column)).where(column > after) for column in columns]
        found = [(await tx.execute(query)).scalar_one() for query in queries]
    return max((instant for instant in found if instant is not None), default=None)
