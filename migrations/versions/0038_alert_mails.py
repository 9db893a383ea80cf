"""Alert policies say whether their owner is told by mail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    """Add the column; those that are there go on as they were."""
    op.add_column(
        "alert_policies",
        sa.Column("notify_mail", sa.Boolean(), nullable=False, server_default=sa.false(), comment="Beside the event."),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_column("alert_policies", "notify_mail")
