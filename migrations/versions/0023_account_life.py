"""Links that prove who reads an address, second factors, and accounts that were deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add columns and tables."""
    op.add_column("users", sa.Column("email_verified_at", INSTANT))
    op.add_column(
        "users",
        sa.Column(
            "welcome_pending",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="The welcome waits for the proof of the address.",
        ),
    )
    op.add_column("users", sa.Column("deleted_at", INSTANT))
    op.create_table(
        "account_links",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False, comment="SHA-256 of the token; the token itself is nowhere."),
        sa.Column("email", sa.Text(), comment="The new address, where the link proves one."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_account_links_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "purpose", name=op.f("pk_account_links")),
        sa.UniqueConstraint("hash", name=op.f("uq_account_links_hash")),
        sa.CheckConstraint(
            "purpose IN ('verify_email', 'change_email', 'reset_password', 'second_factor')",
            name=op.f("ck_account_links_purpose_known"),
        ),
    )
    op.create_index("ix_account_links_expires_at", "account_links", ["expires_at"])
    op.create_table(
        "second_factors",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False, comment="Sealed."),
        sa.Column("confirmed_at", INSTANT, comment="Null until a first code has shown that the owner has the secret."),
        sa.Column("last_step", sa.BigInteger(), nullable=False, server_default="0", comment="Of the last code taken."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_second_factors_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_second_factors")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False, comment="SHA-256 of the code; a used one is deleted."),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_recovery_codes_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "hash", name=op.f("pk_recovery_codes")),
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_table("recovery_codes")
    op.drop_table("second_factors")
    op.drop_table("account_links")
    op.drop_column("users", "deleted_at")
    op.drop_column("users", "welcome_pending")
    op.drop_column("users", "email_verified_at")
