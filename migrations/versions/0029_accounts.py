"""Accounts: who they are, how they sign in, and the mail to them.

The steps before this one were never released and have become one with it and those after it. The numbers go on, so
that a database that was made by those steps is at the same revision as a new one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0029"
down_revision = None

INSTANT = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TABLES = (
    "login_failures",
    "mails",
    "rate_limits",
    "users",
    "account_links",
    "personal_tokens",
    "recovery_codes",
    "second_factors",
    "sessions",
    "refresh_tokens",
)
"""Each after those that it refers to."""


def upgrade() -> None:
    """Create the tables."""
    _create_login_failures()
    _create_mails()
    _create_rate_limits()
    _create_users()
    _create_account_links()
    _create_personal_tokens()
    _create_recovery_codes()
    _create_second_factors()
    _create_sessions()
    _create_refresh_tokens()


def downgrade() -> None:
    """Drop them, those that refer to others first."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_login_failures() -> None:
    op.create_table(
        "login_failures",
        sa.Column(
            "key", sa.Text(), nullable=False, comment="Hash of the submitted e-mail and the network it came from."
        ),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.CheckConstraint("count >= 0", name="ck_login_failures_count_not_negative"),
        sa.PrimaryKeyConstraint("key", name="pk_login_failures"),
    )
    op.create_index("ix_login_failures_expires_at", "login_failures", ["expires_at"])


def _create_mails() -> None:
    op.create_table(
        "mails",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "key", sa.Text(), nullable=False, comment="What it is about; a repeat of its cause adds no second one."
        ),
        sa.Column("user_id", sa.Uuid(), comment="The account that it goes to; null where there is none yet."),
        sa.Column("content", sa.LargeBinary(), comment="Recipient, subject and text, sealed; null once it has ended."),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "attempt", sa.Integer(), server_default="0", nullable=False, comment="Rises with every claim: its fence."
        ),
        sa.Column("due_at", INSTANT, nullable=False, comment="When to try next; a claim moves it on by its lease."),
        sa.Column("expires_at", INSTANT, nullable=False, comment="When sending it is no use any more."),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT),
        sa.CheckConstraint("(status = 'pending') = (content IS NOT NULL)", name="ck_mails_forgotten_at_the_end"),
        sa.CheckConstraint("status IN ('pending', 'sent', 'dead')", name="ck_mails_status_known"),
        sa.PrimaryKeyConstraint("id", name="pk_mails"),
        sa.UniqueConstraint("key", name="uq_mails_key"),
    )
    op.create_index(
        "ix_mails_due_at",
        "mails",
        ["due_at"],
        postgresql_where=sa.text("status = 'pending'"),
        sqlite_where=sa.text("status = 'pending'"),
    )
    op.create_index("ix_mails_ended_at", "mails", ["ended_at"])
    op.create_index("ix_mails_user_id", "mails", ["user_id"])


