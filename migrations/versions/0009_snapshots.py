"""Snapshots of machines' disks, and machines made from them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

INSTANT = sa.DateTime(timezone=True)
KNOWN = "resource IN ('projects', 'vms', 'vcpus', 'memory_mib', 'disk_gib')"
KNOWN_NOW = "resource IN ('projects', 'vms', 'vcpus', 'memory_mib', 'disk_gib', 'snapshots')"
IS_KEPT = sa.text("status IN ('creating', 'available', 'error')")


def upgrade() -> None:
    """Add the table, and a counter for every owner that counts machines."""
    op.create_table(
        "snapshots",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("vm_id", sa.Uuid(), nullable=False, comment="The machine whose disk it holds; it may be gone."),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False, comment="Case-folded; what uniqueness means."),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("disk_gib", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("deleted_at", INSTANT, nullable=True),
        sa.CheckConstraint("disk_gib > 0", name=op.f("ck_snapshots_size_positive")),
        sa.CheckConstraint(
            "status IN ('creating', 'available', 'error', 'deleting', 'deleted')",
            name=op.f("ck_snapshots_status_known"),
        ),
        sa.ForeignKeyConstraint(["image"], ["images.name"], name=op.f("fk_snapshots_image")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_snapshots_user_id")),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name=op.f("fk_snapshots_vm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
    )
    op.create_index(
        "uq_snapshots_kept_name",
        "snapshots",
        ["vm_id", "name_key"],
        unique=True,
        postgresql_where=IS_KEPT,
        sqlite_where=IS_KEPT,
    )
    op.create_index("ix_snapshots_user_created", "snapshots", ["user_id", "created_at", "id"])
    op.create_index("ix_snapshots_vm_created", "snapshots", ["vm_id", "created_at"])
    op.create_index("ix_snapshots_project_id", "snapshots", ["project_id"])
    op.add_column(
        "vms",
        sa.Column("snapshot_id", sa.Uuid(), nullable=True, comment="What its disk came from, if not from the image."),
    )
    _allow(KNOWN_NOW)
    op.execute(
        """
        INSERT INTO quotas (owner_id, resource, used, maximum)
        SELECT owner_id, 'snapshots', 0, maximum * 2 FROM quotas WHERE resource = 'vms'
        """
    )


def downgrade() -> None:
    """Forget the snapshots; what the engine holds of them stays there."""
    op.execute("DELETE FROM quotas WHERE resource = 'snapshots'")
    _allow(KNOWN)
    op.drop_column("vms", "snapshot_id")
    op.drop_table("snapshots")


def _allow(known: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f("ck_quotas_resource_known"), "quotas", type_="check")
        op.create_check_constraint(op.f("ck_quotas_resource_known"), "quotas", known)
        return
    table = sa.Table(
        "quotas",
        sa.MetaData(),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("maximum", sa.Integer(), nullable=False),
        sa.CheckConstraint("maximum >= 0", name=op.f("ck_quotas_maximum_not_negative")),
        sa.CheckConstraint(known, name=op.f("ck_quotas_resource_known")),
        sa.CheckConstraint("used >= 0", name=op.f("ck_quotas_used_not_negative")),
        sa.PrimaryKeyConstraint("owner_id", "resource", name=op.f("pk_quotas")),
    )
    with op.batch_alter_table("quotas", copy_from=table, recreate="always"):
        pass
