"""Brings the schema of the database to what this code expects, and says where it differs.

The revision is the number that a migration's file name starts with, so that a start on a
database that is up to date reads one row and never imports Alembic, which costs as much as the
rest of the start.

A run is one transaction on both databases. One starter migrates; the others wait for its lock
and then find nothing left to do.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from zentry.platform.db.catalogue import differences
from zentry.platform.db.database import Database

_NAME: Final = re.compile(r"(\d{4})_\w+\.py")
_BASE: Final = "base"
_POSTGRESQL_LOCK: Final = 0x7A656E747279
"""Key of the advisory lock, "zentry" in ASCII."""
_APPEND_ONLY: Final = ("ledger_entries", "billing_records", "events", "statements", "event_log")
_TRIGGERS: Final = frozenset({"events_queued"})
_GUARDS: Final = {"postgresql": ("append_only", "no_truncate"), "sqlite": ("no_update", "no_delete")}
_PACKAGE: Final = Path(__file__).parents[2]


class SchemaMismatch(Exception):
    """The database's schema is not the one that this program works with."""


class SchemaTooNew(SchemaMismatch):
    """A newer program has migrated the database."""


class SchemaTooOld(SchemaMismatch):
    """The database has not been migrated to this program."""


class Migrations:
    """The migrations that come with this program, applied to one database."""

    def __init__(self, database: Database, *, directory: Path | None = None) -> None:
        self._database = database
        self._directory = directory or _find_directory()

    def revisions(self) -> list[str]:
        """Return every revision that this program knows, oldest first."""
        return _revisions(self._directory)

    def head(self) -> str:
        """Return the revision that this program works with."""
        return self.revisions()[-1]

    async def current(self) -> str | None:
        """Return the database's revision, or None where nothing was ever migrated."""
        async with self._database.writer.connect() as connection:
            return await connection.run_sync(_current)

    async def upgrade(self) -> bool:
        """Bring the database to the head; False when it was there already."""
        if self._is_head(await self.current()):
            return False
        async with self._migrating() as connection:
            current = await connection.run_sync(_current)
            if self._is_head(current):
                return False
            await connection.run_sync(self._migrate, current, self.head())
        return True

    async def downgrade(self, revision: str) -> None:
        """Take the database back to an older revision, or to "base" for an empty one."""
        if revision != _BASE and revision not in self.revisions():
            raise ValueError(f"there is no revision {revision!r}")
        async with self._migrating() as connection:
            current = await connection.run_sync(_current)
            self._is_head(current)
            if current is not None and (revision == _BASE or revision < current):
                await connection.run_sync(self._migrate, current, revision)

    async def require_head(self) -> None:
        """Raise `SchemaTooOld` or `SchemaTooNew` unless the database is up to date."""
        current = await self.current()
        if not self._is_head(current):
            raise SchemaTooOld(
                f"The database is at revision {current or 'none'}, this program needs {self.head()}. "
                "Run `zentry db upgrade`."
            )

    async def check(self, metadata: sa.MetaData) -> list[str]:
        """Return each difference between the declared tables and the database's; none is good."""
        async with self._database.writer.connect() as connection, connection.begin() as transaction:
            found = await connection.run_sync(_unguarded)
            found += await connection.run_sync(differences, metadata)
            # On PostgreSQL the comparison makes temporary tables.
            await transaction.rollback()
            return found

    def _is_head(self, current: str | None) -> bool:
        known = self.revisions()
        if current is not None and current not in known:
            raise SchemaTooNew(
                f"The database is at revision {current}, this program knows up to {known[-1]}. "
                "Install the program that migrated it, or a newer one."
            )
        return current == known[-1]

    @asynccontextmanager
    async def _migrating(self) -> AsyncIterator[AsyncConnection]:
        """Open the one transaction that may change the schema, after whoever holds it now."""
        async with self._database.writer.connect() as connection:
            if self._database.dialect == "postgresql":
                async with connection.begin():
                    for statement in (
                        "SET LOCAL statement_timeout = 0",
                        "SET LOCAL lock_timeout = '120s'",
                        f"SELECT pg_advisory_xact_lock({_POSTGRESQL_LOCK})",
                        # From here on a lock that does not come soon would make the whole platform queue.
                        "SET LOCAL lock_timeout = '5s'",
                    ):
                        await connection.exec_driver_sql(statement)
                    yield connection
                return
            # Tables are rebuilt by copy and rename, which enforced foreign keys forbid; the switch has no
            # effect inside a transaction. Taking the transaction (BEGIN IMMEDIATE) is the lock.
            raw: Any = (await connection.get_raw_connection()).driver_connection
            await raw.execute("PRAGMA foreign_keys=OFF")
            try:
                async with connection.begin():
                    yield connection
                    orphans = (await connection.exec_driver_sql("PRAGMA foreign_key_check")).all()
                    if orphans:
                        raise SchemaMismatch(f"{len(orphans)} rows would refer to nothing; nothing was changed.")
            finally:
                await raw.execute("PRAGMA foreign_keys=ON")

    def _migrate(self, connection: sa.Connection, current: str | None, target: str) -> None:
        _migrate(self._directory, connection, current, target)


def build_schema(connection: sa.Connection) -> None:
    """Make the newest schema in an empty database, inside the transaction that is open on it."""
    directory = _find_directory()
    _migrate(directory, connection, None, _revisions(directory)[-1])


def _revisions(directory: Path) -> list[str]:
    matches = (_NAME.fullmatch(path.name) for path in (directory / "versions").iterdir())
    return sorted(match[1] for match in matches if match)


def _migrate(directory: Path, connection: sa.Connection, current: str | None, target: str) -> None:
    # Slow to import, and not needed where the schema is up to date.
    from alembic.config import Config  # noqa: PLC0415 - see above
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415 - see above
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see above

    config = Config()
    config.attributes["connection"] = connection
    script = ScriptDirectory(str(directory))
    up = target != _BASE and (current is None or target > current)

    def steps(revision: Any, _: object) -> Any:
        # Alembic declares both for internal use, and its own commands are written so.
        return script._upgrade_revs(target, revision) if up else script._downgrade_revs(target, revision)  # noqa: SLF001 - see above

    plan: Callable[..., Any] = steps
    with EnvironmentContext(config, script, fn=plan, destination_rev=target):
        script.run_env()


def _current(connection: sa.Connection) -> str | None:
    if connection.dialect.name == "postgresql":
        there = connection.exec_driver_sql("SELECT to_regclass('alembic_version') IS NOT NULL").scalar_one()
    else:
        there = connection.exec_driver_sql(
            "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"
        ).scalar_one()
    if not there:
        return None
    revision: str | None = connection.exec_driver_sql("SELECT max(version_num) FROM alembic_version").scalar_one()
    return revision


def _unguarded(connection: sa.Connection) -> list[str]:
    """Return the triggers that are gone: those that keep tables append-only, and the one that queues events."""
    if connection.dialect.name == "postgresql":
        query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
    else:
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    triggers = set(connection.exec_driver_sql(query).scalars())
    wanted = _TRIGGERS | {f"{table}_{suffix}" for table in _APPEND_ONLY for suffix in _GUARDS[connection.dialect.name]}
    return [f"missing: trigger {name}" for name in sorted(wanted - triggers)]


def _find_directory() -> Path:
    """Return where the migrations lie: in the installed package, or in the working copy."""
    installed = _PACKAGE / "_migrations"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "migrations"
