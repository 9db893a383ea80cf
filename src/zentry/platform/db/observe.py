"""Query times as metrics, and slow queries in the log by fingerprint, never with their values."""

from __future__ import annotations

import hashlib
from typing import Final

import structlog
from prometheus_client import Counter, Histogram

_log = structlog.get_logger(__name__)

QUERY_SECONDS: Final = Histogram(
    "zentry_database_query_seconds",
    "Time that the database took for a statement.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
SLOW_QUERIES: Final = Counter("zentry_database_slow_queries_total", "Statements slower than the configured limit.")


def fingerprint(statement: str) -> str:
    """Return a short stable name of a statement's text, which holds no values."""
    return hashlib.sha256(statement.encode()).hexdigest()[:12]


class QueryWatch:
    """Notes how long each statement took.

    Units of work call it, not SQLAlchemy's events: an engine with listeners asks for them at a dozen places.
    """

    def __init__(self, *, slow_seconds: float) -> None:
        self._slow_seconds = slow_seconds

    def note(self, statement: str, seconds: float) -> None:
        """Count one statement that has been answered."""
        QUERY_SECONDS.observe(seconds)
        if seconds >= self._slow_seconds:
            SLOW_QUERIES.inc()
            _log.warning(
                "database.slow_query",
                fingerprint=fingerprint(statement),
                took_ms=round(seconds * 1000),
                sql=statement[:300],
            )
