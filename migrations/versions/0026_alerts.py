"""Alert policies, where they stand, their history, and silences."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

INSTANT = sa.DateTime(timezone=True)
ENABLED = {"postgresql": "enabled", "sqlite": "enabled = 1"}
ALIVE = sa.text("deleted_at IS NULL")
JUDGED = {dialect: sa.text(f"deleted_at IS NULL AND {enabled}") for dialect, enabled in ENABLED.items()}


def upgrade() -> None:
    """Create the tables."""
    _create_policies()
    op.create_table(
        "alert_states",
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False, comment="A machine, a project or an account."),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("run_since", INSTANT, nullable=True, comment="When the run began that may change the state."),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=False, comment="Changes of state so far."),
        sa.Column("notified", sa.Boolean(), nullable=False, comment="Whether its owner was told that it fires."),
        sa.CheckConstraint(
            "state IN ('ok', 'pending', 'firing', 'resolved')", name=op.f("ck_alert_states_state_known")
        ),
        sa.ForeignKeyConstraint(["policy_id"], ["alert_policies.id"], name="fk_alert_states_policy_id"),
        sa.PrimaryKeyConstraint("policy_id", "target_id", name="pk_alert_states"),
    )
    op.create_table(
        "alert_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True, comment="Which change of this alert it is; null for a test."),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("is_silenced", sa.Boolean(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["policy_id"], ["alert_policies.id"], name="fk_alert_changes_policy_id"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_changes"),
        sa.UniqueConstraint("policy_id", "target_id", "number", name="uq_alert_changes_policy_id_target_id_number"),
    )
    op.create_index("ix_alert_changes_user_created", "alert_changes", ["user_id", "created_at", "id"])
    op.create_index("ix_alert_changes_created_at", "alert_changes", ["created_at"])
    op.create_table(
        "alert_silences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("policy_id", sa.Uuid(), nullable=True, comment="Null for every policy."),
        sa.Column("vm_id", sa.Uuid(), nullable=True, comment="Null for every machine."),
        sa.Column("starts_at", INSTANT, nullable=False),
        sa.Column("ends_at", INSTANT, nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_alert_silences_ends_after_it_starts")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_alert_silences_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_silences"),
    )
    op.create_index("ix_alert_silences_user_ends", "alert_silences", ["user_id", "ends_at"])


def downgrade() -> None:
    """Drop them."""
    for table in ("alert_silences", "alert_changes", "alert_states", "alert_policies"):
        op.drop_table(table)


def _create_policies() -> None:
    known = {
        "severity": ("warning", "critical"),
        "source": ("metric", "event", "billing"),
        "condition": ("threshold", "absence", "rate"),
        "comparison": ("above", "below"),
        "aggregation": ("average", "peak"),
    }
    checks = []
    for column, words in known.items():
        allowed = ", ".join(f"'{word}'" for word in words)
        checks.append(sa.CheckConstraint(f"{column} IN ({allowed})", name=op.f(f"ck_alert_policies_{column}_known")))
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
        sa.Column("vm_id", sa.Uuid(), nullable=True),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("label_selector", sa.Text(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=True),
        sa.Column("deleted_at", INSTANT, nullable=True, comment="Its history stays for a while."),
        sa.Column("due_at", INSTANT, nullable=False, comment="When it is judged next."),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column(
            "fence", sa.BigInteger(), nullable=False, server_default="0", comment="Raised by each claim and change."
        ),
        *checks,
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_alert_policies_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_policies"),
    )
    op.create_index(
        "uq_alert_policies_live_name",
        "alert_policies",
        ["user_id", "name_key"],
        unique=True,
        postgresql_where=ALIVE,
        sqlite_where=ALIVE,
    )
    op.create_index(
        "ix_alert_policies_due",
        "alert_policies",
        ["due_at"],
        postgresql_where=JUDGED["postgresql"],
        sqlite_where=JUDGED["sqlite"],
    )
