"""Machines get labels, an index to find them by, and protection against deletion."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Add what is new; machines that are there have no labels and no protection."""
    op.add_column("vms", sa.Column("delete_protection", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column(
        "vms",
        sa.Column(
            "labels", DOCUMENT, nullable=False, server_default="{}", comment="As shown; vm_labels finds by them."
        ),
    )
    op.create_table(
        "vm_labels",
        sa.Column("vm_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column(
            "user_id",
            sa.Uuid(),
            nullable=False,
            comment="The machine's owner, so that one index serves a list.",
        ),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name=op.f("fk_vm_labels_vm_id")),
        sa.PrimaryKeyConstraint("vm_id", "key", name=op.f("pk_vm_labels")),
    )
    op.create_index("ix_vm_labels_user_key_value", "vm_labels", ["user_id", "key", "value", "vm_id"])


def downgrade() -> None:
    """Forget labels and protection."""
    op.drop_table("vm_labels")
    op.drop_column("vms", "labels")
    op.drop_column("vms", "delete_protection")
