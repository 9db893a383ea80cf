"""Monthly statements: numbered without a gap, and closed for good."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

NO_GAP = "(number = 1 AND previous_number IS NULL) OR (number > 1 AND previous_number = number - 1)"
ADDS_UP = "closing_micros = opening_micros + added_micros - charged_micros - deducted_micros"


def upgrade() -> None:
    """Add the tables, guard the statements, and let every account be looked at."""
    op.create_table(
        "statements",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="1, 2, 3 … within the account."),
        sa.Column("previous_number", sa.Integer()),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("period_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("first_position", sa.BigInteger(), nullable=False, comment="Its entries in the account's books."),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.Column("line_count", sa.BigInteger(), nullable=False),
        sa.Column("opening_micros", sa.BigInteger(), nullable=False),
        sa.Column("added_micros", sa.BigInteger(), nullable=False),
        sa.Column("charged_micros", sa.BigInteger(), nullable=False),
        sa.Column("deducted_micros", sa.BigInteger(), nullable=False),
        sa.Column("closing_micros", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(NO_GAP, name=op.f("ck_statements_no_gap")),
        sa.CheckConstraint("first_position BETWEEN 1 AND last_position", name=op.f("ck_statements_has_entries")),
        sa.CheckConstraint(
            "period_end > period_start AND closed_at >= period_end", name=op.f("ck_statements_period_is_over")
        ),
        sa.CheckConstraint(ADDS_UP, name=op.f("ck_statements_adds_up")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_statements_user_id")),
        sa.ForeignKeyConstraint(
            ["user_id", "previous_number"], ["statements.user_id", "statements.number"], name="fk_statements_previous"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statements")),
        sa.UniqueConstraint("user_id", "first_position", name=op.f("uq_statements_user_id_first_position")),
        sa.UniqueConstraint("user_id", "number", name=op.f("uq_statements_user_id_number")),
        sa.UniqueConstraint("user_id", "period_start", name=op.f("uq_statements_user_id_period_start")),
    )
    op.create_table(
        "statement_schedule",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When it is looked next whether a month is to be closed.",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_statement_schedule_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_statement_schedule")),
    )
    op.create_index("ix_statement_schedule_due_at", "statement_schedule", ["due_at"])
    op.execute("INSERT INTO statement_schedule (user_id, due_at) SELECT id, created_at FROM users")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER statements_append_only BEFORE UPDATE OR DELETE ON statements "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            "CREATE TRIGGER statements_no_truncate BEFORE TRUNCATE ON statements "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER statements_no_{verb.lower()} BEFORE {verb} ON statements "
            "BEGIN SELECT RAISE(ABORT, 'statements is append-only'); END"
        )


def downgrade() -> None:
    """Remove them, with their guards."""
    op.drop_table("statement_schedule")
    op.drop_table("statements")
