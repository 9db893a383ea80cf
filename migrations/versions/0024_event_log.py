"""Events get positions after commit, in a log of their own; what is personal about them lies beside."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"

INSTANT = sa.DateTime(timezone=True)
COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
GONE = "'events is append-only'"
IN_LOG = "EXISTS (SELECT 1 FROM event_log WHERE event_id = OLD.id)"
IN_QUEUE = "EXISTS (SELECT 1 FROM event_queue WHERE event_id = OLD.id)"
KEPT = "OLD.position >= (SELECT kept_from FROM event_head)"


def upgrade() -> None:
    """Add the tables and their guards, and queue what was written before."""
    op.create_table(
        "event_queue",
        sa.Column("number", COUNTER, sa.Identity(), nullable=False, comment="Order of writing, not of commit."),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_event_queue"),
        sa.UniqueConstraint("event_id", name="uq_event_queue_event_id"),
        comment="Committed events without a position; a trigger on events fills it, so that none is forgotten.",
    )
    op.create_table(
        "event_log",
        sa.Column("position", COUNTER, autoincrement=False, nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), comment="The event's, here to be found in the order of positions."),
        sa.Column("project_id", sa.Uuid()),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("logged_at", INSTANT, nullable=False, comment="Never earlier than that of the position before."),
        sa.Column("hash", sa.Text(), nullable=False, comment="Over the event and the hash before it."),
        sa.PrimaryKeyConstraint("position", name="pk_event_log"),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_event_log_event_id"),
        sa.UniqueConstraint("event_id", name="uq_event_log_event_id"),
    )
    for column in ("user_id", "project_id", "resource_id"):
        op.create_index(f"ix_event_log_{column}_position", "event_log", [column, "position"])
    op.create_index("ix_event_log_logged_at", "event_log", ["logged_at"])
    head = op.create_table(
        "event_head",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="The newest of the log."),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("logged_at", INSTANT, nullable=False),
        sa.Column("longest_lag_seconds", sa.Integer(), nullable=False, comment="Between an event and its position."),
        sa.Column("kept_from", sa.BigInteger(), nullable=False, comment="Positions below were let go by retention."),
        sa.Column("anchor", sa.Text(), nullable=False, comment="The hash before the first position that is kept."),
        sa.PrimaryKeyConstraint("id", name="pk_event_head"),
        sa.CheckConstraint("id = 1", name="ck_event_head_alone"),
        sa.CheckConstraint("kept_from BETWEEN 1 AND position + 1", name="ck_event_head_kept_from_in_range"),
        comment="One row. Who holds its lock is the sequencer.",
    )
    start = datetime(1970, 1, 1, tzinfo=UTC)
    if op.get_bind().dialect.name == "sqlite":
        start = start.replace(tzinfo=None)
    op.bulk_insert(
        head,
        [
            {
                "id": 1,
                "position": 0,
                "hash": "",
                "logged_at": start,
                "longest_lag_seconds": 0,
                "kept_from": 1,
                "anchor": "",
            }
        ],
    )
    op.create_table(
        "event_details",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), comment="Whose personal data this is."),
        sa.Column("session_id", sa.Uuid()),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False, comment="The client's User-Agent, cut short."),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_event_details"),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_event_details_event_id", ondelete="CASCADE"),
        comment="Personal data of events. Rows may be deleted: the chain of hashes does not cover them.",
    )
    op.create_index("ix_event_details_actor_id", "event_details", ["actor_id"])
    op.create_index("ix_event_details_created_at", "event_details", ["created_at"])
    op.execute("INSERT INTO event_queue (event_id) SELECT id FROM events ORDER BY created_at, id")
    if op.get_bind().dialect.name == "postgresql":
        _guard_on_postgresql()
    else:
        _guard_on_sqlite()


def downgrade() -> None:
    """Remove them; events are guarded as before."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER events_queued ON events")
        op.execute("DROP TRIGGER events_append_only ON events")
        op.execute(
            "CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute("DROP FUNCTION queue_event()")
        op.execute("DROP FUNCTION refuse_change_of_kept_event()")
    else:
        op.execute("DROP TRIGGER events_queued")
        op.execute("DROP TRIGGER events_no_delete")
        op.execute(f"CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, {GONE}); END")
    for table in ("event_details", "event_log", "event_head", "event_queue"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change_of_log()")


def _guard_on_postgresql() -> None:
    op.execute(
        """
        CREATE FUNCTION queue_event() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO event_queue (event_id) VALUES (NEW.id);
            RETURN NULL;
        END
        $$
        """
    )
    op.execute("CREATE TRIGGER events_queued AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION queue_event()")
    for function, table, refused in (
        ("refuse_change_of_kept_event", "events", f"{IN_LOG} OR {IN_QUEUE}"),
        ("refuse_change_of_log", "event_log", KEPT),
    ):
        op.execute(
            f"""
            CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF TG_OP = 'UPDATE' OR {refused} THEN
                    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
                END IF;
                RETURN OLD;
            END
            $$
            """
        )
        if table == "events":
            op.execute("DROP TRIGGER events_append_only ON events")
        else:
            op.execute(
                f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
            )
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {function}()"
        )


def _guard_on_sqlite() -> None:
    op.execute(
        "CREATE TRIGGER events_queued AFTER INSERT ON events "
        "BEGIN INSERT INTO event_queue (event_id) VALUES (NEW.id); END"
    )
    op.execute("DROP TRIGGER events_no_delete")
    op.execute(
        f"CREATE TRIGGER events_no_delete BEFORE DELETE ON events WHEN {IN_LOG} OR {IN_QUEUE} "
        f"BEGIN SELECT RAISE(ABORT, {GONE}); END"
    )
    gone = "'event_log is append-only'"
    op.execute(f"CREATE TRIGGER event_log_no_update BEFORE UPDATE ON event_log BEGIN SELECT RAISE(ABORT, {gone}); END")
    op.execute(
        f"CREATE TRIGGER event_log_no_delete BEFORE DELETE ON event_log WHEN {KEPT} "
        f"BEGIN SELECT RAISE(ABORT, {gone}); END"
    )
