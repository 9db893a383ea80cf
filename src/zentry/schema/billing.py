"""Prices, holds, metered segments, the ledger, and the lines that users see.

A ledger entry moves one amount from one account to another, so that it balances by its form:
there is no way to write half of it. Entries and lines are inserted and never changed; triggers
hold that on both databases.
"""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa

from zentry.platform.db.types import Document, Instant
from zentry.schema.metadata import constant, metadata, one_of


class LedgerAccount(StrEnum):
    """Where credits can be. The first two belong to the user, the others to the platform."""

    AVAILABLE = "available"
    HELD = "held"
    REVENUE = "revenue"
    GRANTS = "grants"
    TOP_UPS = "top_ups"
    ADJUSTMENTS = "adjustments"


class HoldStatus(StrEnum):
    """A hold is open until what it protects has ended."""

    OPEN = "open"
    CLOSED = "closed"


class PriceUnit(StrEnum):
    """What a price is for: an hour, a GiB for an hour, or a piece."""

    HOUR = "hour"
    GIB_HOUR = "gib_hour"
    EACH = "each"


price_lists = sa.Table(
    "price_lists",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("effective_at", Instant, nullable=False, unique=True),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("announced_at", Instant),
)

prices = sa.Table(
    "prices",
    metadata,
    sa.Column("version", sa.Integer, sa.ForeignKey("price_lists.version"), primary_key=True),
    sa.Column("item", sa.Text, primary_key=True, comment="An instance type, a meter, or the fee 'vm_create'."),
    sa.Column("unit", sa.Text, nullable=False, comment="Micro-credits per what."),
    sa.Column("micros", sa.BigInteger, nullable=False),
    sa.CheckConstraint("micros >= 0", name="price_not_negative"),
    one_of("unit", PriceUnit),
)

holds = sa.Table(
    "holds",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("resource_id", sa.Uuid, nullable=False),
    sa.Column("meter", sa.Text, nullable=False, server_default="compute", comment="What of the resource it is for."),
    sa.Column("remaining", sa.BigInteger, nullable=False, comment="Micro-credits still held."),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("closed_at", Instant),
    one_of("status", HoldStatus),
    sa.CheckConstraint("remaining >= 0", name="remaining_not_negative"),
    sa.CheckConstraint("status = 'open' OR remaining = 0", name="closed_is_empty"),
)
hold_is_open = holds.c.status == constant("open")
sa.Index(
    "uq_holds_open",
    holds.c.resource_id,
    holds.c.meter,
    unique=True,
    postgresql_where=hold_is_open,
    sqlite_where=hold_is_open,
)
sa.Index("ix_holds_user_id", holds.c.user_id, postgresql_where=hold_is_open, sqlite_where=hold_is_open)

segments = sa.Table(
    "segments",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("project_id", sa.Uuid, nullable=False),
    sa.Column("resource_id", sa.Uuid, nullable=False),
    sa.Column("resource_type", sa.Text, nullable=False, comment="The instance type at the time."),
    sa.Column("meter", sa.Text, nullable=False),
    sa.Column("price_version", sa.Integer, sa.ForeignKey("price_lists.version"), nullable=False),
    sa.Column("rate_micros_per_hour", sa.BigInteger, nullable=False),
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("paid_until", Instant, nullable=False, comment="Up to here credit is held or captured."),
    sa.Column("charged_until", Instant, nullable=False),
    sa.Column("charged_micros", sa.BigInteger, nullable=False),
    sa.Column("ended_at", Instant),
    sa.Column("predecessor_id", sa.Uuid, sa.ForeignKey("segments.id")),
    sa.Column("predecessor_ended_at", Instant),
    sa.Column("unit", sa.Text, nullable=False, server_default="hour", comment="What the price was for."),
    sa.Column("quantity", sa.Integer, nullable=False, server_default="1", comment="GiB, or one machine."),
    sa.Column("price_micros", sa.BigInteger, comment="Of one unit, as listed; the rate is of all, less the discount."),
    sa.Column("discount_basis_points", sa.Integer, nullable=False, server_default="0"),
    sa.Column("vm_id", sa.Uuid, comment="The machine that the resource belongs to, where it is none itself."),
    sa.Column("exhausted_at", Instant, comment="From here on it could not be paid; the meter is to stop it."),
    sa.CheckConstraint("predecessor_ended_at IS NULL OR started_at >= predecessor_ended_at", name="no_overlap"),
    sa.CheckConstraint("ended_at IS NULL OR ended_at >= started_at", name="runs_forward"),
    sa.CheckConstraint("charged_until >= started_at AND charged_until <= paid_until", name="charged_within_paid"),
    sa.CheckConstraint("rate_micros_per_hour >= 0 AND charged_micros >= 0", name="amounts_not_negative"),
    sa.UniqueConstraint("predecessor_id"),
)
segment_is_open = segments.c.ended_at.is_(None)
sa.Index(
    "uq_segments_open",
    segments.c.resource_id,
    segments.c.meter,
    unique=True,
    postgresql_where=segment_is_open,
    sqlite_where=segment_is_open,
)
sa.Index(
    "ix_segments_user_open",
    segments.c.user_id,
    segments.c.paid_until,
    postgresql_where=segment_is_open,
    sqlite_where=segment_is_open,
)
sa.Index("ix_segments_resource", segments.c.resource_id, segments.c.started_at)

