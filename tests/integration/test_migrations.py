"""The schema goes up and down without losing anything, and holds its rules by itself."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tests.support.databases import connect, empty_postgresql, empty_sqlite
from zentry.platform.db import Database
from zentry.platform.db.migrations import Migrations, SchemaTooNew, SchemaTooOld
from zentry.schema import accounts, billing, events, mail, metadata, monitoring, operations, projects, vms, webhooks

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
USER, PROJECT, VM, SEGMENT, RECORD = (uuid4() for _ in range(5))

START = """
import asyncio, random, sys
from tests.support.databases import connect
from zentry.platform.db.migrations import Migrations

async def start():
    database = connect(sys.argv[1])
    print(await Migrations(database).upgrade())
    await database.close()

asyncio.run(start())
"""


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    empty = (
        empty_sqlite(tmp_path)
        if request.param == "sqlite"
        else empty_postgresql(request.getfixturevalue("postgres_url"))
    )
    async with empty as address:
        yield address


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    opened = connect(url)
    yield opened
    await opened.close()


@pytest.fixture
def migrations(database: Database) -> Migrations:
    return Migrations(database)


def rows() -> list[tuple[sa.Table, dict[str, Any]]]:
    """One row for every table that migrations do not fill themselves, parents first."""
    resource = {"user_id": USER, "project_id": PROJECT}
    return [
        (
            accounts.users,
            {
                "id": USER,
                "email": "Ada@example.com",
                "email_key": "ada@example.com",
                "name": "Ada",
                "hashed_password": "x",
                "role": "user",
                "is_active": True,
                "created_at": NOW,
                "credits": 50_000_000,
                "held": 100_000,
                "meter_due_at": LATER,
            },
        ),
        (
            accounts.sessions,
            {
                "id": PROJECT,
                "user_id": USER,
                "created_at": NOW,
                "expires_at": LATER,
                "last_used_at": NOW,
                "user_agent": "",
                "address": "",
            },
        ),
        (accounts.refresh_tokens, {"hash": "h", "session_id": PROJECT, "created_at": NOW, "expires_at": LATER}),
        (
            accounts.personal_tokens,
            {
                "id": VM,
                "user_id": USER,
                "name": "script",
                "name_key": "script",
                "hash": "h",
                "ending": "A7Kd",
                "scopes": ["vms:read"],
                "life_days": 90,
                "created_at": NOW,
                "expires_at": LATER,
            },
        ),
        (
            mail.mails,
            {
                "id": VM,
                "key": "k",
                "user_id": USER,
                "content": b"sealed",
                "status": "pending",
                "due_at": NOW,
                "expires_at": LATER,
                "created_at": NOW,
            },
        ),
        (
            accounts.account_links,
            {
                "user_id": USER,
                "purpose": "reset_password",
                "hash": "h",
                "created_at": NOW,
                "expires_at": LATER,
            },
        ),
        (accounts.second_factors, {"user_id": USER, "secret": b"sealed", "created_at": NOW}),
        (accounts.recovery_codes, {"user_id": USER, "hash": "h"}),
        (accounts.login_failures, {"key": "k", "count": 1, "expires_at": LATER}),
        (accounts.rate_limits, {"key": "k", "expires_at": LATER}),
        (
            projects.projects,
            {"id": PROJECT, "user_id": USER, "name": "Æon", "name_key": "æon", "description": "", "created_at": NOW},
        ),
        *(
            (projects.quotas, {"owner_id": owner, "resource": resource, "used": used, "maximum": maximum})
            for owner, resource, used, maximum in (
                (USER, "projects", 1, 10),
                (USER, "vms", 1, 50),
                (USER, "vcpus", 1, 200),
                (USER, "memory_mib", 1024, 409_600),
                (USER, "disk_gib", 20, 4000),
                (USER, "snapshots", 0, 100),
                (PROJECT, "snapshots", 0, 40),
                (PROJECT, "vms", 1, 20),
                (PROJECT, "vcpus", 1, 80),
                (PROJECT, "memory_mib", 1024, 163_840),
                (PROJECT, "disk_gib", 20, 1600),
            )
        ),
        (
            vms.vms,
            {
                "id": VM,
                **resource,
                "name": "web",
                "name_key": "web",
                "instance_type": "small",
                "image": "debian-12",
                "vcpus": 1,
                "memory_mib": 1024,
                "disk_gib": 20,
                "status": "running",
                "wanted": "running",
                "ip_address": "10.64.0.2",
                "created_at": NOW,
            },
        ),
        (
            vms.snapshots,
            {
                "id": VM,
                **resource,
                "vm_id": VM,
                "name": "before",
                "name_key": "before",
                "image": "debian-12",
                "disk_gib": 20,
                "status": "available",
                "created_at": NOW,
            },
        ),
        (
            vms.ssh_keys,
            {
                "id": VM,
                "user_id": USER,
                "name": "laptop",
                "name_key": "laptop",
                "public_key": "ssh-ed25519 AAAA",
                "fingerprint": "SHA256:x",
                "created_at": NOW,
            },
        ),
        (vms.vm_user_data, {"vm_id": VM, "sealed": b"sealed", "sealed_for": USER}),
        (projects.project_members, {"project_id": PROJECT, "user_id": USER, "role": "member", "created_at": NOW}),
        (
            projects.project_transfers,
            {"project_id": PROJECT, "user_id": USER, "created_at": NOW, "expires_at": LATER},
        ),
        (
            projects.project_invitations,
            {
                "id": VM,
                "project_id": PROJECT,
                "email": "new@example.com",
                "email_key": "new@example.com",
                "role": "viewer",
                "token_hash": "hash",
                "invited_by": USER,
                "created_at": NOW,
                "sent_at": NOW,
                "expires_at": LATER,
            },
        ),
        (
            vms.templates,
            {
                "id": VM,
                "user_id": USER,
                "name": "web",
                "name_key": "web",
                "instance_type": "small",
                "image": "debian-12",
                "user_data": b"sealed",
                "created_at": NOW,
            },
        ),
        (vms.vm_labels, {"vm_id": VM, "key": "env", "value": "prod", "user_id": USER}),
        (vms.ip_leases, {"address": "10.64.0.2", "vm_id": VM, "leased_at": NOW}),
        (
            billing.holds,
            {"id": VM, "user_id": USER, "resource_id": VM, "remaining": 100_000, "status": "open", "created_at": NOW},
        ),
        (
            billing.segments,
            {
                "id": SEGMENT,
                **resource,
                "resource_id": VM,
                "resource_type": "small",
                "meter": "vm",
                "price_version": 1,
                "rate_micros_per_hour": 50_000,
                "started_at": NOW,
                "paid_until": LATER,
                "charged_until": NOW,
                "charged_micros": 0,
            },
        ),
        (billing.resource_costs, {"resource_id": VM, **resource, "charged_micros": 50_000}),
        (billing.daily_spend, {"user_id": USER, "day": NOW.date(), "micros": 50_000}),
        (
            billing.billing_records,
            {
                "id": RECORD,
                "user_id": USER,
                "vm_id": VM,
                "action_type": "vm_create",
                "amount": -50_000,
                "description": "d",
                "created_at": NOW,
                "segment_id": SEGMENT,
            },
        ),
        (
            billing.grants,
            {
                "id": RECORD,
                "user_id": USER,
                "record_id": RECORD,
                "reason": "course",
                "amount": 1,
                "remaining": 1,
                "expires_at": LATER,
            },
        ),
        (
            billing.ledger_entries,
            {
                "id": RECORD,
                "user_id": USER,
                "position": 1,
                "debit": "available",
                "credit": "revenue",
                "amount": 50_000,
                "cause": "c",
                "record_id": RECORD,
                "created_at": NOW,
                "hash": "h",
            },
        ),
        (
            billing.statements,
            {
                "id": VM,
                "user_id": USER,
                "number": 1,
                "period_start": NOW,
                "period_end": LATER,
                "currency": "USD",
                "first_position": 1,
                "last_position": 1,
                "line_count": 1,
                "opening_micros": 0,
                "added_micros": 5,
                "charged_micros": 2,
                "deducted_micros": 1,
                "closing_micros": 2,
                "closed_at": LATER,
            },
        ),
        (billing.statement_schedule, {"user_id": USER, "due_at": NOW}),
        (
            billing.vouchers,
            {
                "id": VM,
                "code_hash": "h",
                "hint": "ABCD",
                "amount_micros": 1,
                "max_redemptions": 2,
                "redemptions": 1,
                "reason": "æ",
                "created_by": USER,
                "created_at": NOW,
            },
        ),
        (billing.voucher_redemptions, {"voucher_id": VM, "user_id": USER, "created_at": NOW}),
        (
            billing.budgets,
            {
                "id": VM,
                "user_id": USER,
                "name": "b",
                "amount_micros": 1,
                "thresholds": [{"basis": "actual", "action": "notify", "micros": 1}],
                "period_start": NOW,
                "spent_micros": 0,
                "created_at": NOW,
                "updated_at": NOW,
            },
        ),
        (
            billing.budget_firings,
            {"budget_id": VM, "period_start": NOW, "threshold": "notify:actual:1", "created_at": NOW},
        ),
        (
            events.events,
            {
                "id": VM,
                "kind": "vm.running",
                "user_id": USER,
                "resource_type": "vm",
                "resource_id": VM,
                "cause": "user",
                "data": {"æ": [1]},
                "created_at": NOW,
            },
        ),
        (
            events.event_log,
            {"position": 1, "event_id": VM, "user_id": USER, "resource_id": VM, "logged_at": NOW, "hash": "h"},
        ),
        (
            webhooks.webhook_endpoints,
            {
                "id": VM,
                "user_id": USER,
                "url": "https://hooks.example.com/",
                "description": "",
                "kinds": ["vm."],
                "secret": b"sealed",
                "created_at": NOW,
                "updated_at": NOW,
            },
        ),
        (
            webhooks.webhook_deliveries,
            {
                "id": VM,
                "endpoint_id": VM,
                "position": 1,
                "kind": "vm.running",
                "resource_id": VM,
                "due_at": NOW,
                "created_at": NOW,
            },
        ),
        (webhooks.webhook_attempts, {"delivery_id": VM, "number": 1, "at": NOW, "took_ms": 7}),
        (events.event_details, {"event_id": VM, "address": "192.0.2.1", "agent": "curl", "created_at": NOW}),
        (
            monitoring.vm_metrics,
            {
                "id": VM,
                "vm_id": VM,
                "recorded_at": NOW,
                "cpu_usage": 1.5,
                "memory_usage": 0.1,
                "disk_usage": 3.0,
                "network_in": 1e9,
                "network_out": 0.0,
            },
        ),
        *((table, rollup()) for table in (monitoring.vm_metrics_5m, monitoring.vm_metrics_1h)),
        (monitoring.metric_rollups, {"name": "vm_metrics_5m", "rolled_until": NOW}),
        (monitoring.metric_late_windows, {"id": VM, "starts_at": NOW}),
        (monitoring.sampling_rounds, {"driver": "simulator", "due_at": NOW, "after": VM}),
        (monitoring.alert_policies, policy()),
        (
            monitoring.alert_states,
            {"policy_id": VM, "target_id": VM, "state": "firing", "since": NOW, "number": 2, "notified": True},
        ),
        (
            monitoring.alert_changes,
            {
                "id": VM,
                "user_id": USER,
                "policy_id": VM,
                "target_id": VM,
                "number": 1,
                "state": "firing",
                "previous": "ok",
                "is_silenced": False,
                "created_at": NOW,
            },
        ),
        (
            monitoring.alert_silences,
            {"id": VM, "user_id": USER, "starts_at": NOW, "ends_at": LATER, "comment": "c", "created_at": NOW},
        ),
        (
            monitoring.health_records,
            {"id": VM, "component": "api", "status": "healthy", "details": {}, "recorded_at": NOW},
        ),
        (
            operations.operations,
            {
                "id": VM,
                "kind": "create",
                "vm_id": VM,
                **resource,
                "status": "pending",
                "not_before": NOW,
                "deadline": LATER,
                "input": {},
                "created_at": NOW,
            },
        ),
        (
            operations.idempotency_keys,
            {"user_id": USER, "route": "POST /vms", "key": "k", "fingerprint": "f", "created_at": NOW},
        ),
    ]


def rollup() -> dict[str, Any]:
    figures = {name: 1.5 for name, _ in monitoring.METRICS}
    peaks = {f"{name}_peak": 2.5 for name in figures}
    return {"vm_id": VM, "starts_at": NOW, "samples": 3, **figures, **peaks}


def policy() -> dict[str, Any]:
    words = {
        "severity": "warning",
        "source": "metric",
        "subject": "cpu_usage",
        "condition": "threshold",
        "comparison": "above",
        "aggregation": "peak",
    }
    numbers = {"threshold": 90.5, "clear_threshold": 80.5, "window_seconds": 60}
    times = {"fire_after_seconds": 1, "resolve_after_seconds": 2, "created_at": NOW, "due_at": LATER}
    names = {"id": VM, "user_id": USER, "name": "P", "name_key": "p", "enabled": True}
    return {**names, **words, **numbers, **times}


async def fill(database: Database) -> None:
    async with database.work() as tx:
        for table, values in rows():
            await tx.execute(sa.insert(table).values(**values))


async def columns_now(database: Database) -> dict[str, set[str]]:
    """Return the columns that every table has in the database as it is."""

    def reflect(connection: sa.Connection) -> dict[str, set[str]]:
        inspector = sa.inspect(connection)
        return {
            name: {column["name"] for column in inspector.get_columns(name)} for name in inspector.get_table_names()
        }

    async with database.writer.connect() as connection:
        return await connection.run_sync(reflect)


async def checksums(database: Database, columns: dict[str, set[str]]) -> dict[str, str]:
    """Return a sum over each table's named columns."""
    sums = {}
    async with database.read() as tx:
        for table in metadata.metadata.sorted_tables:
            if table.name not in columns:
                continue
            kept = [column for column in table.columns if column.name in columns[table.name]]
            ordered = sa.select(*kept).order_by(*table.primary_key.columns)
            content = [tuple(row) for row in await tx.execute(ordered)]
            assert content, f"{table.name} has no row to watch"
            sums[table.name] = hashlib.sha256(repr(content).encode()).hexdigest()
    return sums


