"""Prices, the ledger, and what is metered, held, billed and budgeted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0033"
down_revision = "0032"

INSTANT = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TABLES = (
    "price_lists",
    "vouchers",
    "budgets",
    "daily_spend",
    "holds",
    "prices",
    "resource_costs",
    "segments",
    "statement_schedule",
    "statements",
    "voucher_redemptions",
    "billing_records",
    "budget_firings",
    "grants",
    "ledger_entries",
)
"""Each after those that it refers to."""


def upgrade() -> None:
    """Create the tables."""
    _create_price_lists()
    _create_vouchers()
    _create_budgets()
    _create_daily_spend()
    _create_holds()
    _create_prices()
    _create_resource_costs()
    _create_segments()
    _create_statement_schedule()
    _create_statements()
    _create_voucher_redemptions()
    _create_billing_records()
    _create_budget_firings()
    _create_grants()
    _create_ledger_entries()


def downgrade() -> None:
    """Drop them, those that refer to others first."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_price_lists() -> None:
    op.create_table(
        "price_lists",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("effective_at", INSTANT, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("announced_at", INSTANT),
        sa.PrimaryKeyConstraint("version", name="pk_price_lists"),
        sa.UniqueConstraint("effective_at", name="uq_price_lists_effective_at"),
    )


def _create_vouchers() -> None:
    op.create_table(
        "vouchers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.Text(), nullable=False, comment="SHA-256 of the code; the code itself is nowhere."),
        sa.Column("hint", sa.Text(), nullable=False, comment="Its last characters, to tell vouchers apart."),
        sa.Column("amount_micros", sa.BigInteger(), nullable=False),
        sa.Column("max_redemptions", sa.Integer(), nullable=False),
        sa.Column("redemptions", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("expires_at", INSTANT),
        sa.Column("withdrawn_at", INSTANT),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint("amount_micros > 0", name="ck_vouchers_amount_positive"),
        sa.CheckConstraint("redemptions BETWEEN 0 AND max_redemptions", name="ck_vouchers_never_over_redeemed"),
        sa.PrimaryKeyConstraint("id", name="pk_vouchers"),
        sa.UniqueConstraint("code_hash", name="uq_vouchers_code_hash"),
    )
    op.create_index("ix_vouchers_created_at", "vouchers", ["created_at", "id"])


def _create_budgets() -> None:
    op.create_table(
        "budgets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Uuid(), comment="Null for the whole account."),
        sa.Column("label_key", sa.Text(), comment="Null for all machines."),
        sa.Column("label_value", sa.Text()),
        sa.Column("amount_micros", sa.BigInteger(), nullable=False, comment="For a month, UTC."),
        sa.Column("thresholds", DOCUMENT, nullable=False),
        sa.Column("period_start", INSTANT, nullable=False, comment="The month that `spent_micros` is of."),
        sa.Column("spent_micros", sa.BigInteger(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.CheckConstraint("(label_key IS NULL) = (label_value IS NULL)", name="ck_budgets_label_is_whole"),
        sa.CheckConstraint("amount_micros > 0", name="ck_budgets_amount_positive"),
        sa.CheckConstraint("spent_micros >= 0", name="ck_budgets_spent_not_negative"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_budgets_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_budgets"),
        sa.UniqueConstraint("user_id", "name", name="uq_budgets_user_id_name"),
    )


def _create_daily_spend() -> None:
    op.create_table(
        "daily_spend",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_daily_spend_user_id"),
        sa.PrimaryKeyConstraint("user_id", "day", name="pk_daily_spend"),
    )


def _create_holds() -> None:
    op.create_table(
        "holds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column(
            "meter", sa.Text(), server_default="compute", nullable=False, comment="What of the resource it is for."
        ),
        sa.Column("remaining", sa.BigInteger(), nullable=False, comment="Micro-credits still held."),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("closed_at", INSTANT),
        sa.CheckConstraint("status = 'open' OR remaining = 0", name="ck_holds_closed_is_empty"),
        sa.CheckConstraint("status IN ('open', 'closed')", name="ck_holds_status_known"),
        sa.CheckConstraint("remaining >= 0", name="ck_holds_remaining_not_negative"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_holds_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_holds"),
    )
    op.create_index(
        "ix_holds_user_id",
        "holds",
        ["user_id"],
        postgresql_where=sa.text("status = 'open'"),
        sqlite_where=sa.text("status = 'open'"),
    )
    op.create_index(
        "uq_holds_open",
        "holds",
        ["resource_id", "meter"],
        unique=True,
        postgresql_where=sa.text("status = 'open'"),
        sqlite_where=sa.text("status = 'open'"),
    )


def _create_prices() -> None:
    op.create_table(
        "prices",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False, comment="An instance type, a meter, or the fee 'vm_create'."),
        sa.Column("unit", sa.Text(), nullable=False, comment="Micro-credits per what."),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("unit IN ('hour', 'gib_hour', 'each')", name="ck_prices_unit_known"),
        sa.CheckConstraint("micros >= 0", name="ck_prices_price_not_negative"),
        sa.ForeignKeyConstraint(["version"], ["price_lists.version"], name="fk_prices_version"),
        sa.PrimaryKeyConstraint("version", "item", name="pk_prices"),
    )


def _create_resource_costs() -> None:
    op.create_table(
        "resource_costs",
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("charged_micros", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_resource_costs_user_id"),
        sa.PrimaryKeyConstraint("resource_id", name="pk_resource_costs"),
    )
    op.create_index("ix_resource_costs_project_id", "resource_costs", ["project_id"])
    op.create_index("ix_resource_costs_user_id", "resource_costs", ["user_id"])


def _create_segments() -> None:
    op.create_table(
        "segments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False, comment="The instance type at the time."),
        sa.Column("meter", sa.Text(), nullable=False),
        sa.Column("price_version", sa.Integer(), nullable=False),
        sa.Column("rate_micros_per_hour", sa.BigInteger(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("paid_until", INSTANT, nullable=False, comment="Up to here credit is held or captured."),
        sa.Column("charged_until", INSTANT, nullable=False),
        sa.Column("charged_micros", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", INSTANT),
        sa.Column("predecessor_id", sa.Uuid()),
        sa.Column("predecessor_ended_at", INSTANT),
        sa.Column("unit", sa.Text(), server_default="hour", nullable=False, comment="What the price was for."),
        sa.Column("quantity", sa.Integer(), server_default="1", nullable=False, comment="GiB, or one machine."),
        sa.Column(
            "price_micros", sa.BigInteger(), comment="Of one unit, as listed; the rate is of all, less the discount."
        ),
        sa.Column("discount_basis_points", sa.Integer(), server_default="0", nullable=False),
        sa.Column("vm_id", sa.Uuid(), comment="The machine that the resource belongs to, where it is none itself."),
        sa.Column("exhausted_at", INSTANT, comment="From here on it could not be paid; the meter is to stop it."),
        sa.CheckConstraint(
            "charged_until >= started_at AND charged_until <= paid_until", name="ck_segments_charged_within_paid"
        ),
        sa.CheckConstraint("ended_at IS NULL OR ended_at >= started_at", name="ck_segments_runs_forward"),
        sa.CheckConstraint(
            "predecessor_ended_at IS NULL OR started_at >= predecessor_ended_at", name="ck_segments_no_overlap"
        ),
        sa.CheckConstraint(
            "rate_micros_per_hour >= 0 AND charged_micros >= 0", name="ck_segments_amounts_not_negative"
        ),
        sa.ForeignKeyConstraint(["predecessor_id"], ["segments.id"], name="fk_segments_predecessor_id"),
        sa.ForeignKeyConstraint(["price_version"], ["price_lists.version"], name="fk_segments_price_version"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_segments_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_segments"),
        sa.UniqueConstraint("predecessor_id", name="uq_segments_predecessor_id"),
    )
    op.create_index(
        "ix_segments_exhausted",
        "segments",
        ["user_id"],
        postgresql_where=sa.text("exhausted_at IS NOT NULL AND ended_at IS NULL"),
        sqlite_where=sa.text("exhausted_at IS NOT NULL AND ended_at IS NULL"),
    )
    op.create_index(
        "ix_segments_kept",
        "segments",
        ["paid_until"],
        postgresql_where=sa.text("meter != 'compute' AND ended_at IS NULL"),
        sqlite_where=sa.text("meter != 'compute' AND ended_at IS NULL"),
    )
    op.create_index("ix_segments_resource", "segments", ["resource_id", "started_at"])
    op.create_index(
        "ix_segments_user_open",
        "segments",
        ["user_id", "paid_until"],
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "uq_segments_open",
        "segments",
        ["resource_id", "meter"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )


def _create_statement_schedule() -> None:
    op.create_table(
        "statement_schedule",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False, comment="When it is looked next whether a month is to be closed."),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_statement_schedule_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name="pk_statement_schedule"),
    )
    op.create_index("ix_statement_schedule_due_at", "statement_schedule", ["due_at"])


def _create_statements() -> None:
    op.create_table(
        "statements",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="1, 2, 3 … within the account."),
        sa.Column("previous_number", sa.Integer()),
        sa.Column("period_start", INSTANT, nullable=False),
        sa.Column("period_end", INSTANT, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("first_position", sa.BigInteger(), nullable=False, comment="Its entries in the account's books."),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.Column("line_count", sa.BigInteger(), nullable=False),
        sa.Column("opening_micros", sa.BigInteger(), nullable=False),
        sa.Column("added_micros", sa.BigInteger(), nullable=False),
        sa.Column("charged_micros", sa.BigInteger(), nullable=False),
        sa.Column("deducted_micros", sa.BigInteger(), nullable=False),
        sa.Column("closing_micros", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "(number = 1 AND previous_number IS NULL) OR (number > 1 AND previous_number = number - 1)",
            name="ck_statements_no_gap",
        ),
        sa.CheckConstraint(
            "closing_micros = opening_micros + added_micros - charged_micros - deducted_micros",
            name="ck_statements_adds_up",
        ),
        sa.CheckConstraint("first_position BETWEEN 1 AND last_position", name="ck_statements_has_entries"),
        sa.CheckConstraint(
            "period_end > period_start AND closed_at >= period_end", name="ck_statements_period_is_over"
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "previous_number"], ["statements.user_id", "statements.number"], name="fk_statements_previous"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_statements_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_statements"),
        sa.UniqueConstraint("user_id", "first_position", name="uq_statements_user_id_first_position"),
        sa.UniqueConstraint("user_id", "number", name="uq_statements_user_id_number"),
        sa.UniqueConstraint("user_id", "period_start", name="uq_statements_user_id_period_start"),
    )


def _create_voucher_redemptions() -> None:
    op.create_table(
        "voucher_redemptions",
        sa.Column("voucher_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False, comment="Once for each account."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_voucher_redemptions_user_id"),
        sa.ForeignKeyConstraint(["voucher_id"], ["vouchers.id"], name="fk_voucher_redemptions_voucher_id"),
        sa.PrimaryKeyConstraint("voucher_id", "user_id", name="pk_voucher_redemptions"),
    )


def _create_billing_records() -> None:
    op.create_table(
        "billing_records",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("vm_id", sa.Uuid()),
        sa.Column("project_id", sa.Uuid()),
        sa.Column("action_type", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="Micro-credits; charges are negative."),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("segment_id", sa.Uuid()),
        sa.Column("period_start", INSTANT),
        sa.Column("period_end", INSTANT),
        sa.Column("rate_micros_per_hour", sa.BigInteger()),
        sa.Column("price_version", sa.Integer()),
        sa.Column("resource_type", sa.Text()),
        sa.Column("meter", sa.Text()),
        sa.Column("unit", sa.Text()),
        sa.Column("quantity", sa.Integer()),
        sa.Column("price_micros", sa.BigInteger(), comment="Of one unit, as listed."),
        sa.Column("discount_basis_points", sa.Integer()),
        sa.CheckConstraint(
            "action_type IN ('vm_create', 'vm_usage', 'credit_add', 'credit_deduct')",
            name="ck_billing_records_action_type_known",
        ),
        sa.ForeignKeyConstraint(["segment_id"], ["segments.id"], name="fk_billing_records_segment_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_billing_records_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_billing_records"),
    )
    op.create_index("ix_billing_records_user_action", "billing_records", ["user_id", "action_type", "created_at"])
    op.create_index("ix_billing_records_user_created", "billing_records", ["user_id", "created_at", "id"])
    op.create_index("ix_billing_records_vm", "billing_records", ["vm_id", "created_at"])


def _create_budget_firings() -> None:
    op.create_table(
        "budget_firings",
        sa.Column("budget_id", sa.Uuid(), nullable=False),
        sa.Column("period_start", INSTANT, nullable=False),
        sa.Column("threshold", sa.Text(), nullable=False, comment="Fires once in a month."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["budget_id"], ["budgets.id"], name="fk_budget_firings_budget_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("budget_id", "period_start", "threshold", name="pk_budget_firings"),
    )


def _create_grants() -> None:
    op.create_table(
        "grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False, comment="What was not spent of it."),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("closed_at", INSTANT),
        sa.Column("lapsed_micros", sa.BigInteger(), comment="What was taken back at its end."),
        sa.CheckConstraint("amount > 0", name="ck_grants_amount_positive"),
        sa.CheckConstraint("remaining BETWEEN 0 AND amount", name="ck_grants_remaining_of_amount"),
        sa.ForeignKeyConstraint(["record_id"], ["billing_records.id"], name="fk_grants_record_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_grants_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_grants"),
        sa.UniqueConstraint("record_id", name="uq_grants_record_id"),
    )
    op.create_index(
        "ix_grants_user_open",
        "grants",
        ["user_id", "expires_at"],
        postgresql_where=sa.text("closed_at IS NULL"),
        sqlite_where=sa.text("closed_at IS NULL"),
    )


def _create_ledger_entries() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="1, 2, 3 … within the user's books."),
        sa.Column("debit", sa.Text(), nullable=False, comment="The account that the amount leaves."),
        sa.Column("credit", sa.Text(), nullable=False, comment="The account that it reaches."),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False, comment="What it was for; a cause posts once."),
        sa.Column("record_id", sa.Uuid()),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False, comment="Over this entry and the hash before it."),
        sa.CheckConstraint(
            "credit IN ('available', 'held', 'revenue', 'grants', 'top_ups', 'adjustments')",
            name="ck_ledger_entries_credit_known",
        ),
        sa.CheckConstraint(
            "debit IN ('available', 'held', 'revenue', 'grants', 'top_ups', 'adjustments')",
            name="ck_ledger_entries_debit_known",
        ),
        sa.CheckConstraint("amount > 0", name="ck_ledger_entries_amount_positive"),
        sa.CheckConstraint("debit <> credit", name="ck_ledger_entries_moves"),
        sa.ForeignKeyConstraint(["record_id"], ["billing_records.id"], name="fk_ledger_entries_record_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_ledger_entries_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_entries"),
        sa.UniqueConstraint("cause", name="uq_ledger_entries_cause"),
        sa.UniqueConstraint("user_id", "position", name="uq_ledger_entries_user_id_position"),
    )
    op.create_index("ix_ledger_entries_record_id", "ledger_entries", ["record_id"])
