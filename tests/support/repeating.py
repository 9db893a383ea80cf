"""Statements that are run three times, to see that it makes no difference which way they take to the database."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.platform.db import Database
from zentry.platform.db.prepared import Parameters
from zentry.schema.events import events
from zentry.schema.vms import images

START: Final = datetime(2026, 3, 2, tzinfo=UTC)
IDS: Final = [UUID(int=number) for number in range(1, 4)]
EVENT: Final[Mapping[str, Any]] = {
    "kind": "vm.started",
    "resource_type": "vm",
    "resource_id": UUID(int=9),
    "user_id": UUID(int=9),
    "cause": "user",
    "data": {"answer": [42, None, "é"]},
    "created_at": START,
}
IMAGE: Final[Mapping[str, Any]] = {
    "name": "plan-9",
    "distribution": "plan9",
    "version": "4",
    "description": "",
    "sort_order": 9,
}
_ours: Final = events.c.id.in_(IDS)
_given: Final = events.c.id.in_(sa.bindparam("ids", expanding=True))
STATEMENTS: Final[Mapping[str, tuple[sa.Executable, Parameters]]] = {
    "times, ids and documents": (sa.select(events).where(_ours).order_by(events.c.id), None),
    "a value of its own": (sa.select(events).where(events.c.id == IDS[1]), None),
    "a list that is given": (sa.select(events).where(_given).order_by(events.c.id).limit(2), {"ids": IDS}),
    "an empty list": (sa.select(events).where(_given).limit(3), {"ids": []}),
    "a time that is given": (
        sa.select(events.c.id).where(_ours, events.c.created_at < sa.bindparam("at")).order_by(events.c.id),
        {"at": START + timedelta(hours=1)},
    ),
    "a name for two columns": (
        sa.select(events.c.id, events.c.user_id.label("id"), sa.literal(7).label("n")).where(events.c.id == IDS[0]),
        None,
    ),
    "a value that is missing": (sa.select(events.c.id).where(events.c.id == sa.bindparam("one")), {"two": 2}),
    "a change that is refused": (
        sa.update(events).where(events.c.id == sa.bindparam("one")).values(kind=sa.bindparam("new")),
        {"one": IDS[0], "new": "vm.stopped"},
    ),
    "a row": (sa.insert(events), {"id": UUID(int=7), **EVENT}),
    "a row that is there": (sa.insert(events), {"id": IDS[0], **EVENT}),
    "rows": (sa.insert(images), [IMAGE, {**IMAGE, "name": "plan-10"}]),
    "rows, one of which is there": (sa.insert(images), [IMAGE, {**IMAGE, "name": "debian-12"}]),
    "changes": (
        sa.update(images).where(images.c.name == sa.bindparam("one")).values(version=sa.bindparam("new")),
        [{"one": "debian-12", "new": "12.1"}, {"one": "none", "new": "1"}],
    ),
    "a row that answers": (sa.insert(images).returning(images.c.name, images.c.deprecated_at), IMAGE),
    "a change that answers": (
        sa.update(images).values(deprecated_at=sa.bindparam("at")).returning(images.c.deprecated_at),
        {"at": START},
    ),
    "a change of nothing": (sa.update(images).where(images.c.name == "none").values(version="5"), None),
    "how many went": (sa.delete(images).where(images.c.name == "debian-12"), None),
    "a union": (sa.union_all(sa.select(sa.literal(1).label("a")), sa.select(sa.literal(2).label("a"))), None),
    "text": (sa.text("SELECT count(*) AS n FROM events WHERE kind = :kind"), {"kind": "vm.started"}),
    "text for columns": (sa.select(sa.text("1, 2")), None),
}


class _TakenBackError(Exception):
    """Ends a unit of work without a trace."""


async def run_thrice(database: Database, statement: sa.Executable, parameters: Parameters) -> list[tuple[object, ...]]:
    """Run a statement when it is new, when it is prepared and when it has been; return what each run told."""
    told: list[tuple[object, ...]] = []
    for _ in range(3):
        with suppress(_TakenBackError):
            async with database.work() as tx:
                for id_ in IDS:
                    await tx.execute(sa.insert(events), {"id": id_, **EVENT})
                try:
                    rows = await tx.execute(statement, parameters)
                except sa.exc.SQLAlchemyError as error:
                    told.append((type(error), type(getattr(error, "orig", None))))
                else:
                    told.append((rows.rowcount, [(row._fields, tuple(row)) for row in rows], rows.sql))
                raise _TakenBackError
    return told
