"""Column types that behave alike on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class Instant(TypeDecorator[datetime]):
    """An aware UTC time; a naive one is refused, since SQLite would drop its zone in silence."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; SQLite stores UTC without a zone, in text that sorts as time does."""
        if value is None:
            return None
        assert value.tzinfo is not None, "a naive time reached the database"
        return value if dialect.name == "postgresql" else value.astimezone(UTC).replace(tzinfo=None)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        """Give back aware times; asyncpg does so by itself, at no cost per row."""
        parse = self.impl_instance.dialect_impl(dialect).result_processor(dialect, coltype)
        if dialect.name == "postgresql":
            return parse
        assert parse is not None

        def aware(value: Any) -> datetime | None:
            instant = parse(value)
            return None if instant is None else instant.replace(tzinfo=UTC)

        return aware


Document: Final = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
"""A JSON object: JSONB on PostgreSQL, text on SQLite."""