is_kept_open = sa.and_(segments.c.meter != constant("compute"), segment_is_open)
sa.Index("ix_segments_kept", segments.c.paid_until, postgresql_where=is_kept_open, sqlite_where=is_kept_open)
is_exhausted = sa.and_(segments.c.exhausted_at.is_not(None), segment_is_open)
sa.Index("ix_segments_exhausted", segments.c.user_id, postgresql_where=is_exhausted, sqlite_where=is_exhausted)

resource_costs = sa.Table(
    "resource_costs",
    metadata,
    sa.Column("resource_id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("project_id", sa.Uuid, nullable=False),
    sa.Column("charged_micros", sa.BigInteger, nullable=False),
    sa.Index("ix_resource_costs_project_id", "project_id"),
    sa.Index("ix_resource_costs_user_id", "user_id"),
)

daily_spend = sa.Table(
    "daily_spend",
    metadata,
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("micros", sa.BigInteger, nullable=False),
)

billing_records = sa.Table(
    "billing_records",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("vm_id", sa.Uuid),
    sa.Column("project_id", sa.Uuid),
    sa.Column("action_type", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False, comment="Micro-credits; charges are negative."),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("segment_id", sa.Uuid, sa.ForeignKey("segments.id")),
    sa.Column("period_start", Instant),
    sa.Column("period_end", Instant),
    sa.Column("rate_micros_per_hour", sa.BigInteger),
    sa.Column("price_version", sa.Integer),
    sa.Column("resource_type", sa.Text),
    sa.Column("meter", sa.Text),
    sa.Column("unit", sa.Text),
    sa.Column("quantity", sa.Integer),
    sa.Column("price_micros", sa.BigInteger, comment="Of one unit, as listed."),
    sa.Column("discount_basis_points", sa.Integer),
    one_of("action_type", ("vm_create", "vm_usage", "credit_add", "credit_deduct")),
    sa.Index("ix_billing_records_user_created", "user_id", "created_at", "id"),
    sa.Index("ix_billing_records_user_action", "user_id", "action_type", "created_at"),
    sa.Index("ix_billing_records_vm", "vm_id", "created_at"),
)

grants = sa.Table(
    "grants",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("record_id", sa.Uuid, sa.ForeignKey("billing_records.id"), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("remaining", sa.BigInteger, nullable=False, comment="What was not spent of it."),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("closed_at", Instant),
    sa.Column("lapsed_micros", sa.BigInteger, comment="What was taken back at its end."),
    sa.CheckConstraint("amount > 0", name="amount_positive"),
    sa.CheckConstraint("remaining BETWEEN 0 AND amount", name="remaining_of_amount"),
    sa.UniqueConstraint("record_id"),
)
grant_is_open = grants.c.closed_at.is_(None)
sa.Index(
    "ix_grants_user_open",
    grants.c.user_id,
    grants.c.expires_at,
    postgresql_where=grant_is_open,
    sqlite_where=grant_is_open,
)

ledger_entries = sa.Table(
    "ledger_entries",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False, comment="1, 2, 3 … within the user's books."),
    sa.Column("debit", sa.Text, nullable=False, comment="The account that the amount leaves."),
    sa.Column("credit", sa.Text, nullable=False, comment="The account that it reaches."),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("cause", sa.Text, nullable=False, comment="What it was for; a cause posts once."),
    sa.Column("record_id", sa.Uuid, sa.ForeignKey("billing_records.id")),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("hash", sa.Text, nullable=False, comment="Over this entry and the hash before it."),
    sa.CheckConstraint("amount > 0", name="amount_positive"),
    sa.CheckConstraint("debit <> credit", name="moves"),
    one_of("debit", LedgerAccount),
    one_of("credit", LedgerAccount),
    sa.UniqueConstraint("user_id", "position"),
    sa.UniqueConstraint("cause"),
    sa.Index("ix_ledger_entries_record_id", "record_id"),
)

statements = sa.Table(
    "statements",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False, comment="1, 2, 3 … within the account."),
    sa.Column("previous_number", sa.Integer),
    sa.Column("period_start", Instant, nullable=False),
    sa.Column("period_end", Instant, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("first_position", sa.BigInteger, nullable=False, comment="Its entries in the account's books."),
    sa.Column("last_position", sa.BigInteger, nullable=False),
    sa.Column("line_count", sa.BigInteger, nullable=False),
    sa.Column("opening_micros", sa.BigInteger, nullable=False),
    sa.Column("added_micros", sa.BigInteger, nullable=False),
    sa.Column("charged_micros", sa.BigInteger, nullable=False),
    sa.Column("deducted_micros", sa.BigInteger, nullable=False),
    sa.Column("closing_micros", sa.BigInteger, nullable=False),
    sa.Column("closed_at", Instant, nullable=False),
    sa.CheckConstraint(
        "(number = 1 AND previous_number IS NULL) OR (number > 1 AND previous_number = number - 1)", name="no_gap"
    ),
    sa.CheckConstraint("first_position BETWEEN 1 AND last_position", name="has_entries"),
    sa.CheckConstraint("period_end > period_start AND closed_at >= period_end", name="period_is_over"),
    sa.CheckConstraint(
        "closing_micros = opening_micros + added_micros - charged_micros - deducted_micros", name="adds_up"
    ),
    sa.UniqueConstraint("user_id", "number"),
    sa.UniqueConstraint("user_id", "period_start"),
    sa.UniqueConstraint("user_id", "first_position"),
    sa.ForeignKeyConstraint(
        ["user_id", "previous_number"], ["statements.user_id", "statements.number"], name="fk_statements_previous"
    ),
)

statement_schedule = sa.Table(
    "statement_schedule",
    metadata,
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("due_at", Instant, nullable=False, comment="When it is looked next whether a month is to be closed."),
    sa.Index("ix_statement_schedule_due_at", "due_at"),
)

vouchers = sa.Table(
    "vouchers",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("code_hash", sa.Text, nullable=False, comment="SHA-256 of the code; the code itself is nowhere."),
    sa.Column("hint", sa.Text, nullable=False, comment="Its last characters, to tell vouchers apart."),
    sa.Column("amount_micros", sa.BigInteger, nullable=False),
    sa.Column("max_redemptions", sa.Integer, nullable=False),
    sa.Column("redemptions", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("expires_at", Instant),
    sa.Column("withdrawn_at", Instant),
    sa.Column("created_by", sa.Uuid, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("amount_micros > 0", name="amount_positive"),
    sa.CheckConstraint("redemptions BETWEEN 0 AND max_redemptions", name="never_over_redeemed"),
    sa.UniqueConstraint("code_hash"),
    sa.Index("ix_vouchers_created_at", "created_at", "id"),
)

voucher_redemptions = sa.Table(
    "voucher_redemptions",
    metadata,
    sa.Column("voucher_id", sa.Uuid, sa.ForeignKey("vouchers.id"), primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), primary_key=True, comment="Once for each account."),
    sa.Column("created_at", Instant, nullable=False),
)

budgets = sa.Table(
    "budgets",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("project_id", sa.Uuid, comment="Null for the whole account."),
    sa.Column("label_key", sa.Text, comment="Null for all machines."),
    sa.Column("label_value", sa.Text),
    sa.Column("amount_micros", sa.BigInteger, nullable=False, comment="For a month, UTC."),
    sa.Column("thresholds", Document, nullable=False),
    sa.Column("period_start", Instant, nullable=False, comment="The month that `spent_micros` is of."),
    sa.Column("spent_micros", sa.BigInteger, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.CheckConstraint("amount_micros > 0", name="amount_positive"),
    sa.CheckConstraint("spent_micros >= 0", name="spent_not_negative"),
    sa.CheckConstraint("(label_key IS NULL) = (label_value IS NULL)", name="label_is_whole"),
    sa.UniqueConstraint("user_id", "name"),
)

budget_firings = sa.Table(
    "budget_firings",
    metadata,
    sa.Column("budget_id", sa.Uuid, sa.ForeignKey("budgets.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("period_start", Instant, primary_key=True),
    sa.Column("threshold", sa.Text, primary_key=True, comment="Fires once in a month."),
    sa.Column("created_at", Instant, nullable=False),
)
