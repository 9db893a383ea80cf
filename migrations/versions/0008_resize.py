"""A machine that is being resized counts with the larger of its two sizes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

COLUMNS = (
    ("extra_vcpus", "Counted beyond its size while it is resized."),
    ("extra_memory_mib", "As extra_vcpus."),
    ("extra_disk_gib", "As extra_vcpus."),
)


def upgrade() -> None:
    """Add the columns; nothing is being resized."""
    for name, comment in COLUMNS:
        op.add_column("vms", sa.Column(name, sa.Integer(), nullable=False, server_default="0", comment=comment))


def downgrade() -> None:
    """Forget what is counted beyond a machine's size."""
    for name, _ in COLUMNS:
        op.drop_column("vms", name)
