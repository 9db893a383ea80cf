"""Samples of running machines, and the platform's own health over time."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from zentry.platform.db.types import Document, Instant
from zentry.schema.metadata import metadata, one_of

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
    sa.Column("id", sa.Uuid, nullable=False),  # Of the batch that brought it; nothing reads it.
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

invariant_checks = sa.Table(
    "invariant_checks",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("due_at", Instant, nullable=False, comment="When the next one is due; who begins moves it on."),
    sa.Column("checked_at", Instant),
    sa.Column("violations", sa.Integer, nullable=False, server_default="0"),
    sa.Column("examples", Document, nullable=False, comment="Sentences about the first of them."),
    sa.Column("looked_at", sa.Text, nullable=False, server_default="", comment="What was recomputed, in words."),
    sa.CheckConstraint("id = 1", name="alone"),
    comment="One row: the last recomputation of what must always hold.",
)

alert_policies = sa.Table(
    "alert_policies",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False, comment="Case-folded; what uniqueness means."),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False, comment="The metric, the kind of event, or the figure."),
    sa.Column("condition", sa.Text, nullable=False),
    sa.Column("comparison", sa.Text, nullable=False),
    sa.Column("threshold", sa.Double, nullable=False),
    sa.Column("clear_threshold", sa.Double, nullable=False),
    sa.Column("aggregation", sa.Text, nullable=False),
    sa.Column("window_seconds", sa.Integer, nullable=False),
    sa.Column("fire_after_seconds", sa.Integer, nullable=False),
    sa.Column("resolve_after_seconds", sa.Integer, nullable=False),
    sa.Column("vm_id", sa.Uuid),
    sa.Column("project_id", sa.Uuid),
    sa.Column("label_selector", sa.Text),
    sa.Column("notify_mail", sa.Boolean, nullable=False, server_default=sa.false(), comment="Beside the event."),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant),
    sa.Column("deleted_at", Instant, comment="Its history stays for a while."),
    sa.Column("due_at", Instant, nullable=False, comment="When it is judged next."),
    sa.Column("lease_until", Instant),
    sa.Column("fence", sa.BigInteger, nullable=False, server_default="0", comment="Raised by each claim and change."),
    one_of("severity", ("warning", "critical")),
    one_of("source", ("metric", "event", "billing")),
    one_of("condition", ("threshold", "absence", "rate")),
    one_of("comparison", ("above", "below")),
    one_of("aggregation", ("average", "peak")),
)
is_policy_alive = alert_policies.c.deleted_at.is_(None)
is_policy_judged = sa.and_(is_policy_alive, alert_policies.c.enabled)
sa.Index(
    "uq_alert_policies_live_name",
    alert_policies.c.user_id,
    alert_policies.c.name_key,
    unique=True,
    postgresql_where=is_policy_alive,
    sqlite_where=is_policy_alive,
)
sa.Index(
    "ix_alert_policies_due", alert_policies.c.due_at, postgresql_where=is_policy_judged, sqlite_where=is_policy_judged
)

alert_states = sa.Table(
    "alert_states",
    metadata,
    sa.Column("policy_id", sa.Uuid, sa.ForeignKey("alert_policies.id"), primary_key=True),
    sa.Column("target_id", sa.Uuid, primary_key=True, comment="A machine, a project or an account."),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("since", Instant, nullable=False),
    sa.Column("run_since", Instant, comment="When the run began that may change the state."),
    sa.Column("value", sa.Double),
    sa.Column("number", sa.Integer, nullable=False, comment="Changes of state so far."),
    sa.Column("notified", sa.Boolean, nullable=False, comment="Whether its owner was told that it fires."),
    one_of("state", ("ok", "pending", "firing", "resolved")),
)

alert_changes = sa.Table(
    "alert_changes",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, nullable=False),
    sa.Column("policy_id", sa.Uuid, sa.ForeignKey("alert_policies.id"), nullable=False),
    sa.Column("target_id", sa.Uuid, nullable=False),
    sa.Column("number", sa.Integer, comment="Which change of this alert it is; null for a test."),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("is_silenced", sa.Boolean, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.UniqueConstraint("policy_id", "target_id", "number"),
    sa.Index("ix_alert_changes_user_created", "user_id", "created_at", "id"),
    sa.Index("ix_alert_changes_created_at", "created_at"),
)

alert_silences = sa.Table(
    "alert_silences",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("policy_id", sa.Uuid, comment="Null for every policy."),
    sa.Column("vm_id", sa.Uuid, comment="Null for every machine."),
    sa.Column("starts_at", Instant, nullable=False),
    sa.Column("ends_at", Instant, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("ends_at > starts_at", name="ends_after_it_starts"),
    sa.Index("ix_alert_silences_user_ends", "user_id", "ends_at"),
)
