"""Users, sessions, refresh tokens, and the counters that protect sign-in."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa

from zentry.platform.caller import Role
from zentry.platform.db.types import Document, Instant
from zentry.schema.metadata import constant, metadata, one_of, sealed_for


class LinkPurpose(StrEnum):
    """What a link may be used for, and for nothing else."""

    VERIFY_EMAIL = "verify_email"
    CHANGE_EMAIL = "change_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose, no secret
    SECOND_FACTOR = "second_factor"


users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("email", sa.Text, nullable=False, comment="As the owner wrote it."),
    sa.Column("email_key", sa.Text, nullable=False, comment="Case-folded; what uniqueness means."),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("hashed_password", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant),
    sa.Column("last_login", Instant),
    sa.Column("email_verified_at", Instant),
    sa.Column(
        "welcome_pending",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="The welcome waits for the proof of the address.",
    ),
    sa.Column("deleted_at", Instant),
    # Written by billing alone, in micro-credits.
    sa.Column("credits", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("held", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("total_spent", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("billing_line_count", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("ledger_position", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("ledger_head", sa.Text, nullable=False, server_default=""),
    sa.Column("meter_due_at", Instant, comment="When the meter must look at the account next."),
    sa.Column(
        "credit_warning", sa.Integer, nullable=False, server_default="0", comment="Warnings given of the credit's end."
    ),
    sa.Column("discount_basis_points", sa.Integer, nullable=False, server_default="0"),
    sa.Column("grants_end_at", Instant, comment="When the next grant ends."),
    sa.Column("suspended_at", Instant, comment="Since when an administrator shuts it out."),
    sa.Column("suspended_for", sa.Text, comment="The administrator's reason."),
    sa.UniqueConstraint("email_key"),
    sa.CheckConstraint("held BETWEEN 0 AND credits", name="never_overspent"),
    sa.CheckConstraint("total_spent >= 0", name="spent_not_negative"),
    sa.CheckConstraint("discount_basis_points BETWEEN 0 AND 10000", name="discount_within_the_whole"),
    one_of("role", Role),
    sa.Index("ix_users_created_at", "created_at", "id"),
)
is_administrator = users.c.role == constant(Role.ADMIN)
sa.Index("ix_users_administrators", users.c.id, postgresql_where=is_administrator, sqlite_where=is_administrator)
sa.Index(
    "ix_users_meter_due_at",
    users.c.meter_due_at,
    postgresql_where=users.c.meter_due_at.is_not(None),
    sqlite_where=users.c.meter_due_at.is_not(None),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("last_used_at", Instant, nullable=False),
    sa.Column(
        "proven_at",
        Instant,
        comment="When the owner proved who it is once more; null where the login is the last proof.",
    ),
    sa.Column("revoked_at", Instant),
    sa.Column("revoked_reason", sa.Text),
    sa.Column("user_agent", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Index("ix_sessions_user_id", "user_id", "created_at", "id"),
    sa.Index("ix_sessions_expires_at", "expires_at"),
)

refresh_tokens = sa.Table(
    "refresh_tokens",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True, comment="SHA-256 of the token; the token itself is nowhere."),
    sa.Column("session_id", sa.Uuid, sa.ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("used_at", Instant),
    sa.Column(
        "salt", sa.Text, comment="With the token itself it gives the one that followed; null before and long after."
    ),
    sa.Index("ix_refresh_tokens_session_id", "session_id"),
)

personal_tokens = sa.Table(
    "personal_tokens",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False, comment="Case-folded; what uniqueness means."),
    sa.Column("hash", sa.Text, nullable=False, comment="SHA-256 of the token; the token itself is nowhere."),
    sa.Column("ending", sa.Text, nullable=False, comment="The last four characters, for its owner."),
    sa.Column("scopes", Document, nullable=False),
    sa.Column("projects", Document, comment="Ids of the projects that it is limited to; null where it is not."),
    sa.Column("life_days", sa.Integer, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("last_used_at", Instant, comment="To the minute."),
    sa.UniqueConstraint("hash"),
    sa.UniqueConstraint("user_id", "name_key"),
)

account_links = sa.Table(
    "account_links",
    metadata,
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("purpose", sa.Text, primary_key=True),
    sa.Column("hash", sa.Text, nullable=False, comment="SHA-256 of the token; the token itself is nowhere."),
    sa.Column("email", sa.Text, comment="The new address, where the link proves one."),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.UniqueConstraint("hash"),
    one_of("purpose", LinkPurpose),
    sa.Index("ix_account_links_expires_at", "expires_at"),
)

second_factors = sa.Table(
    "second_factors",
    metadata,
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("secret", sa.LargeBinary, nullable=False, comment="Sealed.", info=sealed_for("user_id")),
    sa.Column("confirmed_at", Instant, comment="Null until a first code has shown that the owner has the secret."),
    sa.Column("last_step", sa.BigInteger, nullable=False, server_default="0", comment="Of the last code taken."),
    sa.Column("created_at", Instant, nullable=False),
)

recovery_codes = sa.Table(
    "recovery_codes",
    metadata,
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("hash", sa.Text, primary_key=True, comment="SHA-256 of the code; a used one is deleted."),
)

login_failures = sa.Table(
    "login_failures",
    metadata,
    sa.Column("key", sa.Text, primary_key=True, comment="Hash of the submitted e-mail and the network it came from."),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.CheckConstraint("count >= 0", name="count_not_negative"),
    sa.Index("ix_login_failures_expires_at", "expires_at"),
)

rate_limits = sa.Table(
    "rate_limits",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column(
        "recent", sa.LargeBinary, nullable=False, server_default="", comment="When the requests of a minute came."
    ),
    sa.Column("expires_at", Instant, nullable=False, comment="When none of them counts any more."),
    sa.Index("ix_rate_limits_expires_at", "expires_at"),
)
