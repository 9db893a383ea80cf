"""Personal access tokens that are limited to projects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0033"
down_revision = "0032"

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Add the column; tokens that are there stay unlimited."""
    op.add_column(
        "personal_tokens",
        sa.Column("projects", DOCUMENT, comment="Ids of the projects that it is limited to; null where it is not."),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_column("personal_tokens", "projects")
