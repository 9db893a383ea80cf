"""Regions of machines that the reconciler looks after, and the index that it walks along."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

INSTANT = sa.DateTime(timezone=True)
ALWAYS_DUE = datetime(2024, 1, 1, tzinfo=UTC)
ALIVE = sa.text("status != 'terminated'")


def upgrade() -> None:
    """Create the table of regions, with one that holds every id."""
    regions = op.create_table(
        "reconciler_regions",
        sa.Column("starts_after", sa.Uuid, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("lease_until", INSTANT),
        sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("starts_after", name="pk_reconciler_regions"),
    )
    # SQLite keeps times as UTC without a zone.
    due_at = ALWAYS_DUE if op.get_bind().dialect.name == "postgresql" else ALWAYS_DUE.replace(tzinfo=None)
    op.bulk_insert(regions, [{"starts_after": UUID(int=0), "due_at": due_at}])
    op.create_index("ix_reconciler_regions_due_at", "reconciler_regions", ["due_at"])
    op.create_index("ix_vms_alive", "vms", ["id"], postgresql_where=ALIVE, sqlite_where=ALIVE)


def downgrade() -> None:
    """Drop both."""
    op.drop_index("ix_vms_alive", "vms")
    op.drop_table("reconciler_regions")
