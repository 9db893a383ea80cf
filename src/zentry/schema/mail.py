"""Mails on their way. What they say and to whom is sealed, and forgotten once they are sent."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa

from zentry.platform.db.types import Instant
from zentry.schema.metadata import constant, metadata, one_of, sealed_for


class MailStatus(StrEnum):
    """A mail waits for its sending, and was sent or given up."""

    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead"


mails = sa.Table(
    "mails",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, comment="What it is about; a repeat of its cause adds no second one."),
    sa.Column("user_id", sa.Uuid, comment="The account that it goes to; null where there is none yet."),
    sa.Column(
        "content",
        sa.LargeBinary,
        comment="Recipient, subject and text, sealed; null once it has ended.",
        info=sealed_for("id"),
    ),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0", comment="Rises with every claim: its fence."),
    sa.Column("due_at", Instant, nullable=False, comment="When to try next; a claim moves it on by its lease."),
    sa.Column("expires_at", Instant, nullable=False, comment="When sending it is no use any more."),
    sa.Column("error", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    sa.UniqueConstraint("key"),
    one_of("status", MailStatus),
    sa.CheckConstraint("(status = 'pending') = (content IS NOT NULL)", name="forgotten_at_the_end"),
)
is_pending = mails.c.status == constant(MailStatus.PENDING)
sa.Index("ix_mails_due_at", mails.c.due_at, postgresql_where=is_pending, sqlite_where=is_pending)
sa.Index("ix_mails_user_id", mails.c.user_id)
sa.Index("ix_mails_ended_at", mails.c.ended_at)
