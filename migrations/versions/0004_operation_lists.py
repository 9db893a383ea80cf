"""Indexes for the lists of operations: keyset paging needs the id behind the time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NOT_SUCCEEDED = sa.text("status != 'succeeded'")


def upgrade() -> None:
    """Widen the index of the list, and add one for what did not simply succeed."""
    op.drop_index("ix_operations_user", "operations")
    op.create_index("ix_operations_user", "operations", ["user_id", "created_at", "id"])
    op.create_index(
        "ix_operations_user_status",
        "operations",
        ["user_id", "status", "created_at", "id"],
        postgresql_where=NOT_SUCCEEDED,
        sqlite_where=NOT_SUCCEEDED,
    )


def downgrade() -> None:
    """Put the narrower index back."""
    op.drop_index("ix_operations_user_status", "operations")
    op.drop_index("ix_operations_user", "operations")
    op.create_index("ix_operations_user", "operations", ["user_id", "created_at"])
