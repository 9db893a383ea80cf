"""`zentry admin`: administrators are made by whoever has the machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

from zentry.accounts.admin import Administrator, create_admin
from zentry.accounts.identity import clean_name, parse_email
from zentry.accounts.passwords import PasswordHasher, PasswordPolicy
from zentry.cli.configuration import load_settings
from zentry.cli.storage import hold_storage, throw_away_storage
from zentry.cli.terminal import out
from zentry.platform.data_directory import DataDirectoryInUse
from zentry.platform.logging import configure_logging
from zentry.platform.settings import Settings
from zentry.wiring import open_platform, signup_hooks


def create(email: str, name: str, password: str, data_dir: Path | None) -> None:
    """Create an administrator, or promote an account."""
    settings = load_settings(data_dir=data_dir)
    configure_logging(settings.log)
    try:
        with hold_storage(settings) as held:
            made = asyncio.run(_create(held, email, name, password, migrate=True))
    except DataDirectoryInUse:
        # A platform is running on it, and one short write beside it does no harm.
        with throw_away_storage(settings) as beside:
            made = asyncio.run(_create(beside, email, name, password, migrate=False))
    if made.is_new:
        out.print(f"{email} is an administrator now.")
    else:
        out.print(f"{email} has an account and is an administrator now; its password stays as it was.")


async def _create(settings: Settings, email: str, name: str, password: str, *, migrate: bool) -> Administrator:
    address, clean = parse_email(email), clean_name(name)
    PasswordPolicy(settings.security).check(password, email=address.text, name=clean)
    hasher = PasswordHasher(settings.security)
    try:
        hashed = await hasher.hash(password)
    finally:
        hasher.close()
    async with open_platform(settings) as platform:
        if migrate and settings.database.migrate_on_start:
            await platform.migrations.upgrade()
        await platform.migrations.require_head()
        async with platform.database.work() as tx:
            return await create_admin(
                tx, email=address, name=clean, hashed_password=hashed, on_signup=signup_hooks(settings)
            )
