"""Events, and the log that gives them positions."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0034"
down_revision = "0033"

INSTANT = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = (
    "event_head",
    "event_queue",
    "events",
    "event_details",
    "event_log",
)
"""Each after those that it refers to."""


def upgrade() -> None:
    """Create the tables."""
    _create_event_head()
    _create_event_queue()
    _create_events()
    _create_event_details()
    _create_event_log()


def downgrade() -> None:
    """Drop them, those that refer to others first."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_event_head() -> None:
    head = op.create_table(
        "event_head",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="The newest of the log."),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("logged_at", INSTANT, nullable=False),
        sa.Column("longest_lag_seconds", sa.Integer(), nullable=False, comment="Between an event and its position."),
        sa.Column("kept_from", sa.BigInteger(), nullable=False, comment="Positions below were let go by retention."),
        sa.Column("anchor", sa.Text(), nullable=False, comment="The hash before the first position that is kept."),
        sa.CheckConstraint("id = 1", name="ck_event_head_alone"),
        sa.CheckConstraint("kept_from BETWEEN 1 AND position + 1", name="ck_event_head_kept_from_in_range"),
        sa.PrimaryKeyConstraint("id", name="pk_event_head"),
        comment="One row. Who holds its lock is the sequencer.",
    )
    op.bulk_insert(
        head,
        [
            {
                "id": 1,
                "position": 0,
                "hash": "",
                "logged_at": _kept(datetime(1970, 1, 1, tzinfo=UTC)),
                "longest_lag_seconds": 0,
                "kept_from": 1,
                "anchor": "",
            }
        ],
    )


def _create_event_queue() -> None:
    op.create_table(
        "event_queue",
        sa.Column("number", COUNTER, sa.Identity(), nullable=False, comment="Order of writing, not of commit."),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_event_queue"),
        sa.UniqueConstraint("event_id", name="uq_event_queue_event_id"),
        comment="Committed events without a position; a trigger on events fills it, so that none is forgotten.",
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="subject.verb, such as vm.running"),
        sa.Column("user_id", sa.Uuid(), comment="Whose books and lists it belongs to."),
        sa.Column("project_id", sa.Uuid()),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column(
            "cause", sa.Text(), nullable=False, comment="What brought it about, such as user, credit, operation."
        ),
        sa.Column("actor_id", sa.Uuid(), comment="The account that asked; null for the platform itself."),
        sa.Column("operation_id", sa.Uuid()),
        sa.Column("request_id", sa.Text()),
        sa.Column("data", DOCUMENT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_created_at", "events", ["created_at"])
    op.create_index("ix_events_project_created", "events", ["project_id", "created_at", "id"])
    op.create_index("ix_events_resource", "events", ["resource_id", "created_at"])
    op.create_index("ix_events_user_created", "events", ["user_id", "created_at", "id"])


def _create_event_details() -> None:
    op.create_table(
        "event_details",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), comment="Whose personal data this is."),
        sa.Column("session_id", sa.Uuid()),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False, comment="The client's User-Agent, cut short."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column(
            "personal",
            DOCUMENT,
            comment="Names and addresses as they were and as they are, where the event changed them.",
        ),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_event_details_event_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("event_id", name="pk_event_details"),
        comment="Personal data of events. Rows may be deleted: the chain of hashes does not cover them.",
    )
    op.create_index("ix_event_details_actor_id", "event_details", ["actor_id"])
    op.create_index("ix_event_details_created_at", "event_details", ["created_at"])


def _create_event_log() -> None:
    op.create_table(
        "event_log",
        sa.Column("position", COUNTER, autoincrement=False, nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), comment="The event's, here to be found in the order of positions."),
        sa.Column("project_id", sa.Uuid()),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("logged_at", INSTANT, nullable=False, comment="Never earlier than that of the position before."),
        sa.Column("hash", sa.Text(), nullable=False, comment="Over the event and the hash before it."),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_event_log_event_id"),
        sa.PrimaryKeyConstraint("position", name="pk_event_log"),
        sa.UniqueConstraint("event_id", name="uq_event_log_event_id"),
    )
    op.create_index("ix_event_log_logged_at", "event_log", ["logged_at"])
    op.create_index("ix_event_log_project_id_position", "event_log", ["project_id", "position"])
    op.create_index("ix_event_log_resource_id_position", "event_log", ["resource_id", "position"])
    op.create_index("ix_event_log_user_id_position", "event_log", ["user_id", "position"])


def _kept(instant: datetime) -> datetime:
    """Return it as the database keeps it: SQLite as UTC without a zone."""
    return instant if op.get_bind().dialect.name == "postgresql" else instant.replace(tzinfo=None)
