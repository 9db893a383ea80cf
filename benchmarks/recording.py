"""Writes down what a block sends to the database, so that something bare can send the same."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from zentry.platform.db import Database


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as it went over the wire, its parameters, and what they are called."""

    sql: str
    parameters: Sequence[Any]
    names: Sequence[str]


@contextlib.contextmanager
def recorded(database: Database) -> Iterator[list[Statement]]:
    """Record the statements of the block."""
    statements: list[Statement] = []

    def note(_connection: object, _cursor: object, sql: str, parameters: Any, context: Any, _many: bool) -> None:  # noqa: FBT001 - SQLAlchemy passes it
        expanded = context._expanded_parameters  # noqa: SLF001 - the names of a list's members stand nowhere else
        names = [one for name in context.compiled.positiontup or () for one in expanded.get(name, (name,))]
        statements.append(Statement(sql, list(parameters), names))

    engine = database.writer.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
