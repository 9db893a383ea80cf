"""User data of machines, and templates to create machines from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"

INSTANT = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Add the tables; machines that are there have no user data."""
    op.add_column("vms", sa.Column("has_user_data", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "vm_user_data",
        sa.Column("vm_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False, comment="Removed with the machine."),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name=op.f("fk_vm_user_data_vm_id")),
        sa.PrimaryKeyConstraint("vm_id", name=op.f("pk_vm_user_data")),
    )
    op.create_table(
        "templates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False, comment="Case-folded; what uniqueness means."),
        sa.Column("instance_type", sa.Text(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("labels", DOCUMENT, nullable=False, server_default="{}"),
        sa.Column("ssh_keys", DOCUMENT, nullable=False, server_default="[]", comment="Ids; a key may be gone."),
        sa.Column("delete_protection", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("user_data", sa.LargeBinary(), comment="Sealed."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT),
        sa.ForeignKeyConstraint(["image"], ["images.name"], name=op.f("fk_templates_image")),
        sa.ForeignKeyConstraint(["instance_type"], ["instance_types.name"], name=op.f("fk_templates_instance_type")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_templates_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_templates")),
        sa.UniqueConstraint("user_id", "name_key", name=op.f("uq_templates_user_id_name_key")),
    )


def downgrade() -> None:
    """Forget templates and user data."""
    op.drop_table("templates")
    op.drop_table("vm_user_data")
    op.drop_column("vms", "has_user_data")
