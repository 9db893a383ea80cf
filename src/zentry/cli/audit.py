"""`zentry audit`: the log of what happened, from the command line."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from zentry.cli.configuration import load_settings
from zentry.cli.database import NoDatabase, open_database
from zentry.cli.storage import shown_database, sqlite_file
from zentry.cli.terminal import out
from zentry.events.audit import ExportUnreadable, LogAudit, audit_export, audit_log, export_log
from zentry.platform.db.migrations import Migrations
from zentry.platform.logging import configure_logging
from zentry.platform.settings import Settings
from zentry.platform.starting import CannotStart


def verify(file: Path | None, data_dir: Path | None) -> bool:
    """Print where the log, or an export of it, was changed; True when it was not."""
    audit = _verify_export(file) if file is not None else asyncio.run(_verify(_open(data_dir)))
    for finding in audit.findings:
        out.print(finding, markup=False, soft_wrap=True)
    state = f"{len(audit.findings):,} findings" if audit.findings else "the chain holds"
    out.print(
        f"{audit.entries:,} events up to position {audit.position:,}: {state}. Head: {audit.head}", soft_wrap=True
    )
    return not audit.findings


def export(after: int, data_dir: Path | None) -> None:
    """Write the log behind a position to standard output, one JSON object in each line."""
    asyncio.run(_export(_open(data_dir), after))


def _verify_export(file: Path) -> LogAudit:
    try:
        with file.open("rb") as lines:
            return audit_export(line for line in lines if line.strip())
    except OSError as error:
        raise CannotStart(f"{file} cannot be read: {error.strerror or error}.") from error
    except ExportUnreadable as error:
        raise CannotStart(f"{file}: {error}") from error


def _open(data_dir: Path | None) -> Settings:
    settings = load_settings(data_dir=data_dir)
    configure_logging(settings.log)
    database = sqlite_file(settings)
    if database is not None and not database.exists():
        raise NoDatabase(f"There is no database at {shown_database(settings)}. Run `zentry db upgrade`.")
    return settings


async def _verify(settings: Settings) -> LogAudit:
    async with open_database(settings) as database:
        await Migrations(database).require_head()
        return await audit_log(database)


async def _export(settings: Settings, after: int) -> None:
    async with open_database(settings) as database:
        await Migrations(database).require_head()
        async for line in export_log(database, after=after):
            sys.stdout.buffer.write(line + b"\n")
