"""The append-only record of what happened. Positions are given after commit, by a sequencer."""

from __future__ import annotations

import sqlalchemy as sa

from zentry.platform.db.types import Document, Instant
from zentry.schema.metadata import metadata

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
    sa.Index("ix_events_resource", "resource_id", "created_at"),
    sa.Index("ix_events_created_at", "created_at"),
)
