"""SSH keys of accounts, and those that a machine was created with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"

INSTANT = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Add the table; machines that are there have no keys."""
    op.create_table(
        "ssh_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False, comment="Case-folded; what uniqueness means."),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_ssh_keys_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ssh_keys")),
        sa.UniqueConstraint("user_id", "fingerprint", name=op.f("uq_ssh_keys_user_id_fingerprint")),
        sa.UniqueConstraint("user_id", "name_key", name=op.f("uq_ssh_keys_user_id_name_key")),
    )
    op.add_column(
        "vms",
        sa.Column(
            "ssh_keys",
            DOCUMENT,
            nullable=False,
            server_default="[]",
            comment="Names, fingerprints and keys as they were when it was created.",
        ),
    )


def downgrade() -> None:
    """Forget the keys."""
    op.drop_column("vms", "ssh_keys")
    op.drop_table("ssh_keys")
