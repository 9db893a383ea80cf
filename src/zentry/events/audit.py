"""Follows the chain of the event log, here or in an export, and says where it was changed.

The log is read page by page in the order of positions, so that its size does not matter. A change shows
at its position: the hash there no longer fits. What comes behind is checked against the hashes that
are stored, so that one change is one finding.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from zentry.events.chain import HASHED, entry_hash
from zentry.events.types import LoggedEvent
from zentry.platform.db import Database, Transaction, values
from zentry.schema.events import event_head, event_log, events

_PAGE: Final = 1000
_LOGGED: Final = (
    sa.select(
        event_log.c.position,
        event_log.c.hash,
        event_log.c.user_id.label("logged_user_id"),
        event_log.c.project_id.label("logged_project_id"),
        event_log.c.resource_id.label("logged_resource_id"),
        *HASHED,
    )
    .join(events, events.c.id == event_log.c.event_id)
    .where(event_log.c.position > sa.bindparam("after"))
    .order_by(event_log.c.position)
    .limit(_PAGE)
)


class ExportedEvent(LoggedEvent, frozen=True, kw_only=True):
    """A line of an export: all that the hash covers, and the hash."""

    hash: str


class ExportHead(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of an export: from which hash its chain goes on."""

    first_position: int
    previous_hash: str


class ExportUnreadable(Exception):
    """The file is no export of the event log."""


@dataclass(slots=True)
class LogAudit:
    """What a run has found."""

    entries: int = 0
    position: int = 0
    head: str = ""
    findings: list[str] = field(default_factory=list)


async def audit_log(database: Database) -> LogAudit:
    """Follow the whole log of one instant, and compare its end with the head."""
    async with database.snapshot() as tx:
        start = (await tx.execute(sa.select(event_head))).one()
        audit = LogAudit(position=start.kept_from - 1, head=start.anchor)
        async for entry in _entries(tx, audit.position):
            _follow(audit, entry.position, entry, stored=entry.hash)
            said = (entry.logged_user_id, entry.logged_project_id, entry.logged_resource_id)
            if said != (entry.user_id, entry.project_id, entry.resource_id):
                audit.findings.append(
                    f"position {entry.position}: its entry of the log names another owner or resource"
                )
        if (audit.position, audit.head) != (start.position, start.hash):
            audit.findings.append(f"the log ends at position {audit.position}, its head says {start.position}")
    return audit


async def export_log(database: Database, *, after: int = 0) -> AsyncIterator[bytes]:
    """Give the log behind a position as lines of JSON, the head first; no personal data is among it."""
    async with database.snapshot() as tx:
        bounds = (await tx.execute(sa.select(event_head.c.kept_from, event_head.c.anchor))).one()
        after = max(after, bounds.kept_from - 1)
        query = sa.select(event_log.c.hash).where(event_log.c.position == after)
        previous = (await tx.execute(query)).scalar_one_or_none() or bounds.anchor
        yield msgspec.json.encode(ExportHead(first_position=after + 1, previous_hash=previous))
        async for entry in _entries(tx, after):
            facts = {column.name: getattr(entry, column.name) for column in HASHED}
            yield msgspec.json.encode(ExportedEvent(position=entry.position, hash=entry.hash, **facts))


def audit_export(lines: Iterable[bytes]) -> LogAudit:
    """Follow the chain of an export; raises `ExportUnreadable`."""
    rest = iter(lines)
    try:
        start = msgspec.json.decode(next(rest, b""), type=ExportHead)
        audit = LogAudit(position=start.first_position - 1, head=start.previous_hash)
        for line in rest:
            entry = msgspec.json.decode(line, type=ExportedEvent)
            _follow(audit, entry.position, entry, stored=entry.hash)
    except msgspec.MsgspecError as error:
        raise ExportUnreadable("This is no export of the event log; `zentry audit export` makes one.") from error
    return audit


def _follow(audit: LogAudit, position: int, event: Any, *, stored: str) -> None:
    if position != audit.position + 1:
        audit.findings.append(f"position {audit.position + 1}: missing; the next one is {position}")
    elif entry_hash(audit.head, position, event) != stored:
        audit.findings.append(f"position {position}: event {event.id} ({event.kind}) is not what was written")
    audit.entries += 1
    audit.position, audit.head = position, stored


async def _entries(tx: Transaction, after: int) -> AsyncIterator[sa.Row[Any]]:
    while True:
        page = (await tx.execute(_LOGGED, {"after": after})).all()
        for entry in page:
            yield entry
        if len(page) < _PAGE:
            return
        after = values(page[-1])[0]
