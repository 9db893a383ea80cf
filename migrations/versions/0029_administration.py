"""Suspended accounts, and the indexes by which administrators find accounts and operations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"

IS_ADMINISTRATOR = sa.text("role = 'admin'")


def upgrade() -> None:
    """Add the columns and the indexes."""
    op.add_column(
        "users",
        sa.Column("suspended_at", sa.DateTime(timezone=True), comment="Since when an administrator shuts it out."),
    )
    op.add_column("users", sa.Column("suspended_for", sa.Text(), comment="The administrator's reason."))
    op.create_index("ix_users_created_at", "users", ["created_at", "id"])
    op.create_index(
        "ix_users_administrators",
        "users",
        ["id"],
        postgresql_where=IS_ADMINISTRATOR,
        sqlite_where=IS_ADMINISTRATOR,
    )
    op.create_index("ix_operations_created_at", "operations", ["created_at", "id"])


def downgrade() -> None:
    """Remove them."""
    op.drop_index("ix_operations_created_at", table_name="operations")
    op.drop_index("ix_users_administrators", table_name="users")
    op.drop_index("ix_users_created_at", table_name="users")
    op.drop_column("users", "suspended_for")
    op.drop_column("users", "suspended_at")
