"""What an operator asks of the database: is it well, how full is it, bring it up to date."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import sqlalchemy as sa
import structlog
from prometheus_client import Gauge

from zentry.platform.db.database import Database
from zentry.platform.db.migrations import Migrations
from zentry.platform.db.transaction import Transaction

_log = structlog.get_logger(__name__)

POOL_CONNECTIONS: Final = Gauge(
    "zentry_database_pool_connections", "Connections of this process to the database.", ["state"]
)
_HEALTH_TIMEOUT_SECONDS: Final = 2.0
_MAX_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class HealthStatus:
    """How the database is, as far as one short look can tell."""

    status: Literal["healthy", "unhealthy"]
    type: str
    response_time_ms: float
    users_count: int | None
    schema_revision: str | None
    pool: dict[str, int]
    error: str | None


class DatabaseService:
    """Health, statistics and upkeep of one database."""

    def __init__(self, database: Database, migrations: Migrations) -> None:
        self._database = database
        self._migrations = migrations

    async def health_check(self, *, timeout_seconds: float = _HEALTH_TIMEOUT_SECONDS) -> HealthStatus:
        """Return the database's health; trouble is an answer, never an exception."""
        started = time.perf_counter()
        users: int | None = None
        revision: str | None = None
        error: str | None = None
        said = ""
        try:
            async with asyncio.timeout(timeout_seconds), self._database.read() as tx:
                revision = (await tx.execute(_REVISION)).scalar_one_or_none()
                users = (await tx.execute(_USERS)).scalar_one()
        except TimeoutError:
            error = f"The database did not answer within {timeout_seconds:g} s."
        except sa.exc.DBAPIError as failure:
            error, said = f"The database refused: {type(failure.orig).__name__}.", str(failure.orig)
        except Exception as failure:  # noqa: BLE001 - whatever a driver raises, the answer is that it is not well
            error = f"The database cannot be reached: {type(failure).__name__}."
        if error is not None:
            # Probes ask every few seconds while it is away: a line each, and no traceback.
            _log.warning("database.unhealthy", reason=error, said=said)
        return HealthStatus(
            status="healthy" if error is None else "unhealthy",
            type=self._database.dialect,
            response_time_ms=round((time.perf_counter() - started) * 1000, 3),
            users_count=users,
            schema_revision=revision,
            pool=self._database.pool_state(),
            error=error,
        )

    async def statistics(self) -> dict[str, int]:
        """Return the number of rows of every table."""
        async with self._database.read() as tx:
            tables = (await tx.execute(_TABLES[self._database.dialect])).scalars().all()
            counts = [
                sa.select(sa.literal(name).label("name"), sa.func.count().label("rows")).select_from(sa.table(name))
                for name in tables
            ]
            if not counts:
                return {}
            return {row.name: row.rows for row in await tx.execute(sa.union_all(*counts))}

    async def optimize(self) -> dict[str, Any]:
        """Refresh what the query planner knows about the data."""
        started = time.perf_counter()
        async with self._database.work() as tx:
            await tx.execute(sa.text("ANALYZE"))
        took_ms = round((time.perf_counter() - started) * 1000, 3)
        return {"type": self._database.dialect, "action": "analyze", "took_ms": took_ms}

    async def run_migrations(self) -> bool:
        """Bring the schema up to date; False when it was already."""
        return await self._migrations.upgrade()

    async def execute_query(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Run a query with bound parameters and return at most ten thousand rows; for operators, not for routes."""
        async with self._database.read() as tx:
            result = await tx.execute(sa.text(query), parameters)
            return [dict(row) for row in result.mappings().all()[:_MAX_ROWS]]

    def get_connection(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a connection for looking only."""
        return self._database.read()

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a unit of work that commits at the end of the block."""
        return self._database.work()

    async def check_pool_against_server(self, *, processes: int = 1) -> list[str]:
        """Return what is wrong with the pool's size for this server; nothing is good."""
        if self._database.dialect == "sqlite":
            return []
        async with self._database.read() as tx:
            row = (await tx.execute(_CONNECTION_LIMITS)).one()
        available = int(row.max_connections) - int(row.reserved)
        wanted = self._database.pool_state()["limit"] * processes
        if wanted <= available:
            return []
        problem = (
            f"{processes} processes may open {wanted} connections and the server offers {available}: lower "
            "ZENTRY_DATABASE__POOL_SIZE and ZENTRY_DATABASE__POOL_OVERFLOW, or raise max_connections."
        )
        return [problem]

    def publish_pool(self) -> None:
        """Let the process's metrics show this database's pool."""
        # Metrics live as long as the process; the database must not live on because of them.
        reference = weakref.ref(self._database)

        def read(state: str) -> float:
            database = reference()
            return 0.0 if database is None else float(database.pool_state()[state])

        for state in ("limit", "in_use", "idle"):
            POOL_CONNECTIONS.labels(state).set_function(partial(read, state))


_REVISION: Final = sa.text("SELECT max(version_num) FROM alembic_version")
_USERS: Final = sa.text("SELECT count(*) FROM users")
_TABLES: Final = {
    "sqlite": sa.text("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"),
    "postgresql": sa.text(
        "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) "
        "AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname"
    ),
}
_CONNECTION_LIMITS: Final = sa.text(
    "SELECT current_setting('max_connections') AS max_connections, "
    "current_setting('superuser_reserved_connections') AS reserved"
)
