"""`zentry ledger`: the books, from the command line."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

from zentry.billing.audit import Audit, audit_ledger
from zentry.cli.configuration import load_settings
from zentry.cli.database import NoDatabase, open_database
from zentry.cli.storage import shown_database, sqlite_file
from zentry.cli.terminal import out
from zentry.platform.db.migrations import Migrations
from zentry.platform.ids import parse_id
from zentry.platform.logging import configure_logging
from zentry.platform.settings import Settings
from zentry.platform.starting import CannotStart


def verify(account: str | None, data_dir: Path | None) -> bool:
    """Print what is wrong with the books and where; True when nothing is."""
    settings = load_settings(data_dir=data_dir)
    configure_logging(settings.log)
    user_id = None if account is None else parse_id(account)
    if account is not None and user_id is None:
        raise CannotStart(f"{account!r} is not the id of an account. `GET /auth/me` shows yours.")
    file = sqlite_file(settings)
    if file is not None and not file.exists():
        raise NoDatabase(f"There is no database at {shown_database(settings)}. Run `zentry db upgrade`.")
    audit = asyncio.run(_verify(settings, user_id))
    if user_id is not None and not audit.accounts:
        raise CannotStart(f"There is no account {user_id}.")
    for finding in audit.findings:
        out.print(str(finding), markup=False, soft_wrap=True)
    looked = f"{audit.accounts:,} accounts, {audit.entries:,} entries"
    out.print(f"{looked}: {f'{len(audit.findings):,} findings.' if audit.findings else 'the books are in order.'}")
    return not audit.findings


async def _verify(settings: Settings, user_id: UUID | None) -> Audit:
    async with open_database(settings) as database:
        await Migrations(database).require_head()
        return await audit_ledger(database, user_id=user_id)
