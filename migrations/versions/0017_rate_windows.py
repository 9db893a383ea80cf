"""Rate limits remember the requests of a minute instead of one instant."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Keep the requests; what was counted before is worth nothing after a minute."""
    op.drop_index("ix_rate_limits_arrival_at", table_name="rate_limits")
    op.execute("ALTER TABLE rate_limits RENAME COLUMN arrival_at TO expires_at")
    op.add_column(
        "rate_limits",
        sa.Column(
            "recent",
            sa.LargeBinary(),
            nullable=False,
            server_default="",
            comment="When the requests of a minute came.",
        ),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("rate_limits", "expires_at", comment="When none of them counts any more.")
    op.create_index("ix_rate_limits_expires_at", "rate_limits", ["expires_at"], unique=False)


def downgrade() -> None:
    """Keep one instant again."""
    op.drop_index("ix_rate_limits_expires_at", table_name="rate_limits")
    op.execute("ALTER TABLE rate_limits DROP COLUMN recent")
    op.execute("ALTER TABLE rate_limits RENAME COLUMN expires_at TO arrival_at")
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("rate_limits", "arrival_at", comment="GCRA: the theoretical arrival time of the next request.")
    op.create_index("ix_rate_limits_arrival_at", "rate_limits", ["arrival_at"], unique=False)
