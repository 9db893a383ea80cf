"""Query times as metrics, and slow queries in the log by fingerprint, never with their values."""

from __future__ import annotations

import hashlib
import time
from typing import Any, Final

import sqlalchemy as sa
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


def observe_queries(engine: sa.Engine, *, slow_seconds: float) -> None:
    """Time every statement of the engine."""

    def before(connection: sa.Connection, *_: Any) -> None:
        connection.info["query_started"] = time.perf_counter()

    def after(connection: sa.Connection, _cursor: Any, statement: str, *_: Any) -> None:
        took = time.perf_counter() - connection.info["query_started"]
        QUERY_SECONDS.observe(took)
        if took >= slow_seconds:
            SLOW_QUERIES.inc()
            _log.warning(
                "database.slow_query",
                fingerprint=fingerprint(statement),
                took_ms=round(took * 1000),
                sql=statement[:300],
            )

    sa.event.listen(engine, "before_cursor_execute", before)
    sa.event.listen(engine, "after_cursor_execute", after)
