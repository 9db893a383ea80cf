"""What a simulation brought about, as figures read from its database."""

from __future__ import annotations

import hashlib
import math
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from zentry.compute.types import HostState
from zentry.schema.vms import VMStatus

_EVENTS: Final = "SELECT * FROM events ORDER BY created_at, id"
_STATUSES: Final = "SELECT status, count(*) FROM vms GROUP BY status"
_MONEY: Final = (
    "SELECT count(*), coalesce(sum(credits), 0), coalesce(sum(held), 0), coalesce(sum(total_spent), 0) FROM users"
)
_OPERATIONS: Final = "SELECT kind, status, created_at, finished_at FROM operations"
_ROWS: Final = ("events", "operations", "ledger_entries", "billing_records", "vm_metrics", "health_records")


@dataclass(frozen=True, slots=True)
class Moment:
    """The platform at one instant. Money in micro-credits."""

    at: datetime
    users: int
    vms: Mapping[str, int]
    credits: int
    held: int
    spent: int
    vcpus_used: int
    vcpus: int
    memory_mib_used: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class OperationFigures:
    """How operations of one kind went; times in seconds from request to end, of those that ended by themselves."""

    kind: str
    count: int
    succeeded: int
    failed: int
    cancelled: int
    p50_seconds: float
    p99_seconds: float
    longest_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that a report tells."""

    scenario: str
    title: str
    seed: int
    start: datetime
    simulated_seconds: float
    real_seconds: float
    events: int
    events_hash: str
    broken: Sequence[str]
    """Sentences; none is good."""
    moments: Sequence[Moment]
    operations: Sequence[OperationFigures]
    asked: Mapping[str, int]
    refused: Mapping[str, int]
    deaths: int
    host_failures: int
    checks: int
    """How often every rule was checked over every row."""
    rows: Mapping[str, int]


def look_around(raw: sqlite3.Connection, hosts: Sequence[HostState], *, at: datetime) -> Moment:
    """Return the platform as it is now."""
    users, credits_, held, spent = raw.execute(_MONEY).fetchone()
    counts = dict(raw.execute(_STATUSES).fetchall())
    return Moment(
        at=at,
        users=users,
        vms={status.value: counts.get(status.value, 0) for status in VMStatus},
        credits=credits_,
        held=held,
        spent=spent,
        vcpus_used=sum(host.vcpus_used for host in hosts),
        vcpus=sum(host.vcpus for host in hosts),
        memory_mib_used=sum(host.memory_mib_used for host in hosts),
        memory_mib=sum(host.memory_mib for host in hosts),
    )


def hash_events(raw: sqlite3.Connection) -> str:
    """Return the SHA-256 over every column of the event log, in the order of time."""
    digest = hashlib.sha256()
    for row in raw.execute(_EVENTS):
        digest.update(repr(row).encode())
    return digest.hexdigest()


def operation_figures(raw: sqlite3.Connection) -> list[OperationFigures]:
    """Return how the operations went, by kind."""
    statuses: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for kind, status, created_at, finished_at in raw.execute(_OPERATIONS):
        statuses[kind][status] += 1
        if status in {"succeeded", "failed"}:
            took = datetime.fromisoformat(finished_at) - datetime.fromisoformat(created_at)
            seconds[kind].append(took.total_seconds())
    return [_figures(kind, statuses[kind], sorted(seconds[kind])) for kind in sorted(statuses)]


def count_rows(raw: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows the large tables have."""
    return {table: raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _ROWS}  # noqa: S608 - our own names


def _figures(kind: str, statuses: Mapping[str, int], seconds: Sequence[float]) -> OperationFigures:
    return OperationFigures(
        kind=kind,
        count=sum(statuses.values()),
        succeeded=statuses.get("succeeded", 0),
        failed=statuses.get("failed", 0),
        cancelled=statuses.get("cancelled", 0),
        p50_seconds=_percentile(seconds, 0.50),
        p99_seconds=_percentile(seconds, 0.99),
        longest_seconds=seconds[-1] if seconds else 0.0,
    )


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else 0.0
