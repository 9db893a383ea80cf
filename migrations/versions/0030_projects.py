"""Projects, their members and quotas."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"

INSTANT = sa.DateTime(timezone=True)
TABLES = (
    "quotas",
    "projects",
    "project_invitations",
    "project_members",
    "project_transfers",
)
"""Each after those that it refers to."""


def upgrade() -> None:
    """Create the tables."""
    _create_quotas()
    _create_projects()
    _create_project_invitations()
    _create_project_members()
    _create_project_transfers()


def downgrade() -> None:
    """Drop them, those that refer to others first."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_quotas() -> None:
    op.create_table(
        "quotas",
        sa.Column("owner_id", sa.Uuid(), nullable=False, comment="A user or a project."),
        sa.Column("resource", sa.Text(), nullable=False, comment="What is counted: projects or vms."),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("maximum", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "resource IN ('projects', 'vms', 'vcpus', 'memory_mib', 'disk_gib', 'snapshots')",
            name="ck_quotas_resource_known",
        ),
        sa.CheckConstraint("maximum >= 0", name="ck_quotas_maximum_not_negative"),
        sa.CheckConstraint("used >= 0", name="ck_quotas_used_not_negative"),
        sa.PrimaryKeyConstraint("owner_id", "resource", name="pk_quotas"),
    )


def _create_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False, comment="Case-folded; what uniqueness means."),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT),
        sa.Column("deleted_at", INSTANT, comment="Its machines and bills stay readable after it is gone."),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_projects_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
    )
    op.create_index("ix_projects_user_created", "projects", ["user_id", "created_at", "id"])
    op.create_index(
        "uq_projects_live_name",
        "projects",
        ["user_id", "name_key"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
        sqlite_where=sa.text("deleted_at IS NULL"),
    )


def _create_project_invitations() -> None:
    op.create_table(
        "project_invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False, comment="As it was written."),
        sa.Column("email_key", sa.Text(), nullable=False, comment="Case-folded; who may accept."),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column(
            "token_hash", sa.Text(), nullable=False, comment="SHA-256 of the token; the token itself is in the mail."
        ),
        sa.Column("invited_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("sent_at", INSTANT, nullable=False),
        sa.Column("sends", sa.Integer(), server_default="1", nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.CheckConstraint("role IN ('admin', 'member', 'viewer')", name="ck_project_invitations_role_known"),
        sa.ForeignKeyConstraint(
            ["invited_by"], ["users.id"], name="fk_project_invitations_invited_by", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_project_invitations_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_project_invitations"),
        sa.UniqueConstraint("project_id", "email_key", name="uq_project_invitations_project_id_email_key"),
        sa.UniqueConstraint("token_hash", name="uq_project_invitations_token_hash"),
    )
    op.create_index("ix_project_invitations_expires_at", "project_invitations", ["expires_at"])
    op.create_index("ix_project_invitations_invited_by", "project_invitations", ["invited_by"])


def _create_project_members() -> None:
    op.create_table(
        "project_members",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False, comment="The owner has no row: projects.user_id says who it is."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT),
        sa.CheckConstraint("role IN ('admin', 'member', 'viewer')", name="ck_project_members_role_known"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_project_members_project_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_project_members_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", "user_id", name="pk_project_members"),
    )
    op.create_index("ix_project_members_user_id", "project_members", ["user_id", "project_id"])


def _create_project_transfers() -> None:
    op.create_table(
        "project_transfers",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False, comment="To whom it is offered."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_project_transfers_project_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_project_transfers_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", name="pk_project_transfers"),
    )
    op.create_index("ix_project_transfers_user_id", "project_transfers", ["user_id"])
