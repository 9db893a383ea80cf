"""Vouchers with their redemptions, and budgets with what they have told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"

INSTANT = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "vouchers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.Text(), nullable=False, comment="SHA-256 of the code; the code itself is nowhere."),
        sa.Column("hint", sa.Text(), nullable=False, comment="Its last characters, to tell vouchers apart."),
        sa.Column("amount_micros", sa.BigInteger(), nullable=False),
        sa.Column("max_redemptions", sa.Integer(), nullable=False),
        sa.Column("redemptions", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("expires_at", INSTANT),
        sa.Column("withdrawn_at", INSTANT),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint("amount_micros > 0", name=op.f("ck_vouchers_amount_positive")),
        sa.CheckConstraint("redemptions BETWEEN 0 AND max_redemptions", name=op.f("ck_vouchers_never_over_redeemed")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vouchers")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_vouchers_code_hash")),
    )
    op.create_index("ix_vouchers_created_at", "vouchers", ["created_at", "id"])
    op.create_table(
        "voucher_redemptions",
        sa.Column("voucher_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False, comment="Once for each account."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["voucher_id"], ["vouchers.id"], name=op.f("fk_voucher_redemptions_voucher_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_voucher_redemptions_user_id")),
        sa.PrimaryKeyConstraint("voucher_id", "user_id", name=op.f("pk_voucher_redemptions")),
    )
    op.create_table(
        "budgets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Uuid(), comment="Null for the whole account."),
        sa.Column("label_key", sa.Text(), comment="Null for all machines."),
        sa.Column("label_value", sa.Text()),
        sa.Column("amount_micros", sa.BigInteger(), nullable=False, comment="For a month, UTC."),
        sa.Column("thresholds", DOCUMENT, nullable=False),
        sa.Column("period_start", INSTANT, nullable=False, comment="The month that `spent_micros` is of."),
        sa.Column("spent_micros", sa.BigInteger(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.CheckConstraint("amount_micros > 0", name=op.f("ck_budgets_amount_positive")),
        sa.CheckConstraint("spent_micros >= 0", name=op.f("ck_budgets_spent_not_negative")),
        sa.CheckConstraint("(label_key IS NULL) = (label_value IS NULL)", name=op.f("ck_budgets_label_is_whole")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_budgets_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budgets")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_budgets_user_id_name")),
    )
    op.create_table(
        "budget_firings",
        sa.Column("budget_id", sa.Uuid(), nullable=False),
        sa.Column("period_start", INSTANT, nullable=False),
        sa.Column("threshold", sa.Text(), nullable=False, comment="Fires once in a month."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["budget_id"], ["budgets.id"], name=op.f("fk_budget_firings_budget_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("budget_id", "period_start", "threshold", name=op.f("pk_budget_firings")),
    )


def downgrade() -> None:
    """Remove them."""
    for table in ("budget_firings", "budgets", "voucher_redemptions", "vouchers"):
        op.drop_table(table)
