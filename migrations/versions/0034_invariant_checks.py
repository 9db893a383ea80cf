"""What the last recomputation of the books found."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0034"
down_revision = "0033"

INSTANT = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Add the row; the first check is due at once."""
    checks = op.create_table(
        "invariant_checks",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False, comment="When the next one is due; who begins moves it on."),
        sa.Column("checked_at", INSTANT),
        sa.Column("violations", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("examples", DOCUMENT, nullable=False, comment="Sentences about the first of them."),
        sa.Column("looked_at", sa.Text(), nullable=False, server_default="", comment="What was recomputed, in words."),
        sa.PrimaryKeyConstraint("id", name="pk_invariant_checks"),
        sa.CheckConstraint("id = 1", name="ck_invariant_checks_alone"),
        comment="One row: the last recomputation of what must always hold.",
    )
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    if op.get_bind().dialect.name == "sqlite":
        long_ago = long_ago.replace(tzinfo=None)
    op.bulk_insert(checks, [{"id": 1, "due_at": long_ago, "examples": []}])


def downgrade() -> None:
    """Remove it."""
    op.drop_table("invariant_checks")