def _create_rate_limits() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column(
            "recent", sa.LargeBinary(), server_default="", nullable=False, comment="When the requests of a minute came."
        ),
        sa.Column("expires_at", INSTANT, nullable=False, comment="When none of them counts any more."),
        sa.PrimaryKeyConstraint("key", name="pk_rate_limits"),
    )
    op.create_index("ix_rate_limits_expires_at", "rate_limits", ["expires_at"])


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False, comment="As the owner wrote it."),
        sa.Column("email_key", sa.Text(), nullable=False, comment="Case-folded; what uniqueness means."),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hashed_password", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT),
        sa.Column("last_login", INSTANT),
        sa.Column("email_verified_at", INSTANT),
        sa.Column(
            "welcome_pending",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="The welcome waits for the proof of the address.",
        ),
        sa.Column("deleted_at", INSTANT),
        sa.Column("credits", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_spent", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("billing_line_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("ledger_position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("ledger_head", sa.Text(), server_default="", nullable=False),
        sa.Column("meter_due_at", INSTANT, comment="When the meter must look at the account next."),
        sa.Column(
            "credit_warning",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Warnings given of the credit's end.",
        ),
        sa.Column("discount_basis_points", sa.Integer(), server_default="0", nullable=False),
        sa.Column("grants_end_at", INSTANT, comment="When the next grant ends."),
        sa.Column("suspended_at", INSTANT, comment="Since when an administrator shuts it out."),
        sa.Column("suspended_for", sa.Text(), comment="The administrator's reason."),
        sa.CheckConstraint("role IN ('user', 'admin')", name="ck_users_role_known"),
        sa.CheckConstraint("discount_basis_points BETWEEN 0 AND 10000", name="ck_users_discount_within_the_whole"),
        sa.CheckConstraint("held BETWEEN 0 AND credits", name="ck_users_never_overspent"),
        sa.CheckConstraint("total_spent >= 0", name="ck_users_spent_not_negative"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email_key", name="uq_users_email_key"),
    )
    op.create_index(
        "ix_users_administrators",
        "users",
        ["id"],
        postgresql_where=sa.text("role = 'admin'"),
        sqlite_where=sa.text("role = 'admin'"),
    )
    op.create_index("ix_users_created_at", "users", ["created_at", "id"])
    op.create_index(
        "ix_users_meter_due_at",
        "users",
        ["meter_due_at"],
        postgresql_where=sa.text("meter_due_at IS NOT NULL"),
        sqlite_where=sa.text("meter_due_at IS NOT NULL"),
    )


def _create_account_links() -> None:
    op.create_table(
        "account_links",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False, comment="SHA-256 of the token; the token itself is nowhere."),
        sa.Column("email", sa.Text(), comment="The new address, where the link proves one."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "purpose IN ('verify_email', 'change_email', 'reset_password', 'second_factor')",
            name="ck_account_links_purpose_known",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_account_links_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "purpose", name="pk_account_links"),
        sa.UniqueConstraint("hash", name="uq_account_links_hash"),
    )
    op.create_index("ix_account_links_expires_at", "account_links", ["expires_at"])


def _create_personal_tokens() -> None:
    op.create_table(
        "personal_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False, comment="Case-folded; what uniqueness means."),
        sa.Column("hash", sa.Text(), nullable=False, comment="SHA-256 of the token; the token itself is nowhere."),
        sa.Column("ending", sa.Text(), nullable=False, comment="The last four characters, for its owner."),
        sa.Column("scopes", DOCUMENT, nullable=False),
        sa.Column("projects", DOCUMENT, comment="Ids of the projects that it is limited to; null where it is not."),
        sa.Column("life_days", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("last_used_at", INSTANT, comment="To the minute."),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_personal_tokens_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_personal_tokens"),
        sa.UniqueConstraint("hash", name="uq_personal_tokens_hash"),
        sa.UniqueConstraint("user_id", "name_key", name="uq_personal_tokens_user_id_name_key"),
    )


def _create_recovery_codes() -> None:
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False, comment="SHA-256 of the code; a used one is deleted."),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_recovery_codes_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "hash", name="pk_recovery_codes"),
    )


def _create_second_factors() -> None:
    op.create_table(
        "second_factors",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False, comment="Sealed."),
        sa.Column("confirmed_at", INSTANT, comment="Null until a first code has shown that the owner has the secret."),
        sa.Column("last_step", sa.BigInteger(), server_default="0", nullable=False, comment="Of the last code taken."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_second_factors_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name="pk_second_factors"),
    )


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("last_used_at", INSTANT, nullable=False),
        sa.Column(
            "proven_at",
            INSTANT,
            comment="When the owner proved who it is once more; null where the login is the last proof.",
        ),
        sa.Column("revoked_at", INSTANT),
        sa.Column("revoked_reason", sa.Text()),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("ix_sessions_user_id", "sessions", ["user_id", "created_at", "id"])


def _create_refresh_tokens() -> None:
    op.create_table(
        "refresh_tokens",
        sa.Column("hash", sa.Text(), nullable=False, comment="SHA-256 of the token; the token itself is nowhere."),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("used_at", INSTANT),
        sa.Column(
            "salt",
            sa.Text(),
            comment="With the token itself it gives the one that followed; null before and long after.",
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_refresh_tokens_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hash", name="pk_refresh_tokens"),
    )
    op.create_index("ix_refresh_tokens_session_id", "refresh_tokens", ["session_id"])
