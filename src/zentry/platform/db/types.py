"""Column types that behave alike on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_WITHOUT_ZONE: Final = len("2026-03-02 12:00:00.000000")


class Instant(TypeDecorator[datetime]):
    """An aware UTC time; a naive one is refused, since SQLite would drop its zone in silence."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any]:
        """Refuse naive times; SQLite stores UTC without a zone, in text that sorts as time does."""
        is_native = dialect.name == "postgresql"

        def stored(value: datetime | None) -> Any:
            if value is None:
                return None
            assert value.tzinfo is not None, "a naive time reached the database"
            if is_native:
                return value
            instant = value if value.tzinfo is UTC else value.astimezone(UTC)
            return instant.isoformat(" ", "microseconds")[:_WITHOUT_ZONE]

        return stored

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        """Give back aware times; asyncpg does so by itself, at no cost per row."""
        if dialect.name == "postgresql":
            return self.impl_instance.dialect_impl(dialect).result_processor(dialect, coltype)

        def aware(value: str | None) -> datetime | None:
            return None if value is None else datetime.fromisoformat(value).replace(tzinfo=UTC)

        return aware


Document: Final = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
"""A JSON object: JSONB on PostgreSQL, text on SQLite."""
