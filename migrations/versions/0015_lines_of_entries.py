"""The entries behind a line of the bill are found by it."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_ledger_entries_record_id", "ledger_entries", ["record_id"])


def downgrade() -> None:
    """Remove it."""
    op.drop_index("ix_ledger_entries_record_id", table_name="ledger_entries")
