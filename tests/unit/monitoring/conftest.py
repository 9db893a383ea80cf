from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from random import Random

import pytest

from tests.unit.monitoring.fleet import Fleet
from zentry.platform.clock import ManualClock
from zentry.platform.db import Database
from zentry.platform.settings import DatabaseSettings
from zentry.platform.signals import Signals


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 15, 10, 0, tzinfo=UTC))


@pytest.fixture
async def database(database_url: str, clock: ManualClock) -> AsyncIterator[Database]:
    database = Database(DatabaseSettings(url=database_url), clock=clock, random=Random(1), signals=Signals())
    yield database
    await database.close()


@pytest.fixture
async def fleet(database: Database) -> Fleet:
    fleet = Fleet(database)
    await fleet.prepare()
    return fleet
