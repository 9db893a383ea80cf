"""Samples of running machines, and the platform's own health over time."""

from __future__ import annotations

import sqlalchemy as sa

from zentry.platform.db.types import Document, Instant
from zentry.schema.metadata import metadata

vm_metrics = sa.Table(
    "vm_metrics",
    metadata,
    sa.Column("id", sa.Uuid, nullable=False),
    sa.Column("vm_id", sa.Uuid, primary_key=True),
    sa.Column(
        "recorded_at", Instant, primary_key=True, comment="One sample of a machine per instant: a repeat is dropped."
    ),
    sa.Column("cpu_usage", sa.Double, nullable=False, comment="Percent."),
    sa.Column("memory_usage", sa.Double, nullable=False, comment="Percent."),
    sa.Column("disk_usage", sa.Double, nullable=False, comment="Percent."),
    sa.Column("network_in", sa.Double, nullable=False, comment="Bytes per second."),
    sa.Column("network_out", sa.Double, nullable=False, comment="Bytes per second."),
    sa.Index("ix_vm_metrics_recorded_at", "recorded_at"),
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
