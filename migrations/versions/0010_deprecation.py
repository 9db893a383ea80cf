"""Images and instance types say when they are deprecated and when they can no longer be chosen."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

INSTANT = sa.DateTime(timezone=True)
TABLES = ("images", "instance_types")
SUPPORT_ENDED = (
    # What its makers no longer mend; it can still be chosen.
    ("centos-8", datetime(2021, 12, 31, tzinfo=UTC)),
    ("fedora-38", datetime(2024, 5, 21, tzinfo=UTC)),
    ("ubuntu-20.04", datetime(2025, 5, 31, tzinfo=UTC)),
)


def upgrade() -> None:
    """Add both dates, and the first of them where the makers have set it."""
    for table in TABLES:
        op.add_column(table, sa.Column("deprecated_at", INSTANT, nullable=True))
        op.add_column(
            table,
            sa.Column("unavailable_after", INSTANT, nullable=True, comment="Cannot be chosen from then on."),
        )
    images = sa.table("images", sa.column("name", sa.Text), sa.column("deprecated_at", INSTANT))
    for name, at in SUPPORT_ENDED:
        # SQLite keeps times as UTC without a zone.
        kept = at if op.get_bind().dialect.name == "postgresql" else at.replace(tzinfo=None)
        op.execute(images.update().where(images.c.name == name).values(deprecated_at=kept))


def downgrade() -> None:
    """Forget the dates."""
    for table in TABLES:
        op.drop_column(table, "unavailable_after")
        op.drop_column(table, "deprecated_at")
