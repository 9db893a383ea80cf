"""Dialects of which one may run what another has compiled.

SQLAlchemy keeps compiled statements for each engine, and compiling takes longer than running. On SQLite the readers
and the writer are two engines that run the same statements, and tests open one engine after another. So all engines of
a process share what is compiled, and their dialects are equal: the key of a compiled statement names its dialect.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.util import LRUCache

DRIVERS: Final = {"sqlite": "sqlite+zentry", "postgresql": "postgresql+zentry"}
"""What a URL is to name as its driver, by the name of the database."""

SHARED: Final[dict[str, Any]] = {"compiled_cache": LRUCache[Any, Any](2000)}
"""Execution options of every engine; 2,000 statements are more than the platform has."""


class _Alike:
    """Equal to every dialect of its class that speaks with a server of the same version."""

    server_version_info: tuple[Any, ...] | None

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.server_version_info == self.server_version_info

    def __hash__(self) -> int:
        return hash(type(self))


class SQLite(_Alike, SQLiteDialect_aiosqlite):
    """SQLite by aiosqlite."""

    supports_statement_cache = True


class PostgreSQL(_Alike, PGDialect_asyncpg):
    """PostgreSQL by asyncpg."""

    supports_statement_cache = True


for _database, _dialect in (("sqlite", SQLite), ("postgresql", PostgreSQL)):
    sa.dialects.registry.register(DRIVERS[_database].replace("+", "."), __name__, _dialect.__name__)
