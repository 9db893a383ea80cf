"""Mails on their way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

INSTANT = sa.DateTime(timezone=True)
PENDING = sa.text("status = 'pending'")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "mails",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "key", sa.Text(), nullable=False, comment="What it is about; a repeat of its cause adds no second one."
        ),
        sa.Column("user_id", sa.Uuid(), comment="The account that it goes to; null where there is none yet."),
        sa.Column("content", sa.LargeBinary(), comment="Recipient, subject and text, sealed; null once it has ended."),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "attempt",
            sa.Integer(),
            nullable=False,
            server_default="0",
            comment="Rises with every claim: its fence.",
        ),
        sa.Column("due_at", INSTANT, nullable=False, comment="When to try next; a claim moves it on by its lease."),
        sa.Column("expires_at", INSTANT, nullable=False, comment="When sending it is no use any more."),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
        sa.UniqueConstraint("key", name=op.f("uq_mails_key")),
        sa.CheckConstraint("status IN ('pending', 'sent', 'dead')", name=op.f("ck_mails_status_known")),
        sa.CheckConstraint("(status = 'pending') = (content IS NOT NULL)", name=op.f("ck_mails_forgotten_at_the_end")),
    )
    op.create_index("ix_mails_due_at", "mails", ["due_at"], postgresql_where=PENDING, sqlite_where=PENDING)
    op.create_index("ix_mails_user_id", "mails", ["user_id"])
    op.create_index("ix_mails_ended_at", "mails", ["ended_at"])


def downgrade() -> None:
    """Forget them."""
    op.drop_table("mails")
