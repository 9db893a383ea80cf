"""Endpoints that events are posted to, and what became of each delivery."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa

from zentry.platform.db.types import Document, Instant
from zentry.schema.metadata import constant, metadata, one_of, sealed_for


class EndpointStatus(StrEnum):
    """Whether anything is posted to an endpoint."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class DeliveryStatus(StrEnum):
    """What became of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


webhook_endpoints = sa.Table(
    "webhook_endpoints",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("project_id", sa.Uuid, sa.ForeignKey("projects.id"), comment="Null for the whole account."),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("kinds", Document, nullable=False, comment="Beginnings of kinds; an empty list is all."),
    sa.Column("secret", sa.LargeBinary, nullable=False, comment="Sealed.", info=sealed_for("id")),
    sa.Column(
        "old_secret",
        sa.LargeBinary,
        comment="Sealed; signs as well until its time is over.",
        info=sealed_for("id"),
    ),
    sa.Column("old_secret_until", Instant),
    sa.Column("status", sa.Text, nullable=False, server_default=EndpointStatus.ENABLED),
    sa.Column("disabled_reason", sa.Text),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0", comment="In a row."),
    sa.Column("failing_since", Instant),
    sa.Column("retry_at", Instant, comment="Nothing is posted before: it has failed several times in a row."),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    one_of("status", EndpointStatus),
    sa.Index("ix_webhook_endpoints_user_id", "user_id"),
    sa.Index("ix_webhook_endpoints_project_id", "project_id"),
)

webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True, comment="The webhook-id: the same in every attempt."),
    sa.Column("endpoint_id", sa.Uuid, sa.ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), nullable=False),
    sa.Column("position", sa.BigInteger, comment="Of the event; null for a ping."),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("resource_id", sa.Uuid, nullable=False, comment="Deliveries of one resource are made in order."),
    sa.Column("status", sa.Text, nullable=False, server_default=DeliveryStatus.PENDING),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0", comment="Since it was last asked for."),
    sa.Column("attempts_ever", sa.Integer, nullable=False, server_default="0"),
    sa.Column("due_at", Instant, nullable=False),
    sa.Column("owner", sa.Text, comment="The process that makes an attempt."),
    sa.Column("lease_until", Instant),
    sa.Column("last_status", sa.Integer),
    sa.Column("last_error", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    one_of("status", DeliveryStatus),
    sa.UniqueConstraint("endpoint_id", "position"),
    sa.Index("ix_webhook_deliveries_endpoint_id_id", "endpoint_id", "id"),
    sa.Index("ix_webhook_deliveries_created_at", "created_at"),
)
is_pending = webhook_deliveries.c.status == constant(DeliveryStatus.PENDING)
sa.Index("ix_webhook_deliveries_due", webhook_deliveries.c.due_at, postgresql_where=is_pending, sqlite_where=is_pending)
sa.Index(
    "ix_webhook_deliveries_order",
    webhook_deliveries.c.endpoint_id,
    webhook_deliveries.c.resource_id,
    webhook_deliveries.c.position,
    postgresql_where=is_pending,
    sqlite_where=is_pending,
)

webhook_attempts = sa.Table(
    "webhook_attempts",
    metadata,
    sa.Column("delivery_id", sa.Uuid, sa.ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("took_ms", sa.Integer, nullable=False),
    sa.Column("response_status", sa.Integer),
    sa.Column("error", sa.Text),
)

webhook_cursor = sa.Table(
    "webhook_cursor",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, nullable=False, comment="Deliveries exist for every event up to here."),
    sa.CheckConstraint("id = 1", name="alone"),
    comment="One row. Who holds its lock makes deliveries of events.",
)