async def test_an_empty_database_is_brought_up_to_exactly_the_declared_tables(migrations: Migrations) -> None:
    upgraded = await migrations.upgrade()

    assert upgraded
    assert await migrations.current() == migrations.head()
    assert await migrations.check(metadata.metadata) == []


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection", "ignore:autogenerate skipping")
async def test_alembic_itself_finds_nothing_left_to_generate(database: Database, migrations: Migrations) -> None:
    await migrations.upgrade()

    def compare(connection: sa.Connection) -> list[Any]:
        def reflected(_: object, name: str | None, kind: str, *__: object) -> bool:
            # SQLite cannot reflect an index on an expression; partitions are not declared.
            return (kind, name) != ("index", "ix_vms_user_live_first") and not str(name).endswith("_default")

        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": reflected})
        return list(compare_metadata(context, metadata.metadata))

    async with database.writer.connect() as connection:
        found = await connection.run_sync(compare)

    assert found == []


async def test_a_second_start_finds_nothing_to_do(migrations: Migrations) -> None:
    await migrations.upgrade()

    assert not await migrations.upgrade()


async def test_the_head_read_from_file_names_is_alembics(database: Database) -> None:
    migrations = Migrations(database)
    script = ScriptDirectory(str(migrations._directory))

    assert migrations.head() == script.get_current_head()
    assert migrations.revisions() == sorted(revision.revision for revision in script.walk_revisions())


