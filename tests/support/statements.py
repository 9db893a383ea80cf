"""The statements that a database is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from zentry.platform.db import Database


@contextmanager
def sent(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Collect every statement that reads or changes rows, with its values, in the order in which they are sent."""
    found: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", statement):
            found.append((statement, parameters))

    engines = {database._writer.sync_engine, database._reader.sync_engine}
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        for engine in engines:
            sa.event.remove(engine, "before_cursor_execute", note)


@contextmanager
def noting(database: Database) -> Iterator[dict[str, Any]]:
    """Collect the statements that look for rows, each once, with the values of its first run."""
    noted: dict[str, Any] = {}
    with sent(database) as found:
        try:
            yield noted
        finally:
            for statement, parameters in found:
                if not statement.lstrip().startswith("INSERT"):
                    noted.setdefault(statement, parameters)
