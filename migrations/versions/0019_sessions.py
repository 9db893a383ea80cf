"""Refresh tokens whose successor can be found again, and sessions that end by themselves found quickly."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the column and the indexes."""
    op.add_column(
        "refresh_tokens",
        sa.Column(
            "salt",
            sa.Text(),
            comment="With the token itself it gives the one that followed; null before and long after.",
        ),
    )
    op.drop_index("ix_sessions_user_id", table_name="sessions")
    op.create_index("ix_sessions_user_id", "sessions", ["user_id", "created_at", "id"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])


def downgrade() -> None:
    """Remove them."""
    op.drop_index("ix_sessions_expires_at", table_name="sessions")
    op.drop_index("ix_sessions_user_id", table_name="sessions")
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.drop_column("refresh_tokens", "salt")
