"""Warnings of the end of credit, and machines that were stopped for it found quickly."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

OUT_OF_CREDIT = sa.text("status = 'stopped' AND stop_reason = 'credit'")


def upgrade() -> None:
    """Add the column and the index."""
    op.add_column(
        "users",
        sa.Column(
            "credit_warning",
            sa.Integer(),
            nullable=False,
            server_default="0",
            comment="Warnings given of the credit's end.",
        ),
    )
    op.create_index(
        "ix_vms_out_of_credit",
        "vms",
        ["user_id", "last_stopped"],
        postgresql_where=OUT_OF_CREDIT,
        sqlite_where=OUT_OF_CREDIT,
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_index("ix_vms_out_of_credit", table_name="vms")
    op.drop_column("users", "credit_warning")
