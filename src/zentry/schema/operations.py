"""The durable queue and the memory of idempotency keys."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa

from zentry.platform.db.types import Document, Instant
from zentry.schema.metadata import constant, metadata, one_of


class OperationStatus(StrEnum):
    """An operation waits, runs, and ends in one of three ways."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


operations = sa.Table(
    "operations",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("vm_id", sa.Uuid, sa.ForeignKey("vms.id"), nullable=False),
    sa.Column("project_id", sa.Uuid, nullable=False),
    sa.Column("user_id", sa.Uuid, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("step", sa.Integer, nullable=False, server_default="0", comment="Steps done; undo counts them down."),
    sa.Column("undoing", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("owner", sa.Text),
    sa.Column("lease_until", Instant),
    sa.Column("not_before", Instant, nullable=False),
    sa.Column("deadline", Instant, nullable=False),
    sa.Column("progress", sa.Integer, nullable=False, server_default="0"),
    sa.Column("input", Document, nullable=False),
    sa.Column("error_code", sa.Text),
    sa.Column("error_message", sa.Text),
    sa.Column("request_id", sa.Text),
    sa.Column("traceparent", sa.Text, comment="The span that it follows, where traces are kept."),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("started_at", Instant),
    sa.Column("finished_at", Instant),
    one_of("status", OperationStatus),
    sa.CheckConstraint("progress BETWEEN 0 AND 100", name="progress_percent"),
)
is_active = operations.c.status.in_([constant("pending"), constant("running")])
sa.Index("uq_operations_active_vm", operations.c.vm_id, unique=True, postgresql_where=is_active, sqlite_where=is_active)
is_pending = operations.c.status == constant("pending")
is_running = operations.c.status == constant("running")
sa.Index("ix_operations_due", operations.c.not_before, postgresql_where=is_pending, sqlite_where=is_pending)
sa.Index("ix_operations_lease", operations.c.lease_until, postgresql_where=is_running, sqlite_where=is_running)
sa.Index("ix_operations_vm", operations.c.vm_id, operations.c.created_at)
sa.Index("ix_operations_user", operations.c.user_id, operations.c.created_at, operations.c.id)
sa.Index("ix_operations_project", operations.c.project_id, operations.c.created_at, operations.c.id)
sa.Index("ix_operations_created_at", operations.c.created_at, operations.c.id)
is_not_succeeded = operations.c.status != constant("succeeded")
sa.Index(
    "ix_operations_user_status",
    operations.c.user_id,
    operations.c.status,
    operations.c.created_at,
    operations.c.id,
    postgresql_where=is_not_succeeded,
    sqlite_where=is_not_succeeded,
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("route", sa.Text, primary_key=True, comment="Method and path template."),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False, comment="SHA-256 of path and body."),
    sa.Column("resource_id", sa.Uuid),
    sa.Column("operation_id", sa.Uuid),
    sa.Column("created_at", Instant, nullable=False),
    sa.Index("ix_idempotency_keys_created_at", "created_at"),
)
