"""Times in query strings: ISO 8601, a date or a date with a time."""

from __future__ import annotations

import re
from datetime import MINYEAR, UTC, date, datetime, time
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?", re.IGNORECASE)


def _iso(value: object) -> datetime | date:
    if not isinstance(value, str) or not _ISO.fullmatch(value):
        raise ValueError("Send an ISO 8601 date such as 2026-01-31 or time such as 2026-01-31T12:00:00Z.")
    return datetime.fromisoformat(value) if len(value) > len("2026-01-31") else date.fromisoformat(value)


QueryInstant = Annotated[
    datetime | date,
    BeforeValidator(_iso),
    WithJsonSchema({"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}),
]


def first_instant(value: datetime | date) -> datetime:
    """Return the instant, or the first one of the day; a time without a zone is UTC.

    A time whose zone takes it out of the calendar is the calendar's first or last.
    """
    if not isinstance(value, datetime):
        return datetime.combine(value, time.min, UTC)
    try:
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC) if value.year == MINYEAR else datetime.max.replace(tzinfo=UTC)


def last_instant(value: datetime | date) -> datetime:
    """Return the instant, or the last one of the day; a time without a zone is UTC."""
    if not isinstance(value, datetime):
        return datetime.combine(value, time.max, UTC)
    return first_instant(value)
