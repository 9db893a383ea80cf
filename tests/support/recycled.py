"""A migrated PostgreSQL database that is emptied after each test: to make a new one takes twenty times as long."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import asyncpg

Migrate = Callable[[str], Awaitable[None]]

_TABLES: Final = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname
"""
_SEQUENCES: Final = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'"
_SHAPE: Final = """
    SELECT jsonb_build_array(
        (SELECT jsonb_agg(ARRAY[oid::text, relname, relhastriggers::text, reltuples::text, relacl::text] ORDER BY oid)
         FROM pg_class WHERE relnamespace = 'public'::regnamespace),
        (SELECT jsonb_agg(ARRAY[attrelid::text, attname, atttypid::text, attnotnull::text] ORDER BY attrelid, attnum)
         FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace),
        (SELECT jsonb_agg(ARRAY[oid::text, tgenabled::text] ORDER BY oid) FROM pg_trigger),
        (SELECT jsonb_agg(oid::text ORDER BY oid) FROM pg_constraint),
        (SELECT jsonb_agg(oid::text ORDER BY oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
        (SELECT count(*) FROM pg_db_role_setting)
    )::text
"""
_OTHERS: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@dataclass(slots=True)
class RecycledDatabase:
    """One database of a server, for one test after another."""

    admin_url: str
    migrate: Migrate
    _name: str = ""
    _emptying: str = ""
    _shape: str = ""
    _first_rows: dict[str, bytes] = field(default_factory=dict)

    @property
    def _url(self) -> str:
        return f"{self._server}/{self._name}"

    @property
    def _server(self) -> str:
        return self.admin_url.rpartition("/")[0]

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[str]:
        """Give the URL of the database as a migration leaves it."""
        if not self._name:
            await self._prepare()
        yield self._url
        if not await self._empty():
            await self._make()

    async def _prepare(self) -> None:
        """Migrate a database once to copy from, and note what is in it."""
        self._name = f"t{os.getpid()}"
        admin = await asyncpg.connect(self.admin_url)
        try:
            await admin.execute(f"CREATE DATABASE {self._template}")
        finally:
            await admin.close()
        await self.migrate(f"{self._server}/{self._template}")
        await self._make()

    @property
    def _template(self) -> str:
        return f"{self._name}_template"

    async def _make(self) -> None:
        """Copy the database anew."""
        admin = await asyncpg.connect(self.admin_url)
        try:
            await admin.execute(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")
            await admin.execute(f"CREATE DATABASE {self._name} TEMPLATE {self._template} STRATEGY file_copy")
        finally:
            await admin.close()
        connection = await asyncpg.connect(self._url)
        try:
            await self._note(connection)
        finally:
            await connection.close()

    async def _note(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._shape = await connection.fetchval(_SHAPE)
        tables = [row[0] for row in await connection.fetch(_TABLES)]
        sequences = [row[0] for row in await connection.fetch(_SEQUENCES)]
        # As a replica it fires no trigger: the books' refusal to be changed, and the references between tables.
        self._emptying = "SET session_replication_role = replica;" + "".join(
            [f"DELETE FROM {table};" for table in tables]
            + [f"SELECT setval('{sequence}', 1, false);" for sequence in sequences]
        )
        self._first_rows = {}
        for table in tables:
            if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table})"):
                content = io.BytesIO()
                await connection.copy_from_table(table, output=content, format="binary")
                self._first_rows[table] = content.getvalue()

    async def _empty(self) -> bool:
        """Take out what a test has put in; False where it has changed more than rows."""
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(_OTHERS)
            if await connection.fetchval(_SHAPE) != self._shape:
                return False
            async with connection.transaction():
                await connection.execute(self._emptying)
                for table, content in self._first_rows.items():
                    await connection.copy_to_table(table, source=io.BytesIO(content), format="binary")
        finally:
            await connection.close()
        return True
