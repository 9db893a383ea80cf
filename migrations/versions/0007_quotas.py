"""Quotas also count what machines are made of, and existing owners get theirs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

KNOWN = "resource IN ('projects', 'vms')"
KNOWN_NOW = "resource IN ('projects', 'vms', 'vcpus', 'memory_mib', 'disk_gib')"
SIZES = (
    # resource, for each VM that the owner may have
    ("vcpus", 4),
    ("memory_mib", 8192),
    ("disk_gib", 80),
)


def upgrade() -> None:
    """Allow the new words, then count what is there under maxima that suit the number of machines."""
    _allow(KNOWN_NOW)
    for resource, each in SIZES:
        for owner in ("user_id", "project_id"):
            op.execute(
                f"""
                INSERT INTO quotas (owner_id, resource, used, maximum)
                SELECT owned.owner_id, '{resource}', CAST(coalesce(
                    (SELECT sum({resource}) FROM vms WHERE {owner} = owned.owner_id AND status <> 'terminated'), 0
                ) AS INTEGER), owned.maximum * {each}
                FROM quotas AS owned
                WHERE owned.resource = 'vms'
                    AND owned.owner_id IN (SELECT id FROM {"users" if owner == "user_id" else "projects"})
                """  # noqa: S608 - all words are constants of this file
            )


def downgrade() -> None:
    """Count projects and machines only."""
    op.execute("DELETE FROM quotas WHERE resource NOT IN ('projects', 'vms')")
    _allow(KNOWN)


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
