"""What was written into the books and the event log stays as it was written, and no event is forgotten."""

from __future__ import annotations

from alembic import op

revision = "0037"
down_revision = "0036"

NEVER = ("ledger_entries", "billing_records", "statements")
"""Refuse every change and every deletion."""
KEPT = {
    # The sequencer lets go of events that retention has given up, and of nothing else.
    "events": (
        "EXISTS (SELECT 1 FROM event_log WHERE event_id = OLD.id)"
        " OR EXISTS (SELECT 1 FROM event_queue WHERE event_id = OLD.id)"
    ),
    "event_log": "OLD.position >= (SELECT kept_from FROM event_head)",
}
"""Refuse every change, and deletion where this holds."""
REFUSALS = {"events": "refuse_change_of_kept_event", "event_log": "refuse_change_of_log"}


def upgrade() -> None:
    """Refuse, whoever asks, and queue each event that is written."""
    if op.get_bind().dialect.name == "postgresql":
        _guard_on_postgresql()
    else:
        _guard_on_sqlite()


def downgrade() -> None:
    """Allow changes again."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER events_queued ON events")
        for table in (*NEVER, *KEPT):
            op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
            op.execute(f"DROP TRIGGER {table}_no_truncate ON {table}")
        for function in ("refuse_change", "queue_event", *REFUSALS.values()):
            op.execute(f"DROP FUNCTION {function}()")
        return
    op.execute("DROP TRIGGER events_queued")
    for table in (*NEVER, *KEPT):
        op.execute(f"DROP TRIGGER {table}_no_update")
        op.execute(f"DROP TRIGGER {table}_no_delete")


def _guard_on_postgresql() -> None:
    _create_function(
        "refuse_change",
        """
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
        """,
    )
    for table, kept in KEPT.items():
        _create_function(
            REFUSALS[table],
            f"""
                IF TG_OP = 'UPDATE' OR {kept} THEN
                    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
                END IF;
                RETURN OLD;
            """,
        )
    for table in (*NEVER, *KEPT):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {REFUSALS.get(table, 'refuse_change')}()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    _create_function(
        "queue_event",
        """
            INSERT INTO event_queue (event_id) VALUES (NEW.id);
            RETURN NULL;
        """,
    )
    op.execute("CREATE TRIGGER events_queued AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION queue_event()")


def _create_function(name: str, body: str) -> None:
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$")


def _guard_on_sqlite() -> None:
    for table in (*NEVER, *KEPT):
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        kept = f"WHEN {KEPT[table]} " if table in KEPT else ""
        op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}")
        op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {kept}{refuse}")
    op.execute(
        "CREATE TRIGGER events_queued AFTER INSERT ON events "
        "BEGIN INSERT INTO event_queue (event_id) VALUES (NEW.id); END"
    )
