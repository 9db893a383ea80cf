"""Machines, the addresses that they hold, and the catalogue they are chosen from."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa

from zentry.platform.db.types import Document, Instant
from zentry.schema.metadata import constant, metadata, one_of, sealed_for


class VMStatus(StrEnum):
    """Where a machine rests; what is under way is an operation, not a status."""

    CREATING = "creating"
    RUNNING = "running"
    STOPPED = "stopped"
    ERROR = "error"
    TERMINATED = "terminated"


class StopReason(StrEnum):
    """Why a machine stands still."""

    USER = "user"
    CREDIT = "credit"
    HOST = "host"
    BUDGET = "budget"
    ADMINISTRATOR = "administrator"


class SnapshotStatus(StrEnum):
    """A snapshot is made, kept, and out of sight from the request to delete it on."""

    CREATING = "creating"
    AVAILABLE = "available"
    ERROR = "error"
    DELETING = "deleting"
    DELETED = "deleted"


vms = sa.Table(
    "vms",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("project_id", sa.Uuid, sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False, comment="Case-folded; what uniqueness means."),
    sa.Column("instance_type", sa.Text, sa.ForeignKey("instance_types.name"), nullable=False),
    sa.Column("image", sa.Text, sa.ForeignKey("images.name"), nullable=False),
    sa.Column("vcpus", sa.Integer, nullable=False),
    sa.Column("memory_mib", sa.Integer, nullable=False),
    sa.Column("disk_gib", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("wanted", sa.Text, nullable=False, comment="The wish: running, stopped or terminated."),
    sa.Column("stop_reason", sa.Text),
    sa.Column("ip_address", sa.Text),
    sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant),
    sa.Column("last_started", Instant),
    sa.Column("last_stopped", Instant),
    sa.Column("terminated_at", Instant),
    sa.Column("uptime_seconds", sa.BigInteger, nullable=False, server_default="0", comment="Of sessions that ended."),
    sa.Column(
        "extra_vcpus",
        sa.Integer,
        nullable=False,
        server_default="0",
        comment="Counted beyond its size while it is resized.",
    ),
    sa.Column("extra_memory_mib", sa.Integer, nullable=False, server_default="0", comment="As extra_vcpus."),
    sa.Column("extra_disk_gib", sa.Integer, nullable=False, server_default="0", comment="As extra_vcpus."),
    sa.Column("delete_protection", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("labels", Document, nullable=False, server_default="{}", comment="As shown; vm_labels finds by them."),
    sa.Column(
        "ssh_keys",
        Document,
        nullable=False,
        server_default="[]",
        comment="Names, fingerprints and keys as they were when it was created.",
    ),
    sa.Column("snapshot_id", sa.Uuid, comment="What its disk came from, if not from the image."),
    sa.Column("has_user_data", sa.Boolean, nullable=False, server_default=sa.false()),
    one_of("status", VMStatus),
    one_of("wanted", ("running", "stopped", "terminated")),
    sa.CheckConstraint("status <> 'terminated' OR ip_address IS NULL", name="no_address_after_death"),
    sa.CheckConstraint("uptime_seconds >= 0", name="uptime_not_negative"),
)
is_alive = vms.c.status != constant("terminated")
is_running = vms.c.status == constant("running")
sa.Index(
    "uq_vms_live_name", vms.c.project_id, vms.c.name_key, unique=True, postgresql_where=is_alive, sqlite_where=is_alive
)
sa.Index(
    "uq_vms_ip_address",
    vms.c.ip_address,
    unique=True,
    postgresql_where=vms.c.ip_address.is_not(None),
    sqlite_where=vms.c.ip_address.is_not(None),
)
sa.Index(
    "ix_vms_user_live_first",
    vms.c.user_id,
    sa.text("(CASE WHEN status = 'terminated' THEN 0 ELSE 1 END) DESC"),
    vms.c.created_at.desc(),
    vms.c.id.desc(),
)
sa.Index("ix_vms_user_status", vms.c.user_id, vms.c.status, vms.c.created_at)
sa.Index("ix_vms_project_created", vms.c.project_id, vms.c.created_at)
sa.Index("ix_vms_running", vms.c.id, postgresql_where=is_running, sqlite_where=is_running)
is_stopped = vms.c.status == constant("stopped")
sa.Index("ix_vms_stopped", vms.c.id, postgresql_where=is_stopped, sqlite_where=is_stopped)
is_out_of_credit = sa.and_(vms.c.status == constant("stopped"), vms.c.stop_reason == constant("credit"))
sa.Index(
    "ix_vms_out_of_credit",
    vms.c.user_id,
    vms.c.last_stopped,
    postgresql_where=is_out_of_credit,
    sqlite_where=is_out_of_credit,
)
is_being_cloned = sa.and_(vms.c.status == constant("creating"), vms.c.snapshot_id.is_not(None))
sa.Index("ix_vms_being_cloned", vms.c.snapshot_id, postgresql_where=is_being_cloned, sqlite_where=is_being_cloned)
sa.Index("ix_vms_alive", vms.c.id, postgresql_where=is_alive, sqlite_where=is_alive)

reconciler_regions = sa.Table(
    "reconciler_regions",
    metadata,
    sa.Column("starts_after", sa.Uuid, primary_key=True),  # A region reaches from here to the next one.
    sa.Column("due_at", Instant, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("lease_until", Instant),
    sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index("ix_reconciler_regions_due_at", "due_at"),
)

vm_labels = sa.Table(
    "vm_labels",
    metadata,
    sa.Column("vm_id", sa.Uuid, sa.ForeignKey("vms.id"), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("user_id", sa.Uuid, nullable=False, comment="The machine's owner, so that one index serves a list."),
)
sa.Index("ix_vm_labels_user_key_value", vm_labels.c.user_id, vm_labels.c.key, vm_labels.c.value, vm_labels.c.vm_id)

snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("project_id", sa.Uuid, nullable=False),
    sa.Column(
        "vm_id",
        sa.Uuid,
        sa.ForeignKey("vms.id"),
        nullable=False,
        comment="The machine whose disk it holds; it may be gone.",
    ),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False, comment="Case-folded; what uniqueness means."),
    sa.Column("image", sa.Text, sa.ForeignKey("images.name"), nullable=False),
    sa.Column("disk_gib", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("deleted_at", Instant),
    one_of("status", SnapshotStatus),
    sa.CheckConstraint("disk_gib > 0", name="size_positive"),
)
is_kept = snapshots.c.status.in_([constant("creating"), constant("available"), constant("error")])
sa.Index(
    "uq_snapshots_kept_name",
    snapshots.c.vm_id,
    snapshots.c.name_key,
    unique=True,
    postgresql_where=is_kept,
    sqlite_where=is_kept,
)
sa.Index("ix_snapshots_user_created", snapshots.c.user_id, snapshots.c.created_at, snapshots.c.id)
sa.Index("ix_snapshots_vm_created", snapshots.c.vm_id, snapshots.c.created_at)
sa.Index("ix_snapshots_project_id", snapshots.c.project_id)

is_available = snapshots.c.status == constant("available")
sa.Index("ix_snapshots_available", snapshots.c.id, postgresql_where=is_available, sqlite_where=is_available)

ssh_keys = sa.Table(
    "ssh_keys",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False, comment="Case-folded; what uniqueness means."),
    sa.Column("public_key", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.UniqueConstraint("user_id", "name_key", name="uq_ssh_keys_user_id_name_key"),
    sa.UniqueConstraint("user_id", "fingerprint", name="uq_ssh_keys_user_id_fingerprint"),
)

vm_user_data = sa.Table(
    "vm_user_data",
    metadata,
    sa.Column("vm_id", sa.Uuid, sa.ForeignKey("vms.id"), primary_key=True),
    sa.Column(
        "sealed", sa.LargeBinary, nullable=False, comment="Removed with the machine.", info=sealed_for("sealed_for")
    ),
    sa.Column("sealed_for", sa.Uuid, nullable=False, comment="The account that sent it; the key depends on it."),
)

templates = sa.Table(
    "templates",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False, comment="Case-folded; what uniqueness means."),
    sa.Column("instance_type", sa.Text, sa.ForeignKey("instance_types.name"), nullable=False),
    sa.Column("image", sa.Text, sa.ForeignKey("images.name"), nullable=False),
    sa.Column("labels", Document, nullable=False, server_default="{}"),
    sa.Column("ssh_keys", Document, nullable=False, server_default="[]", comment="Ids; a key may be gone."),
    sa.Column("delete_protection", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("user_data", sa.LargeBinary, comment="Sealed.", info=sealed_for("user_id")),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant),
    sa.UniqueConstraint("user_id", "name_key", name="uq_templates_user_id_name_key"),
)

ip_leases = sa.Table(
    "ip_leases",
    metadata,
    sa.Column("address", sa.Text, primary_key=True, comment="An address is leased once or not at all."),
    sa.Column("vm_id", sa.Uuid, nullable=False, unique=True),
    sa.Column("leased_at", Instant, nullable=False),
)

instance_types = sa.Table(
    "instance_types",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("vcpus", sa.Integer, nullable=False),
    sa.Column("memory_mib", sa.Integer, nullable=False),
    sa.Column("disk_gib", sa.Integer, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("sort_order", sa.Integer, nullable=False),
    sa.Column("deprecated_at", Instant),
    sa.Column("unavailable_after", Instant, comment="Cannot be chosen from then on."),
    sa.CheckConstraint("vcpus > 0 AND memory_mib > 0 AND disk_gib > 0", name="sizes_positive"),
)

images = sa.Table(
    "images",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("distribution", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("sort_order", sa.Integer, nullable=False),
    sa.Column("deprecated_at", Instant),
    sa.Column("unavailable_after", Instant, comment="Cannot be chosen from then on."),
)
