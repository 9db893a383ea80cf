"""Members of projects, and the indexes by which what they see is found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

INSTANT = sa.DateTime(timezone=True)
BEING_CLONED = sa.text("status = 'creating' AND snapshot_id IS NOT NULL")


def upgrade() -> None:
    """Add the table, the indexes, and for whom user data was sealed."""
    op.create_table(
        "project_members",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False, comment="The owner has no row: projects.user_id says who it is."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=True),
        sa.CheckConstraint("role IN ('admin', 'member', 'viewer')", name=op.f("ck_project_members_role_known")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_project_members_project_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_project_members_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", "user_id", name=op.f("pk_project_members")),
    )
    op.create_index("ix_project_members_user_id", "project_members", ["user_id", "project_id"])
    op.create_index("ix_events_project_created", "events", ["project_id", "created_at", "id"])
    op.create_index("ix_operations_project", "operations", ["project_id", "created_at", "id"])
    op.create_index(
        "ix_vms_being_cloned",
        "vms",
        ["snapshot_id"],
        postgresql_where=BEING_CLONED,
        sqlite_where=BEING_CLONED,
    )
    op.add_column(
        "vm_user_data",
        sa.Column("sealed_for", sa.Uuid(), comment="The account that sent it; the key depends on it."),
    )
    op.execute("UPDATE vm_user_data SET sealed_for = (SELECT vms.user_id FROM vms WHERE vms.id = vm_user_data.vm_id)")
    with op.batch_alter_table("vm_user_data", reflect_kwargs={"resolve_fks": False}) as table:
        table.alter_column("sealed_for", existing_type=sa.Uuid(), nullable=False)


def downgrade() -> None:
    """Remove them."""
    with op.batch_alter_table("vm_user_data", reflect_kwargs={"resolve_fks": False}) as table:
        table.drop_column("sealed_for")
    op.drop_index("ix_vms_being_cloned", table_name="vms")
    op.drop_index("ix_operations_project", table_name="operations")
    op.drop_index("ix_events_project_created", table_name="events")
    op.drop_table("project_members")
