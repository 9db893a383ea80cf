"""Operations carry the span that they follow."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Add the column."""
    column = sa.Column("traceparent", sa.Text(), comment="The span that it follows, where traces are kept.")
    op.add_column("operations", column)


def downgrade() -> None:
    """Remove it."""
    op.drop_column("operations", "traceparent")
