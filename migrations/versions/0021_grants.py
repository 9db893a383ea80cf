"""Discounts of accounts, grants that end, and what could not be paid found quickly."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

INSTANT = sa.DateTime(timezone=True)
EXHAUSTED = sa.text("exhausted_at IS NOT NULL AND ended_at IS NULL")
IS_OPEN = sa.text("closed_at IS NULL")


def upgrade() -> None:
    """Add the columns, the table and the index."""
    # In words, since Alembic can't add a column with its rule on SQLite.
    op.execute(
        "ALTER TABLE users ADD COLUMN discount_basis_points INTEGER NOT NULL DEFAULT '0' "
        "CONSTRAINT ck_users_discount_within_the_whole CHECK (discount_basis_points BETWEEN 0 AND 10000)"
    )
    op.add_column("users", sa.Column("grants_end_at", INSTANT, comment="When the next grant ends."))
    op.create_table(
        "grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False, comment="What was not spent of it."),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("closed_at", INSTANT),
        sa.Column("lapsed_micros", sa.BigInteger(), comment="What was taken back at its end."),
        sa.CheckConstraint("amount > 0", name=op.f("ck_grants_amount_positive")),
        sa.CheckConstraint("remaining BETWEEN 0 AND amount", name=op.f("ck_grants_remaining_of_amount")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_grants_user_id")),
        sa.ForeignKeyConstraint(["record_id"], ["billing_records.id"], name=op.f("fk_grants_record_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
        sa.UniqueConstraint("record_id", name=op.f("uq_grants_record_id")),
    )
    op.create_index(
        "ix_grants_user_open",
        "grants",
        ["user_id", "expires_at"],
        postgresql_where=IS_OPEN,
        sqlite_where=IS_OPEN,
    )
    op.create_index(
        "ix_segments_exhausted", "segments", ["user_id"], postgresql_where=EXHAUSTED, sqlite_where=EXHAUSTED
    )


def downgrade() -> None:
    """Remove them; what was granted stays where it is."""
    op.drop_index("ix_segments_exhausted", "segments")
    op.drop_table("grants")
    op.drop_column("users", "grants_end_at")
    op.execute("ALTER TABLE users DROP COLUMN discount_basis_points")
