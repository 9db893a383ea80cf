"""Invitations to projects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "project_invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False, comment="As it was written."),
        sa.Column("email_key", sa.Text(), nullable=False, comment="Case-folded; who may accept."),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column(
            "token_hash",
            sa.Text(),
            nullable=False,
            comment="SHA-256 of the token; the token itself is in the mail.",
        ),
        sa.Column("invited_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("sent_at", INSTANT, nullable=False),
        sa.Column("sends", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.CheckConstraint("role IN ('admin', 'member', 'viewer')", name=op.f("ck_project_invitations_role_known")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_project_invitations_project_id")),
        sa.ForeignKeyConstraint(
            ["invited_by"], ["users.id"], name=op.f("fk_project_invitations_invited_by"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project_invitations")),
        sa.UniqueConstraint("project_id", "email_key", name=op.f("uq_project_invitations_project_id_email_key")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_project_invitations_token_hash")),
    )
    op.create_index("ix_project_invitations_expires_at", "project_invitations", ["expires_at"])
    op.create_index("ix_project_invitations_invited_by", "project_invitations", ["invited_by"])


def downgrade() -> None:
    """Remove it."""
    op.drop_table("project_invitations")