async def test_every_step_down_and_up_again_keeps_what_both_sides_know(
    database: Database, migrations: Migrations
) -> None:
    await migrations.upgrade()
    await migrations.downgrade(migrations.revisions()[0])
    oldest = await columns_now(database)
    await migrations.upgrade()
    await fill(database)
    newest = await checksums(database, await columns_now(database))
    before = await checksums(database, oldest)

    for revision in reversed(migrations.revisions()[:-1]):
        await migrations.downgrade(revision)
        assert await migrations.current() == revision
        await migrations.upgrade()
    after = await checksums(database, oldest)

    assert len(newest) == len(metadata.metadata.tables)
    assert after == before
    assert await migrations.check(metadata.metadata) == []


async def test_all_the_way_down_leaves_nothing_and_up_builds_it_again(
    database: Database, migrations: Migrations
) -> None:
    await migrations.upgrade()
    await fill(database)

    await migrations.downgrade("base")
    left = await migrations.check(metadata.metadata)
    await migrations.upgrade()

    assert not any(line.startswith("not declared") for line in left)
    assert await migrations.check(metadata.metadata) == []
    await fill(database)


async def test_two_starters_at_once_migrate_once(url: str, migrations: Migrations) -> None:
    command = [sys.executable, "-c", START, url]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    starters = [
        await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, cwd=root, env=environment)
        for _ in range(2)
    ]

    async with asyncio.timeout(60):
        ended = [await starter.communicate() for starter in starters]

    assert [starter.returncode for starter in starters] == [0, 0], ended
    assert sorted(output.split()[-1] for output, _ in ended) == [b"False", b"True"]
    assert await migrations.check(metadata.metadata) == []


