"""What is personal in a change (a name, an e-mail) lies beside its event, where it can be deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0037"
down_revision = "0036"

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Add the column."""
    personal = "Names and addresses as they were and as they are, where the event changed them."
    op.add_column("event_details", sa.Column("personal", DOCUMENT, comment=personal))


def downgrade() -> None:
    """Remove it."""
    op.drop_column("event_details", "personal")
