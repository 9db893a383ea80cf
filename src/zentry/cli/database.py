"""`zentry db`: the schema, from the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Final

from zentry.cli.configuration import load_settings
from zentry.cli.storage import hold_storage, shown_database, sqlite_file
from zentry.cli.terminal import out
from zentry.platform.clock import SystemClock
from zentry.platform.db import Database
from zentry.platform.db.migrations import Migrations
from zentry.platform.logging import configure_logging
from zentry.platform.settings import Settings
from zentry.platform.signals import Signals
from zentry.platform.starting import CannotStart

_NONE: Final = "none"
_UNUSED: Final = Random(0)  # noqa: S311 - nothing here makes an id


class NoDatabase(CannotStart):
    """There is no database yet."""


def upgrade(data_dir: Path | None) -> None:
    """Bring the schema up to date, and say whether anything was done."""
    with hold_storage(_settings(data_dir)) as settings:
        done, head = asyncio.run(_upgrade(settings))
    out.print(f"{'Upgraded to' if done else 'Already at'} revision {head}: {shown_database(settings)}", soft_wrap=True)


def current(data_dir: Path | None) -> None:
    """Print the revision of the database and of the program."""
    settings = _settings(data_dir)
    revision, head = asyncio.run(_current(settings))
    out.print(f"database {revision or _NONE}\nprogram  {head}")


def check(data_dir: Path | None) -> bool:
    """Print every difference; True when there is none."""
    settings = _settings(data_dir)
    found = asyncio.run(_check(settings))
    for difference in found:
        out.print(difference, markup=False, soft_wrap=True)
    if not found:
        out.print("The database is as the program declares it.")
    return not found


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the database alone, without the rest of the platform."""
    database = Database(settings.resolved_database, clock=SystemClock(), random=_UNUSED, signals=Signals())
    try:
        yield database
    finally:
        await database.close()


async def _upgrade(settings: Settings) -> tuple[bool, str]:
    async with open_database(settings) as database:
        migrations = Migrations(database)
        return await migrations.upgrade(), migrations.head()


async def _current(settings: Settings) -> tuple[str | None, str]:
    async with open_database(settings) as database:
        migrations = Migrations(database)
        # Looking at a file that is not there would make it.
        return None if _is_missing(settings) else await migrations.current(), migrations.head()


async def _check(settings: Settings) -> list[str]:
    if _is_missing(settings):
        raise NoDatabase(f"There is no database at {shown_database(settings)}. Run `zentry db upgrade`.")
    from zentry.schema.metadata import metadata

    async with open_database(settings) as database:
        migrations = Migrations(database)
        await migrations.require_head()
        return await migrations.check(metadata)


def _is_missing(settings: Settings) -> bool:
    file = sqlite_file(settings)
    return file is not None and not file.exists()


def _settings(data_dir: Path | None) -> Settings:
    settings = load_settings(data_dir=data_dir)
    configure_logging(settings.log)
    return settings
