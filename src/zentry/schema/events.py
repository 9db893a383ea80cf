"""What happened: events as they were written, and the log that gives them their positions after commit."""

from __future__ import annotations

import sqlalchemy as sa

from zentry.platform.db.types import Document, Instant
from zentry.schema.metadata import metadata

_Counter = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False, comment="subject.verb, such as vm.running"),
    sa.Column("user_id", sa.Uuid, comment="Whose books and lists it belongs to."),
    sa.Column("project_id", sa.Uuid),
    sa.Column("resource_type", sa.Text, nullable=False),
    sa.Column("resource_id", sa.Uuid, nullable=False),
    sa.Column("cause", sa.Text, nullable=False, comment="What brought it about, such as user, credit, operation."),
    sa.Column("actor_id", sa.Uuid, comment="The account that asked; null for the platform itself."),
    sa.Column("operation_id", sa.Uuid),
    sa.Column("request_id", sa.Text),
    sa.Column("data", Document, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Index("ix_events_user_created", "user_id", "created_at", "id"),
    sa.Index("ix_events_project_created", "project_id", "created_at", "id"),
    sa.Index("ix_events_resource", "resource_id", "created_at"),
    sa.Index("ix_events_created_at", "created_at"),
)

event_queue = sa.Table(
    "event_queue",
    metadata,
    sa.Column("number", _Counter, sa.Identity(), primary_key=True, comment="Order of writing, not of commit."),
    sa.Column("event_id", sa.Uuid, nullable=False, unique=True),
    comment="Committed events without a position; a trigger on events fills it, so that none is forgotten.",
)

event_log = sa.Table(
    "event_log",
    metadata,
    sa.Column("position", _Counter, primary_key=True, autoincrement=False),
    sa.Column("event_id", sa.Uuid, sa.ForeignKey("events.id"), nullable=False, unique=True),
    sa.Column("user_id", sa.Uuid, comment="The event's, here to be found in the order of positions."),
    sa.Column("project_id", sa.Uuid),
    sa.Column("resource_id", sa.Uuid, nullable=False),
    sa.Column("logged_at", Instant, nullable=False, comment="Never earlier than that of the position before."),
    sa.Column("hash", sa.Text, nullable=False, comment="Over the event and the hash before it."),
    sa.Index("ix_event_log_user_id_position", "user_id", "position"),
    sa.Index("ix_event_log_project_id_position", "project_id", "position"),
    sa.Index("ix_event_log_resource_id_position", "resource_id", "position"),
    sa.Index("ix_event_log_logged_at", "logged_at"),
)

event_head = sa.Table(
    "event_head",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, nullable=False, comment="The newest of the log."),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("logged_at", Instant, nullable=False),
    sa.Column("longest_lag_seconds", sa.Integer, nullable=False, comment="Between an event and its position."),
    sa.Column("kept_from", sa.BigInteger, nullable=False, comment="Positions below were let go by retention."),
    sa.Column("anchor", sa.Text, nullable=False, comment="The hash before the first position that is kept."),
    sa.CheckConstraint("id = 1", name="alone"),
    sa.CheckConstraint("kept_from BETWEEN 1 AND position + 1", name="kept_from_in_range"),
    comment="One row. Who holds its lock is the sequencer.",
)

event_details = sa.Table(
    "event_details",
    metadata,
    sa.Column("event_id", sa.Uuid, sa.ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("actor_id", sa.Uuid, comment="Whose personal data this is."),
    sa.Column("session_id", sa.Uuid),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("agent", sa.Text, nullable=False, comment="The client's User-Agent, cut short."),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column(
        "personal", Document, comment="Names and addresses as they were and as they are, where the event changed them."
    ),
    sa.Index("ix_event_details_actor_id", "actor_id"),
    sa.Index("ix_event_details_created_at", "created_at"),
    comment="Personal data of events. Rows may be deleted: the chain of hashes does not cover them.",
)
