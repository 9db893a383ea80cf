"""Samples of machines, roll-ups, alerts and health."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0035"
down_revision = "0034"

INSTANT = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
ALWAYS_DUE = datetime(2024, 1, 1, tzinfo=UTC)
TABLES = (
    "health_records",
    "invariant_checks",
    "metric_late_windows",
    "metric_rollups",
    "sampling_rounds",
    "vm_metrics",
    "vm_metrics_1h",
    "vm_metrics_5m",
    "alert_policies",
    "alert_silences",
    "alert_changes",
    "alert_states",
)
"""Each after those that it refers to."""


def upgrade() -> None:
    """Create the tables."""
    _create_health_records()
    _create_invariant_checks()
    _create_metric_late_windows()
    _create_metric_rollups()
    _create_sampling_rounds()
    _create_vm_metrics()
    _create_vm_metrics_1h()
    _create_vm_metrics_5m()
    _create_alert_policies()
    _create_alert_silences()
    _create_alert_changes()
    _create_alert_states()


def downgrade() -> None:
    """Drop them, those that refer to others first."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_health_records() -> None:
    op.create_table(
        "health_records",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("component", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("details", DOCUMENT, nullable=False),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_health_records"),
    )
    op.create_index("ix_health_records_component_recorded", "health_records", ["component", "recorded_at"])
    op.create_index("ix_health_records_recorded_at", "health_records", ["recorded_at"])


def _create_invariant_checks() -> None:
    checks = op.create_table(
        "invariant_checks",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False, comment="When the next one is due; who begins moves it on."),
        sa.Column("checked_at", INSTANT),
        sa.Column("violations", sa.Integer(), server_default="0", nullable=False),
        sa.Column("examples", DOCUMENT, nullable=False, comment="Sentences about the first of them."),
        sa.Column("looked_at", sa.Text(), server_default="", nullable=False, comment="What was recomputed, in words."),
        sa.CheckConstraint("id = 1", name="ck_invariant_checks_alone"),
        sa.PrimaryKeyConstraint("id", name="pk_invariant_checks"),
        comment="One row: the last recomputation of what must always hold.",
    )
    op.bulk_insert(checks, [{"id": 1, "due_at": _kept(ALWAYS_DUE), "examples": []}])


def _create_metric_late_windows() -> None:
    op.create_table(
        "metric_late_windows",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", INSTANT, nullable=False, comment="A window of five minutes that samples came late for."),
        sa.PrimaryKeyConstraint("id", name="pk_metric_late_windows"),
    )


