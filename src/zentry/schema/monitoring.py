"""Samples of running machines, and the platform's own health over time."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from zentry.platform.db.types import Document, Instant
from zentry.schema.metadata import metadata

METRICS: Final = (
    ("cpu_usage", "Percent."),
    ("memory_usage", "Percent."),
    ("disk_usage", "Percent."),
    ("network_in", "Bytes per second."),
    ("network_out", "Bytes per second."),
    ("disk_read", "Bytes per second."),
    ("disk_write", "Bytes per second."),
)
"""What is measured of a machine, as columns."""

_ADDED_LATER: Final = {"disk_read": "0", "disk_write": "0"}

vm_metrics = sa.Table(
    "vm_metrics",
    metadata,
    sa.Column("id", sa.Uuid, nullable=False),
    sa.Column("vm_id", sa.Uuid, primary_key=True),
    sa.Column(
        "recorded_at", Instant, primary_key=True, comment="One sample of a machine per instant: a repeat is dropped."
    ),
    *(
        sa.Column(name, sa.Double, nullable=False, server_default=_ADDED_LATER.get(name), comment=unit)
        for name, unit in METRICS
    ),
    # Samples come in the order of time, so a summary per block finds a stretch of it, and costs inserts nothing.
    sa.Index(
        "ix_vm_metrics_recorded_at",
        "recorded_at",
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on", "pages_per_range": "32"},
    ),
    postgresql_partition_by="RANGE (recorded_at)",
)


def _rollup_columns() -> list[sa.Column[Any]]:
    """Return the columns of averages and peaks; its samples are those that an average was taken over."""
    return [
        sa.Column("vm_id", sa.Uuid, primary_key=True),
        sa.Column("starts_at", Instant, primary_key=True),
        sa.Column("samples", sa.Integer, nullable=False),
        *(sa.Column(metric, sa.Double, nullable=False, comment="Average.") for metric, _ in METRICS),
        *(sa.Column(f"{metric}_peak", sa.Double, nullable=False) for metric, _ in METRICS),
    ]


vm_metrics_5m = sa.Table(
    "vm_metrics_5m",
    metadata,
    *_rollup_columns(),
    sa.Index("ix_vm_metrics_5m_starts_at", "starts_at"),
    postgresql_partition_by="RANGE (starts_at)",
)
vm_metrics_1h = sa.Table(
    "vm_metrics_1h", metadata, *_rollup_columns(), sa.Index("ix_vm_metrics_1h_starts_at", "starts_at")
)

metric_rollups = sa.Table(
    "metric_rollups",
    metadata,
    sa.Column("name", sa.Text, primary_key=True, comment="Of the table that is filled."),
    sa.Column("rolled_until", Instant, nullable=False),
)

metric_late_windows = sa.Table(
    "metric_late_windows",
    metadata,
    # One row for each batch and window: who corrects a window removes the rows that it saw and no other.
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("starts_at", Instant, nullable=False, comment="A window of five minutes that samples came late for."),
)

sampling_rounds = sa.Table(
    "sampling_rounds",
    metadata,
    sa.Column("driver", sa.Text, primary_key=True),
    sa.Column("due_at", Instant, nullable=False, comment="When the next round begins."),
    sa.Column("after", sa.Uuid, comment="Up to which machine this round has been handed out; null between rounds."),
)

health_records = sa.Table(
    "health_records",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("component", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("details", Document, nullable=False),
    sa.Column("recorded_at", Instant, nullable=False),
    sa.Index("ix_health_records_component_recorded", "component", "recorded_at"),
    sa.Index("ix_health_records_recorded_at", "recorded_at"),
)
