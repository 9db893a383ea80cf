"""Personal access tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"

INSTANT = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "personal_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False, comment="Case-folded; what uniqueness means."),
        sa.Column("hash", sa.Text(), nullable=False, comment="SHA-256 of the token; the token itself is nowhere."),
        sa.Column("ending", sa.Text(), nullable=False, comment="The last four characters, for its owner."),
        sa.Column("scopes", DOCUMENT, nullable=False),
        sa.Column("life_days", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("last_used_at", INSTANT, comment="To the minute."),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_personal_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_personal_tokens")),
        sa.UniqueConstraint("hash", name=op.f("uq_personal_tokens_hash")),
        sa.UniqueConstraint("user_id", "name_key", name=op.f("uq_personal_tokens_user_id_name_key")),
    )


def downgrade() -> None:
    """Forget the tokens."""
    op.drop_table("personal_tokens")
