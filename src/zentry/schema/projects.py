"""Projects."""

from __future__ import annotations

import sqlalchemy as sa

from zentry.platform.db.types import Instant
from zentry.schema.metadata import metadata, one_of

projects = sa.Table(
    "projects",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False, comment="Case-folded; what uniqueness means."),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant),
    sa.Column("deleted_at", Instant, comment="Its machines and bills stay readable after it is gone."),
)
sa.Index(
    "uq_projects_live_name",
    projects.c.user_id,
    projects.c.name_key,
    unique=True,
    postgresql_where=projects.c.deleted_at.is_(None),
    sqlite_where=projects.c.deleted_at.is_(None),
)
sa.Index("ix_projects_user_created", projects.c.user_id, projects.c.created_at, projects.c.id)

quotas = sa.Table(
    "quotas",
    metadata,
    sa.Column("owner_id", sa.Uuid, primary_key=True, comment="A user or a project."),
    sa.Column("resource", sa.Text, primary_key=True, comment="What is counted: projects or vms."),
    sa.Column("used", sa.Integer, nullable=False),
    sa.Column("maximum", sa.Integer, nullable=False),
    sa.CheckConstraint("used >= 0", name="used_not_negative"),
    sa.CheckConstraint("maximum >= 0", name="maximum_not_negative"),
    one_of("resource", ("projects", "vms", "vcpus", "memory_mib", "disk_gib", "snapshots")),
)
