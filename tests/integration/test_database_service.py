"""The database tells how it is, and never fails to answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY

from tests.support.databases import connect, empty_postgresql, empty_sqlite
from zentry.platform.db import Database
from zentry.platform.db.migrations import Migrations
from zentry.platform.db.service import DatabaseService
from zentry.schema.accounts import login_failures
from zentry.schema.metadata import metadata


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    empty = (
        empty_sqlite(tmp_path)
        if request.param == "sqlite"
        else empty_postgresql(request.getfixturevalue("postgres_url"))
    )
    async with empty as url:
        opened = connect(url)
        yield opened
        await opened.close()


@pytest.fixture
async def service(database: Database) -> DatabaseService:
    service = DatabaseService(database, Migrations(database))
    await service.run_migrations()
    return service


async def test_a_database_that_is_well_says_so(database: Database, service: DatabaseService) -> None:
    health = await service.health_check()

    assert health.status == "healthy"
    assert health.type == database.dialect
    assert health.users_count == 0
    assert health.schema_revision == Migrations(database).head()
    assert health.response_time_ms > 0
    assert health.pool["limit"] > 0
    assert health.error is None


async def test_a_database_without_tables_is_unhealthy(database: Database) -> None:
    health = await DatabaseService(database, Migrations(database)).health_check()

    assert health.status == "unhealthy"
    assert health.users_count is None
    assert health.error


async def test_a_server_that_is_away_is_unhealthy_and_its_password_stays_unsaid() -> None:
    database = connect("postgresql://zentry:secret@127.0.0.1:1/zentry")

    health = await DatabaseService(database, Migrations(database)).health_check()

    assert health.status == "unhealthy"
    assert "secret" not in repr(health)
    await database.close()


async def test_a_file_that_cannot_be_opened_is_unhealthy(tmp_path: Path) -> None:
    database = connect(f"sqlite:///{tmp_path / 'missing' / 'test.db'}")

    threads = set(threading.enumerate())

    health = await DatabaseService(database, Migrations(database)).health_check()

    assert health.status == "unhealthy"
    await database.close()
    # The driver's thread ends by itself after a failure, and tells the loop so: the loop must be there still.
    for thread in set(threading.enumerate()) - threads:
        await asyncio.to_thread(thread.join, 10)


async def test_the_look_at_the_health_ends_in_time_when_every_connection_is_taken(
    database: Database, service: DatabaseService
) -> None:
    async with asyncio.timeout(10):
        size = database.pool_state()["limit"]
        readers = [database.read() for _ in range(size if database.dialect == "postgresql" else size - 1)]
        for reader in readers:
            await reader.__aenter__()

        health = await service.health_check(timeout_seconds=0.2)

        for reader in readers:
            await reader.__aexit__(None, None, None)

    assert health.status == "unhealthy"
    assert health.error == "The database did not answer within 0.2 s."
    assert (await service.health_check()).status == "healthy"


async def test_statistics_count_the_rows_of_every_table(service: DatabaseService) -> None:
    statistics = await service.statistics()

    assert set(statistics) == {*metadata.tables, "alembic_version"}
    assert statistics["instance_types"] == 4
    assert statistics["users"] == 0


async def test_optimizing_leaves_the_data_as_it_is(service: DatabaseService) -> None:
    before = await service.statistics()

    result = await service.optimize()

    assert result["took_ms"] >= 0
    after = await service.statistics()
    # SQLite keeps what ANALYZE learned in a table of its own.
    assert {name: after[name] for name in before} == before


async def test_migrations_run_once(service: DatabaseService) -> None:
    assert not await service.run_migrations()


async def test_a_query_takes_its_values_as_parameters(service: DatabaseService) -> None:
    found = await service.execute_query("SELECT name, vcpus FROM instance_types WHERE name = :name", {"name": "large"})
    injected = await service.execute_query(
        "SELECT name FROM instance_types WHERE name = :name", {"name": "large' OR 'a' = 'a"}
    )

    assert found == [{"name": "large", "vcpus": 4}]
    assert injected == []


async def test_a_transaction_that_fails_leaves_nothing(database: Database, service: DatabaseService) -> None:
    values = {"key": "k", "count": 1}

    async def fail() -> None:
        async with service.transaction() as tx:
            await tx.execute(sa.insert(login_failures).values(expires_at=tx.now, **values))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        await fail()

    async with service.get_connection() as tx:
        assert (await tx.execute(sa.select(sa.func.count()).select_from(login_failures))).scalar_one() == 0
    async with service.transaction() as tx:
        await tx.execute(sa.insert(login_failures).values(expires_at=tx.now, **values))
    async with service.get_connection() as tx:
        assert (await tx.execute(sa.select(sa.func.count()).select_from(login_failures))).scalar_one() == 1


async def test_more_connections_than_the_server_offers_are_reported(
    database: Database, service: DatabaseService
) -> None:
    assert await service.check_pool_against_server() == []

    problems = await service.check_pool_against_server(processes=1000)

    assert len(problems) == (1 if database.dialect == "postgresql" else 0)


async def test_the_pool_shows_in_the_metrics(database: Database, service: DatabaseService) -> None:
    service.publish_pool()

    async with database.read():
        in_use = REGISTRY.get_sample_value("zentry_database_pool_connections", {"state": "in_use"})

    assert in_use == 1
    assert REGISTRY.get_sample_value("zentry_database_pool_connections", {"state": "in_use"}) == 0


@pytest.mark.parametrize("name", ["sslmode", "ssl"])
async def test_both_names_of_the_tls_mode_are_understood(postgres_url: str, name: str) -> None:
    database = connect(f"{postgres_url}?{name}=prefer")
    try:
        async with database.read() as tx:
            assert (await tx.execute(sa.text("SELECT 1"))).scalar_one() == 1
    finally:
        await database.close()
