"""Disk throughput, roll-ups of samples, and on PostgreSQL one partition for each day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

INSTANT = sa.DateTime(timezone=True)
METRICS = ("cpu_usage", "memory_usage", "disk_usage", "network_in", "network_out", "disk_read", "disk_write")
KEPT = ("id", "vm_id", "recorded_at", *METRICS)


def upgrade() -> None:
    """Add the columns and tables; samples that are there stay where they are."""
    for name in ("disk_read", "disk_write"):
        op.add_column(
            "vm_metrics",
            sa.Column(name, sa.Double(), nullable=False, server_default="0", comment="Bytes per second."),
        )
    _create_rollup("vm_metrics_5m", partition_by="RANGE (starts_at)")
    _create_rollup("vm_metrics_1h")
    op.create_table(
        "metric_rollups",
        sa.Column("name", sa.Text(), nullable=False, comment="Of the table that is filled."),
        sa.Column("rolled_until", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_metric_rollups"),
    )
    op.create_table(
        "metric_late_windows",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", INSTANT, nullable=False, comment="A window of five minutes that samples came late for."),
        sa.PrimaryKeyConstraint("id", name="pk_metric_late_windows"),
    )
    op.create_table(
        "sampling_rounds",
        sa.Column("driver", sa.Text(), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False, comment="When the next round begins."),
        sa.Column(
            "after",
            sa.Uuid(),
            nullable=True,
            comment="Up to which machine this round has been handed out; null between rounds.",
        ),
        sa.PrimaryKeyConstraint("driver", name="pk_sampling_rounds"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE TABLE vm_metrics_5m_default PARTITION OF vm_metrics_5m DEFAULT")
        _partition()


def downgrade() -> None:
    """Put the samples into one table again, without their disk throughput, and drop the roll-ups."""
    if op.get_bind().dialect.name == "postgresql":
        _unite()
    for table in ("sampling_rounds", "metric_late_windows", "metric_rollups", "vm_metrics_1h", "vm_metrics_5m"):
        op.drop_table(table)
    for name in ("disk_read", "disk_write"):
        op.drop_column("vm_metrics", name)


def _create_rollup(name: str, *, partition_by: str | None = None) -> None:
    op.create_table(
        name,
        sa.Column("vm_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", INSTANT, nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        *(sa.Column(metric, sa.Double(), nullable=False, comment="Average.") for metric in METRICS),
        *(sa.Column(f"{metric}_peak", sa.Double(), nullable=False) for metric in METRICS),
        sa.PrimaryKeyConstraint("vm_id", "starts_at", name=f"pk_{name}"),
        postgresql_partition_by=partition_by,
    )
    op.create_index(f"ix_{name}_starts_at", name, ["starts_at"])


def _create_vm_metrics(*, partition_by: str | None = None) -> None:
    op.create_table(
        "vm_metrics",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vm_id", sa.Uuid(), nullable=False),
        sa.Column(
            "recorded_at", INSTANT, nullable=False, comment="One sample of a machine per instant: a repeat is dropped."
        ),
        *(
            sa.Column(
                name,
                sa.Double(),
                nullable=False,
                server_default="0" if name in METRICS[-2:] else None,
                comment="Percent." if name.endswith("usage") else "Bytes per second.",
            )
            for name in METRICS
        ),
        sa.PrimaryKeyConstraint("vm_id", "recorded_at", name="pk_vm_metrics"),
        postgresql_partition_by=partition_by,
    )


def _partition() -> None:
    """Let the table that is there become the first partition: nothing is copied, however much it holds."""
    newest = op.get_bind().execute(sa.text("SELECT max(recorded_at) FROM vm_metrics")).scalar_one()
    op.execute("ALTER TABLE vm_metrics RENAME TO vm_metrics_before_partitions")
    op.execute("ALTER INDEX pk_vm_metrics RENAME TO pk_vm_metrics_before_partitions")
    op.execute("DROP INDEX ix_vm_metrics_recorded_at")
    _create_vm_metrics(partition_by="RANGE (recorded_at)")
    op.create_index(
        "ix_vm_metrics_recorded_at",
        "vm_metrics",
        ["recorded_at"],
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on", "pages_per_range": "32"},
    )
    if newest is None:
        op.execute("DROP TABLE vm_metrics_before_partitions")
    else:
        midnight = (newest.astimezone(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        op.execute(
            "ALTER TABLE vm_metrics ATTACH PARTITION vm_metrics_before_partitions "
            f"FOR VALUES FROM (MINVALUE) TO ('{_spelt(midnight)}')"
        )
    # A sample for whose day nobody has made a partition is kept here, and moves when somebody does.
    op.execute("CREATE TABLE vm_metrics_default PARTITION OF vm_metrics DEFAULT")


def _spelt(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S+00")


def _unite() -> None:
    op.execute("ALTER TABLE vm_metrics RENAME TO vm_metrics_partitioned")
    op.execute("ALTER INDEX pk_vm_metrics RENAME TO pk_vm_metrics_partitioned")
    op.execute("DROP INDEX ix_vm_metrics_recorded_at")
    _create_vm_metrics()
    before, after = (sa.table(name, *map(sa.column, KEPT)) for name in ("vm_metrics_partitioned", "vm_metrics"))
    op.execute(sa.insert(after).from_select(KEPT, sa.select(*before.c)))
    op.execute("DROP TABLE vm_metrics_partitioned")
    op.create_index("ix_vm_metrics_recorded_at", "vm_metrics", ["recorded_at"])
