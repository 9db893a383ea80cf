"""`zentry keys`: the keys that seal texts in the database."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from zentry.cli.configuration import load_settings
from zentry.cli.database import NoDatabase, open_database
from zentry.cli.storage import shown_database, sqlite_file
from zentry.cli.terminal import out
from zentry.platform.db.migrations import Migrations
from zentry.platform.keys import load_or_create_signing_key, sealer_of
from zentry.platform.logging import configure_logging
from zentry.platform.sealing import Sealer
from zentry.platform.settings import Settings
from zentry.resealing import Resealing, count_by_key, reseal


def status(data_dir: Path | None) -> bool:
    """Print how many texts are under each key; True when all of them can be opened."""
    settings, sealer = _open(data_dir)
    counts = asyncio.run(_count(settings))
    for number, key_id in enumerate(sealer.key_ids):
        role = "seals and opens" if number == 0 else "opens" if counts[key_id] else "is not needed by any text"
        out.print(f"{key_id}  {counts[key_id]:>9,}  {role}", highlight=False)
    unknown = {key_id: count for key_id, count in counts.items() if key_id not in sealer.key_ids}
    for key_id, count in sorted(unknown.items()):
        out.print(f"{key_id}  {count:>9,}  is not among the keys: nothing can open these", highlight=False)
    return not unknown


def rotate(data_dir: Path | None) -> bool:
    """Seal anew what is not under the newest key; True when nothing is left over."""
    settings, sealer = _open(data_dir)
    done = asyncio.run(_reseal(settings, sealer))
    for line in done.unreadable:
        out.print(line, markup=False, soft_wrap=True)
    left = f"; {len(done.unreadable):,} could not be opened" if done.unreadable else ""
    out.print(f"{done.sealed:,} texts are sealed under key {sealer.key_ids[0]} now{left}.", highlight=False)
    return not done.unreadable


def _open(data_dir: Path | None) -> tuple[Settings, Sealer]:
    settings = load_settings(data_dir=data_dir)
    configure_logging(settings.log)
    file = sqlite_file(settings)
    if file is not None and not file.exists():
        raise NoDatabase(f"There is no database at {shown_database(settings)}. Run `zentry db upgrade`.")
    signing_key = settings.security.signing_key.get_secret_value() or load_or_create_signing_key(settings.data_dir)
    return settings, sealer_of(settings, signing_key)


async def _count(settings: Settings) -> Counter[str]:
    async with open_database(settings) as database:
        await Migrations(database).require_head()
        return await count_by_key(database)


async def _reseal(settings: Settings, sealer: Sealer) -> Resealing:
    async with open_database(settings) as database:
        await Migrations(database).require_head()
        return await reseal(database, sealer)