async def test_a_failing_migration_leaves_the_database_as_it_was(database: Database, tmp_path: Path) -> None:
    real = Migrations(database)
    await real.upgrade()
    directory = tmp_path / "migrations"
    (directory / "versions").mkdir(parents=True)
    for source in (real._directory / "env.py", *(real._directory / "versions").glob("*.py")):
        (directory / source.relative_to(real._directory)).write_text(source.read_text())
    (directory / "versions" / "9999_bad.py").write_text(
        "from alembic import op\n"
        f"revision, down_revision = '9999', '{real.head()}'\n"
        "def upgrade():\n"
        "    op.execute('CREATE TABLE half (id INTEGER)')\n"
        "    op.execute('CREATE TABLE half (id INTEGER)')\n"
    )

    with pytest.raises(sa.exc.DBAPIError):
        await Migrations(database, directory=directory).upgrade()

    assert await real.current() == real.head()
    assert await real.check(metadata.metadata) == []


async def test_a_database_of_a_newer_program_is_refused(database: Database, migrations: Migrations) -> None:
    await migrations.upgrade()
    async with database.work() as tx:
        await tx.execute(sa.text("UPDATE alembic_version SET version_num = '9998'"))

    for attempt in (migrations.upgrade, migrations.require_head):
        with pytest.raises(SchemaTooNew, match="9998"):
            await attempt()


