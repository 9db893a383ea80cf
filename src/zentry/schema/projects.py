"""Projects, and who works in them."""

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

project_members = sa.Table(
    "project_members",
    metadata,
    sa.Column("project_id", sa.Uuid, sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("role", sa.Text, nullable=False, comment="The owner has no row: projects.user_id says who it is."),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant),
    one_of("role", ("admin", "member", "viewer")),
    sa.Index("ix_project_members_user_id", "user_id", "project_id"),
)

project_invitations = sa.Table(
    "project_invitations",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("project_id", sa.Uuid, sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("email", sa.Text, nullable=False, comment="As it was written."),
    sa.Column("email_key", sa.Text, nullable=False, comment="Case-folded; who may accept."),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("token_hash", sa.Text, nullable=False, comment="SHA-256 of the token; the token itself is in the mail."),
    sa.Column("invited_by", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("sent_at", Instant, nullable=False),
    sa.Column("sends", sa.Integer, nullable=False, server_default="1"),
    sa.Column("expires_at", Instant, nullable=False),
    one_of("role", ("admin", "member", "viewer")),
    sa.UniqueConstraint("project_id", "email_key"),
    sa.UniqueConstraint("token_hash"),
    sa.Index("ix_project_invitations_expires_at", "expires_at"),
    sa.Index("ix_project_invitations_invited_by", "invited_by"),
)

project_transfers = sa.Table(
    "project_transfers",
    metadata,
    sa.Column("project_id", sa.Uuid, sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column(
        "user_id",
        sa.Uuid,
        sa.ForeignKey("users.id", ondelete="CASCADE"),
        nullable=False,
        comment="To whom it is offered.",
    ),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Index("ix_project_transfers_user_id", "user_id"),
)

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
