"""Sessions note when their owner has last proven who it is, beside the login itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Add the column; for sessions that are there the login counts."""
    proven = "When the owner proved who it is once more; null where the login is the last proof."
    op.add_column("sessions", sa.Column("proven_at", sa.DateTime(timezone=True), comment=proven))


def downgrade() -> None:
    """Remove it."""
    op.drop_column("sessions", "proven_at")
