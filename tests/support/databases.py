"""Empty databases of both kinds, each for one test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from uuid import uuid4

import asyncpg
import sqlalchemy as sa

from zentry.platform.clock import SystemClock
from zentry.platform.db import Database
from zentry.platform.settings import DatabaseSettings
from zentry.platform.signals import Signals


def connect(url: str, *, pool_size: int = 8, pool_timeout_seconds: float = 10.0) -> Database:
    """Return the database behind a URL, on real time."""
    settings = DatabaseSettings(
        url=url, pool_size=pool_size, pool_overflow=4, pool_timeout_seconds=pool_timeout_seconds
    )
    return Database(settings, clock=SystemClock(), random=Random(1), signals=Signals())


@asynccontextmanager
async def empty_sqlite(directory: Path) -> AsyncIterator[str]:
    """Give the URL of a file that does not exist yet."""
    yield f"sqlite:///{directory / 'test.db'}"


@asynccontextmanager
async def empty_postgresql(admin_url: str) -> AsyncIterator[str]:
    """Create a database in the server, and drop it afterwards."""
    admin = sa.make_url(admin_url).set(drivername="postgresql")
    name = f"t_{uuid4().hex}"
    connection = await asyncpg.connect(admin.render_as_string(hide_password=False))
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        try:
            yield admin.set(database=name).render_as_string(hide_password=False)
        finally:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