async def test_a_database_that_was_not_migrated_is_refused_where_migrations_are_not_run(migrations: Migrations) -> None:
    with pytest.raises(SchemaTooOld, match="zentry db upgrade"):
        await migrations.require_head()

    await migrations.upgrade()
    await migrations.require_head()


@pytest.mark.parametrize(
    "damage",
    [
        "DROP INDEX ix_events_resource",
        "ALTER TABLE projects ADD COLUMN extra TEXT",
        "CREATE TABLE stray (id INTEGER)",
        "CREATE INDEX ix_stray ON projects (name)",
    ],
)
async def test_drift_is_found(database: Database, migrations: Migrations, damage: str) -> None:
    await migrations.upgrade()
    async with database.work() as tx:
        await tx.execute(sa.text(damage))

    assert await migrations.check(metadata.metadata) != []


async def test_a_partial_index_with_another_predicate_is_drift(database: Database, migrations: Migrations) -> None:
    await migrations.upgrade()
    async with database.work() as tx:
        await tx.execute(sa.text("DROP INDEX uq_segments_open"))
        await tx.execute(
            sa.text("CREATE UNIQUE INDEX uq_segments_open ON segments (resource_id, meter) WHERE ended_at IS NOT NULL")
        )

    assert len(await migrations.check(metadata.metadata)) == 2


