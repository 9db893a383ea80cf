"""Operations, and the keys that make a repeat harmless."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0032"
down_revision = "0031"

INSTANT = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TABLES = (
    "idempotency_keys",
    "operations",
)
"""Each after those that it refers to."""


def upgrade() -> None:
    """Create the tables."""
    _create_idempotency_keys()
    _create_operations()


def downgrade() -> None:
    """Drop them, those that refer to others first."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False, comment="Method and path template."),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="SHA-256 of path and body."),
        sa.Column("resource_id", sa.Uuid()),
        sa.Column("operation_id", sa.Uuid()),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_idempotency_keys_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "route", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def _create_operations() -> None:
    op.create_table(
        "operations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("vm_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "step", sa.Integer(), server_default="0", nullable=False, comment="Steps done; undo counts them down."
        ),
        sa.Column("undoing", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("owner", sa.Text()),
        sa.Column("lease_until", INSTANT),
        sa.Column("not_before", INSTANT, nullable=False),
        sa.Column("deadline", INSTANT, nullable=False),
        sa.Column("progress", sa.Integer(), server_default="0", nullable=False),
        sa.Column("input", DOCUMENT, nullable=False),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_message", sa.Text()),
        sa.Column("request_id", sa.Text()),
        sa.Column("traceparent", sa.Text(), comment="The span that it follows, where traces are kept."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("started_at", INSTANT),
        sa.Column("finished_at", INSTANT),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'succeeded', 'failed', 'cancelled')", name="ck_operations_status_known"
        ),
        sa.CheckConstraint("progress BETWEEN 0 AND 100", name="ck_operations_progress_percent"),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name="fk_operations_vm_id"),
        sa.PrimaryKeyConstraint("id", name="pk_operations"),
    )
    op.create_index("ix_operations_created_at", "operations", ["created_at", "id"])
    op.create_index(
        "ix_operations_due",
        "operations",
        ["not_before"],
        postgresql_where=sa.text("status = 'pending'"),
        sqlite_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "ix_operations_lease",
        "operations",
        ["lease_until"],
        postgresql_where=sa.text("status = 'running'"),
        sqlite_where=sa.text("status = 'running'"),
    )
    op.create_index("ix_operations_project", "operations", ["project_id", "created_at", "id"])
    op.create_index("ix_operations_user", "operations", ["user_id", "created_at", "id"])
    op.create_index(
        "ix_operations_user_status",
        "operations",
        ["user_id", "status", "created_at", "id"],
        postgresql_where=sa.text("status != 'succeeded'"),
        sqlite_where=sa.text("status != 'succeeded'"),
    )
    op.create_index("ix_operations_vm", "operations", ["vm_id", "created_at"])
    op.create_index(
        "uq_operations_active_vm",
        "operations",
        ["vm_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('pending', 'running')"),
        sqlite_where=sa.text("status IN ('pending', 'running')"),
    )
