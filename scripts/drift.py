"""Tells where the migrations and the tables of the code differ, on an empty SQLite; the tests ask PostgreSQL too."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from random import Random

from zentry.platform.clock import SystemClock
from zentry.platform.db import Database
from zentry.platform.db.migrations import Migrations
from zentry.platform.settings import DatabaseSettings
from zentry.platform.signals import Signals
from zentry.schema.metadata import metadata


async def differences() -> list[str]:
    """Migrate an empty database and compare it with the tables."""
    with tempfile.TemporaryDirectory() as directory:
        settings = DatabaseSettings(url=f"sqlite:///{Path(directory) / 'drift.db'}")
        database = Database(settings, clock=SystemClock(), random=Random(1), signals=Signals())
        try:
            migrations = Migrations(database)
            await migrations.upgrade()
            return await migrations.check(metadata)
        finally:
            await database.close()


def main() -> int:
    """Print the differences; non-zero when there are any."""
    found = asyncio.run(differences())
    for difference in found:
        print(f"migration drift: {difference}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