async def test_a_lost_trigger_is_drift(database: Database, migrations: Migrations) -> None:
    await migrations.upgrade()
    statement = {
        "sqlite": ("DROP TRIGGER events_no_delete", "DROP TRIGGER events_queued"),
        "postgresql": (
            "ALTER TABLE events DISABLE TRIGGER events_append_only",
            "ALTER TABLE events DISABLE TRIGGER events_queued",
        ),
    }
    async with database.work() as tx:
        for one in statement[database.dialect]:
            await tx.execute(sa.text(one))

    assert len(await migrations.check(metadata.metadata)) == 2


async def test_what_is_append_only_refuses_every_change(database: Database, migrations: Migrations) -> None:
    await migrations.upgrade()
    await fill(database)

    for table in ("ledger_entries", "billing_records", "statements", "events", "event_log"):
        for change in (f"UPDATE {table} SET user_id = user_id", f"DELETE FROM {table}"):
            with pytest.raises(sa.exc.IntegrityError, match=f"{table} is append-only"):
                await change_rows(database, sa.text(change))


async def change_rows(database: Database, change: sa.Executable) -> None:
    async with database.work() as tx:
        await tx.execute(change)


BROKEN: list[tuple[str, sa.Table, dict[str, Any]]] = [
    ("spent more than there is", accounts.users, {"held": 50_000_001}),
    ("a negative balance", accounts.users, {"credits": -1, "held": -1}),
    ("an unknown role", accounts.users, {"role": "root"}),
    ("a negative quota", projects.quotas, {"used": -1}),
    ("an unknown status", vms.vms, {"status": "starting"}),
    ("an address after death", vms.vms, {"status": "terminated"}),
    ("an unknown image", vms.vms, {"image": "beos"}),
    ("an unknown project", vms.vms, {"project_id": UUID(int=0)}),
    ("a closed hold that holds", billing.holds, {"status": "closed"}),
    ("charged beyond what is paid", billing.segments, {"charged_until": LATER + timedelta(seconds=1)}),
    ("a segment that runs backward", billing.segments, {"ended_at": NOW - timedelta(seconds=1)}),
    ("an overlap", billing.segments, {"predecessor_id": SEGMENT, "predecessor_ended_at": LATER}),
    ("more than all", operations.operations, {"progress": 101}),
]


async def test_the_database_itself_refuses(database: Database, migrations: Migrations) -> None:
    await migrations.upgrade()
    await fill(database)
    admitted = []

    for rule, table, change in BROKEN:
        try:
            await change_rows(database, sa.update(table).values(**change))
        except sa.exc.IntegrityError:
            continue
        admitted.append(rule)

    assert admitted == []


async def test_a_second_live_row_of_the_same_name_or_machine_is_refused(
    database: Database, migrations: Migrations
) -> None:
    await migrations.upgrade()
    await fill(database)

    for table in (projects.projects, vms.vms, billing.segments, operations.operations):
        values = next(values for filled, values in rows() if filled is table)
        other = {**values, "id": uuid4(), **({"ip_address": None} if table is vms.vms else {})}
        with pytest.raises(sa.exc.IntegrityError):
            await change_rows(database, sa.insert(table).values(**other))


async def test_the_catalogue_is_there_from_the_start(database: Database, migrations: Migrations) -> None:
    await migrations.upgrade()

    async with database.read() as tx:
        types = (await tx.execute(sa.select(vms.instance_types).order_by(vms.instance_types.c.sort_order))).all()
        images = set((await tx.execute(sa.select(vms.images.c.name))).scalars())
        prices = {row.item: (row.unit, row.micros) for row in await tx.execute(sa.select(billing.prices))}
        lists = (await tx.execute(sa.select(billing.price_lists))).all()

    assert [tuple(row)[:4] for row in types] == [
        ("small", 1, 1024, 20),
        ("medium", 2, 4096, 40),
        ("large", 4, 8192, 80),
        ("xlarge", 8, 16384, 160),
    ]
    assert images >= {"ubuntu-22.04", "ubuntu-20.04", "centos-8", "debian-11", "fedora-38"}
    assert prices["small"] == ("hour", 50_000)
    assert prices["xlarge"] == ("hour", 400_000)
    assert prices["vm_create"] == ("each", 50_000)
    assert [tuple(row)[:3] for row in lists] == [(1, datetime(2024, 1, 1, tzinfo=UTC), "USD")]
