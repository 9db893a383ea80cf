"""Machines, what they are made of and what belongs to them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0031"
down_revision = "0030"

INSTANT = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
ALWAYS_DUE = datetime(2024, 1, 1, tzinfo=UTC)
TABLES = (
    "images",
    "instance_types",
    "ip_leases",
    "reconciler_regions",
    "ssh_keys",
    "templates",
    "vms",
    "snapshots",
    "vm_labels",
    "vm_user_data",
)
"""Each after those that it refers to."""


def upgrade() -> None:
    """Create the tables."""
    _create_images()
    _create_instance_types()
    _create_ip_leases()
    _create_reconciler_regions()
    _create_ssh_keys()
    _create_templates()
    _create_vms()
    _create_snapshots()
    _create_vm_labels()
    _create_vm_user_data()


def downgrade() -> None:
    """Drop them, those that refer to others first."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_images() -> None:
    op.create_table(
        "images",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("distribution", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("sort_order", sa.Integer(), nullable=False),
        sa.Column("deprecated_at", INSTANT),
        sa.Column("unavailable_after", INSTANT, comment="Cannot be chosen from then on."),
        sa.PrimaryKeyConstraint("name", name="pk_images"),
    )


def _create_instance_types() -> None:
    op.create_table(
        "instance_types",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mib", sa.Integer(), nullable=False),
        sa.Column("disk_gib", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("sort_order", sa.Integer(), nullable=False),
        sa.Column("deprecated_at", INSTANT),
        sa.Column("unavailable_after", INSTANT, comment="Cannot be chosen from then on."),
        sa.CheckConstraint("vcpus > 0 AND memory_mib > 0 AND disk_gib > 0", name="ck_instance_types_sizes_positive"),
        sa.PrimaryKeyConstraint("name", name="pk_instance_types"),
    )


def _create_ip_leases() -> None:
    op.create_table(
        "ip_leases",
        sa.Column("address", sa.Text(), nullable=False, comment="An address is leased once or not at all."),
        sa.Column("vm_id", sa.Uuid(), nullable=False),
        sa.Column("leased_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("address", name="pk_ip_leases"),
        sa.UniqueConstraint("vm_id", name="uq_ip_leases_vm_id"),
    )


def _create_reconciler_regions() -> None:
    regions = op.create_table(
        "reconciler_regions",
        sa.Column("starts_after", sa.Uuid(), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("owner", sa.Text()),
        sa.Column("lease_until", INSTANT),
        sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("starts_after", name="pk_reconciler_regions"),
    )
    op.bulk_insert(regions, [{"starts_after": UUID(int=0), "due_at": _kept(ALWAYS_DUE)}])
    op.create_index("ix_reconciler_regions_due_at", "reconciler_regions", ["due_at"])


def _create_ssh_keys() -> None:
    op.create_table(
        "ssh_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False, comment="Case-folded; what uniqueness means."),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_ssh_keys_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ssh_keys"),
        sa.UniqueConstraint("user_id", "fingerprint", name="uq_ssh_keys_user_id_fingerprint"),
        sa.UniqueConstraint("user_id", "name_key", name="uq_ssh_keys_user_id_name_key"),
    )


def _create_templates() -> None:
    op.create_table(
        "templates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False, comment="Case-folded; what uniqueness means."),
        sa.Column("instance_type", sa.Text(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("labels", DOCUMENT, server_default="{}", nullable=False),
        sa.Column("ssh_keys", DOCUMENT, server_default="[]", nullable=False, comment="Ids; a key may be gone."),
        sa.Column("delete_protection", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("user_data", sa.LargeBinary(), comment="Sealed."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT),
        sa.ForeignKeyConstraint(["image"], ["images.name"], name="fk_templates_image"),
        sa.ForeignKeyConstraint(["instance_type"], ["instance_types.name"], name="fk_templates_instance_type"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_templates_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_templates"),
        sa.UniqueConstraint("user_id", "name_key", name="uq_templates_user_id_name_key"),
    )


def _create_vms() -> None:
    op.create_table(
        "vms",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False, comment="Case-folded; what uniqueness means."),
        sa.Column("instance_type", sa.Text(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mib", sa.Integer(), nullable=False),
        sa.Column("disk_gib", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Text(), nullable=False, comment="The wish: running, stopped or terminated."),
        sa.Column("stop_reason", sa.Text()),
        sa.Column("ip_address", sa.Text()),
        sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT),
        sa.Column("last_started", INSTANT),
        sa.Column("last_stopped", INSTANT),
        sa.Column("terminated_at", INSTANT),
        sa.Column(
            "uptime_seconds", sa.BigInteger(), server_default="0", nullable=False, comment="Of sessions that ended."
        ),
        sa.Column(
            "extra_vcpus",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Counted beyond its size while it is resized.",
        ),
        sa.Column("extra_memory_mib", sa.Integer(), server_default="0", nullable=False, comment="As extra_vcpus."),
        sa.Column("extra_disk_gib", sa.Integer(), server_default="0", nullable=False, comment="As extra_vcpus."),
        sa.Column("delete_protection", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column(
            "labels", DOCUMENT, server_default="{}", nullable=False, comment="As shown; vm_labels finds by them."
        ),
        sa.Column(
            "ssh_keys",
            DOCUMENT,
            server_default="[]",
            nullable=False,
            comment="Names, fingerprints and keys as they were when it was created.",
        ),
        sa.Column("snapshot_id", sa.Uuid(), comment="What its disk came from, if not from the image."),
        sa.Column("has_user_data", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.CheckConstraint("status <> 'terminated' OR ip_address IS NULL", name="ck_vms_no_address_after_death"),
        sa.CheckConstraint(
            "status IN ('creating', 'running', 'stopped', 'error', 'terminated')", name="ck_vms_status_known"
        ),
        sa.CheckConstraint("wanted IN ('running', 'stopped', 'terminated')", name="ck_vms_wanted_known"),
        sa.CheckConstraint("uptime_seconds >= 0", name="ck_vms_uptime_not_negative"),
        sa.ForeignKeyConstraint(["image"], ["images.name"], name="fk_vms_image"),
        sa.ForeignKeyConstraint(["instance_type"], ["instance_types.name"], name="fk_vms_instance_type"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_vms_project_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_vms_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_vms"),
    )
    op.create_index(
        "ix_vms_alive",
        "vms",
        ["id"],
        postgresql_where=sa.text("status != 'terminated'"),
        sqlite_where=sa.text("status != 'terminated'"),
    )
    op.create_index(
        "ix_vms_being_cloned",
        "vms",
        ["snapshot_id"],
        postgresql_where=sa.text("status = 'creating' AND snapshot_id IS NOT NULL"),
        sqlite_where=sa.text("status = 'creating' AND snapshot_id IS NOT NULL"),
    )
    op.create_index(
        "ix_vms_out_of_credit",
        "vms",
        ["user_id", "last_stopped"],
        postgresql_where=sa.text("status = 'stopped' AND stop_reason = 'credit'"),
        sqlite_where=sa.text("status = 'stopped' AND stop_reason = 'credit'"),
    )
    op.create_index("ix_vms_project_created", "vms", ["project_id", "created_at"])
    op.create_index(
        "ix_vms_running",
        "vms",
        ["id"],
        postgresql_where=sa.text("status = 'running'"),
        sqlite_where=sa.text("status = 'running'"),
    )
    op.create_index(
        "ix_vms_stopped",
        "vms",
        ["id"],
        postgresql_where=sa.text("status = 'stopped'"),
        sqlite_where=sa.text("status = 'stopped'"),
    )
    op.create_index(
        "ix_vms_user_live_first",
        "vms",
        [
            "user_id",
            sa.literal_column("(CASE WHEN status = 'terminated' THEN 0 ELSE 1 END) DESC"),
            sa.literal_column("created_at DESC"),
            sa.literal_column("id DESC"),
        ],
    )
    op.create_index("ix_vms_user_status", "vms", ["user_id", "status", "created_at"])
    op.create_index(
        "uq_vms_ip_address",
        "vms",
        ["ip_address"],
        unique=True,
        postgresql_where=sa.text("ip_address IS NOT NULL"),
        sqlite_where=sa.text("ip_address IS NOT NULL"),
    )
    op.create_index(
        "uq_vms_live_name",
        "vms",
        ["project_id", "name_key"],
        unique=True,
        postgresql_where=sa.text("status != 'terminated'"),
        sqlite_where=sa.text("status != 'terminated'"),
    )


def _create_snapshots() -> None:
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
        sa.Column("deleted_at", INSTANT),
        sa.CheckConstraint(
            "status IN ('creating', 'available', 'error', 'deleting', 'deleted')", name="ck_snapshots_status_known"
        ),
        sa.CheckConstraint("disk_gib > 0", name="ck_snapshots_size_positive"),
        sa.ForeignKeyConstraint(["image"], ["images.name"], name="fk_snapshots_image"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_snapshots_user_id"),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name="fk_snapshots_vm_id"),
        sa.PrimaryKeyConstraint("id", name="pk_snapshots"),
    )
    op.create_index(
        "ix_snapshots_available",
        "snapshots",
        ["id"],
        postgresql_where=sa.text("status = 'available'"),
        sqlite_where=sa.text("status = 'available'"),
    )
    op.create_index("ix_snapshots_project_id", "snapshots", ["project_id"])
    op.create_index("ix_snapshots_user_created", "snapshots", ["user_id", "created_at", "id"])
    op.create_index("ix_snapshots_vm_created", "snapshots", ["vm_id", "created_at"])
    op.create_index(
        "uq_snapshots_kept_name",
        "snapshots",
        ["vm_id", "name_key"],
        unique=True,
        postgresql_where=sa.text("status IN ('creating', 'available', 'error')"),
        sqlite_where=sa.text("status IN ('creating', 'available', 'error')"),
    )


def _create_vm_labels() -> None:
    op.create_table(
        "vm_labels",
        sa.Column("vm_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column(
            "user_id", sa.Uuid(), nullable=False, comment="The machine's owner, so that one index serves a list."
        ),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name="fk_vm_labels_vm_id"),
        sa.PrimaryKeyConstraint("vm_id", "key", name="pk_vm_labels"),
    )
    op.create_index("ix_vm_labels_user_key_value", "vm_labels", ["user_id", "key", "value", "vm_id"])


def _create_vm_user_data() -> None:
    op.create_table(
        "vm_user_data",
        sa.Column("vm_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False, comment="Removed with the machine."),
        sa.Column("sealed_for", sa.Uuid(), nullable=False, comment="The account that sent it; the key depends on it."),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name="fk_vm_user_data_vm_id"),
        sa.PrimaryKeyConstraint("vm_id", name="pk_vm_user_data"),
    )


def _kept(instant: datetime) -> datetime:
    """Return it as the database keeps it: SQLite as UTC without a zone."""
    return instant if op.get_bind().dialect.name == "postgresql" else instant.replace(tzinfo=None)
