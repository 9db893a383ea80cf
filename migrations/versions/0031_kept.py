"""What stands still is found quickly: to be metered when it gets a price, and to be removed when it is not paid."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"

INDEXES = (
    ("ix_segments_kept", "segments", "paid_until", "meter != 'compute' AND ended_at IS NULL"),
    ("ix_vms_stopped", "vms", "id", "status = 'stopped'"),
    ("ix_snapshots_available", "snapshots", "id", "status = 'available'"),
)


def upgrade() -> None:
    """Create the indexes."""
    for name, table, column, condition in INDEXES:
        where = sa.text(condition)
        op.create_index(name, table, [column], postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    """Drop them."""
    for name, table, *_ in INDEXES:
        op.drop_index(name, table)