def _create_metric_rollups() -> None:
    op.create_table(
        "metric_rollups",
        sa.Column("name", sa.Text(), nullable=False, comment="Of the table that is filled."),
        sa.Column("rolled_until", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_metric_rollups"),
    )


def _create_sampling_rounds() -> None:
    op.create_table(
        "sampling_rounds",
        sa.Column("driver", sa.Text(), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False, comment="When the next round begins."),
        sa.Column(
            "after", sa.Uuid(), comment="Up to which machine this round has been handed out; null between rounds."
        ),
        sa.PrimaryKeyConstraint("driver", name="pk_sampling_rounds"),
    )


def _create_vm_metrics() -> None:
    op.create_table(
        "vm_metrics",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vm_id", sa.Uuid(), nullable=False),
        sa.Column(
            "recorded_at", INSTANT, nullable=False, comment="One sample of a machine per instant: a repeat is dropped."
        ),
        sa.Column("cpu_usage", sa.Double(), nullable=False, comment="Percent."),
        sa.Column("memory_usage", sa.Double(), nullable=False, comment="Percent."),
        sa.Column("disk_usage", sa.Double(), nullable=False, comment="Percent."),
        sa.Column("network_in", sa.Double(), nullable=False, comment="Bytes per second."),
        sa.Column("network_out", sa.Double(), nullable=False, comment="Bytes per second."),
        sa.Column("disk_read", sa.Double(), server_default="0", nullable=False, comment="Bytes per second."),
        sa.Column("disk_write", sa.Double(), server_default="0", nullable=False, comment="Bytes per second."),
        sa.PrimaryKeyConstraint("vm_id", "recorded_at", name="pk_vm_metrics"),
        postgresql_partition_by="RANGE (recorded_at)",
    )
    op.create_index(
        "ix_vm_metrics_recorded_at",
        "vm_metrics",
        ["recorded_at"],
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on", "pages_per_range": "32"},
    )
    if op.get_bind().dialect.name == "postgresql":
        # A sample for whose day nobody has made a partition is kept here, and moves when somebody does.
        op.execute("CREATE TABLE vm_metrics_default PARTITION OF vm_metrics DEFAULT")


def _create_vm_metrics_1h() -> None:
    op.create_table(
        "vm_metrics_1h",
        sa.Column("vm_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", INSTANT, nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("cpu_usage", sa.Double(), nullable=False, comment="Average."),
        sa.Column("memory_usage", sa.Double(), nullable=False, comment="Average."),
        sa.Column("disk_usage", sa.Double(), nullable=False, comment="Average."),
        sa.Column("network_in", sa.Double(), nullable=False, comment="Average."),
        sa.Column("network_out", sa.Double(), nullable=False, comment="Average."),
        sa.Column("disk_read", sa.Double(), nullable=False, comment="Average."),
        sa.Column("disk_write", sa.Double(), nullable=False, comment="Average."),
        sa.Column("cpu_usage_peak", sa.Double(), nullable=False),
        sa.Column("memory_usage_peak", sa.Double(), nullable=False),
        sa.Column("disk_usage_peak", sa.Double(), nullable=False),
        sa.Column("network_in_peak", sa.Double(), nullable=False),
        sa.Column("network_out_peak", sa.Double(), nullable=False),
        sa.Column("disk_read_peak", sa.Double(), nullable=False),
        sa.Column("disk_write_peak", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("vm_id", "starts_at", name="pk_vm_metrics_1h"),
    )
    op.create_index("ix_vm_metrics_1h_starts_at", "vm_metrics_1h", ["starts_at"])


def _create_vm_metrics_5m() -> None:
    op.create_table(
        "vm_metrics_5m",
        sa.Column("vm_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", INSTANT, nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("cpu_usage", sa.Double(), nullable=False, comment="Average."),
        sa.Column("memory_usage", sa.Double(), nullable=False, comment="Average."),
        sa.Column("disk_usage", sa.Double(), nullable=False, comment="Average."),
        sa.Column("network_in", sa.Double(), nullable=False, comment="Average."),
        sa.Column("network_out", sa.Double(), nullable=False, comment="Average."),
        sa.Column("disk_read", sa.Double(), nullable=False, comment="Average."),
        sa.Column("disk_write", sa.Double(), nullable=False, comment="Average."),
        sa.Column("cpu_usage_peak", sa.Double(), nullable=False),
        sa.Column("memory_usage_peak", sa.Double(), nullable=False),
        sa.Column("disk_usage_peak", sa.Double(), nullable=False),
        sa.Column("network_in_peak", sa.Double(), nullable=False),
        sa.Column("network_out_peak", sa.Double(), nullable=False),
        sa.Column("disk_read_peak", sa.Double(), nullable=False),
        sa.Column("disk_write_peak", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("vm_id", "starts_at", name="pk_vm_metrics_5m"),
        postgresql_partition_by="RANGE (starts_at)",
    )
    op.create_index("ix_vm_metrics_5m_starts_at", "vm_metrics_5m", ["starts_at"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE TABLE vm_metrics_5m_default PARTITION OF vm_metrics_5m DEFAULT")


def _create_alert_policies() -> None:
    op.create_table(
        "alert_policies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False, comment="Case-folded; what uniqueness means."),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="The metric, the kind of event, or the figure."),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("comparison", sa.Text(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("clear_threshold", sa.Double(), nullable=False),
        sa.Column("aggregation", sa.Text(), nullable=False),
        sa.Column("window_seconds", sa.Integer(), nullable=False),
        sa.Column("fire_after_seconds", sa.Integer(), nullable=False),
        sa.Column("resolve_after_seconds", sa.Integer(), nullable=False),
        sa.Column("vm_id", sa.Uuid()),
        sa.Column("project_id", sa.Uuid()),
        sa.Column("label_selector", sa.Text()),
        sa.Column("notify_mail", sa.Boolean(), server_default=sa.false(), nullable=False, comment="Beside the event."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT),
        sa.Column("deleted_at", INSTANT, comment="Its history stays for a while."),
        sa.Column("due_at", INSTANT, nullable=False, comment="When it is judged next."),
        sa.Column("lease_until", INSTANT),
        sa.Column(
            "fence", sa.BigInteger(), server_default="0", nullable=False, comment="Raised by each claim and change."
        ),
        sa.CheckConstraint("aggregation IN ('average', 'peak')", name="ck_alert_policies_aggregation_known"),
        sa.CheckConstraint("comparison IN ('above', 'below')", name="ck_alert_policies_comparison_known"),
        sa.CheckConstraint("condition IN ('threshold', 'absence', 'rate')", name="ck_alert_policies_condition_known"),
        sa.CheckConstraint("severity IN ('warning', 'critical')", name="ck_alert_policies_severity_known"),
        sa.CheckConstraint("source IN ('metric', 'event', 'billing')", name="ck_alert_policies_source_known"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_alert_policies_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_policies"),
    )
    op.create_index(
        "ix_alert_policies_due",
        "alert_policies",
        ["due_at"],
        postgresql_where=sa.text("deleted_at IS NULL AND enabled"),
        sqlite_where=sa.text("deleted_at IS NULL AND enabled = 1"),
    )
    op.create_index(
        "uq_alert_policies_live_name",
        "alert_policies",
        ["user_id", "name_key"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
        sqlite_where=sa.text("deleted_at IS NULL"),
    )


def _create_alert_silences() -> None:
    op.create_table(
        "alert_silences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("policy_id", sa.Uuid(), comment="Null for every policy."),
        sa.Column("vm_id", sa.Uuid(), comment="Null for every machine."),
        sa.Column("starts_at", INSTANT, nullable=False),
        sa.Column("ends_at", INSTANT, nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint("ends_at > starts_at", name="ck_alert_silences_ends_after_it_starts"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_alert_silences_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_silences"),
    )
    op.create_index("ix_alert_silences_user_ends", "alert_silences", ["user_id", "ends_at"])


def _create_alert_changes() -> None:
    op.create_table(
        "alert_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), comment="Which change of this alert it is; null for a test."),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("is_silenced", sa.Boolean(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["policy_id"], ["alert_policies.id"], name="fk_alert_changes_policy_id"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_changes"),
        sa.UniqueConstraint("policy_id", "target_id", "number", name="uq_alert_changes_policy_id_target_id_number"),
    )
    op.create_index("ix_alert_changes_created_at", "alert_changes", ["created_at"])
    op.create_index("ix_alert_changes_user_created", "alert_changes", ["user_id", "created_at", "id"])


def _create_alert_states() -> None:
    op.create_table(
        "alert_states",
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False, comment="A machine, a project or an account."),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("run_since", INSTANT, comment="When the run began that may change the state."),
        sa.Column("value", sa.Double()),
        sa.Column("number", sa.Integer(), nullable=False, comment="Changes of state so far."),
        sa.Column("notified", sa.Boolean(), nullable=False, comment="Whether its owner was told that it fires."),
        sa.CheckConstraint("state IN ('ok', 'pending', 'firing', 'resolved')", name="ck_alert_states_state_known"),
        sa.ForeignKeyConstraint(["policy_id"], ["alert_policies.id"], name="fk_alert_states_policy_id"),
        sa.PrimaryKeyConstraint("policy_id", "target_id", name="pk_alert_states"),
    )


def _kept(instant: datetime) -> datetime:
    """Return it as the database keeps it: SQLite as UTC without a zone."""
    return instant if op.get_bind().dialect.name == "postgresql" else instant.replace(tzinfo=None)
