"""Lines and entries as CSV and JSON lines, read page by page while the client takes them.

An export has an end that is known before its first byte: a newest line, or a highest position. What is
written meanwhile is not part of it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

import msgspec

from zentry.billing.errors import ExportTooLarge
from zentry.billing.records import PAGE, Entry, Record, RecordReader
from zentry.billing.reports import BillingReports, LineFilter
from zentry.platform.money import format_credits
from zentry.platform.web import Edge

MOST_LINES: Final = 100_000
"""The most lines of one export."""
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
_HISTORY: Final = (
    "id",
    "created_at",
    "action_type",
    "amount",
    "amount_micros",
    "description",
    "vm_id",
    "project_id",
    "resource_type",
    "period_start",
    "period_end",
    "seconds",
    "rate_micros_per_hour",
    "unit",
    "price_version",
    "price_unit",
    "quantity",
    "price_micros",
    "discount_basis_points",
    "list_amount_micros",
)
_LEDGER: Final = ("position", "id", "debit", "credit", "amount_micros", "cause", "record_id", "created_at", "hash")


class Rendering(Protocol):
    """How entries are put as text."""

    def __call__(self, user_id: UUID, entries: Sequence[Entry]) -> str:
        """Return the text of these entries."""
        ...


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text).writerows([[_cell(value) for value in row] for row in rows])
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return instant_text(value)
    return "" if value is None else value


def plain_text(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def instant_text(instant: datetime) -> str:
    """Return an instant as exports write it, in UTC."""
    return instant.isoformat().replace("+00:00", "Z")


def record_row(record: Record) -> tuple[object, ...]:
    """Return a line of the bill as a row of CSV."""
    return (
        record.id,
        record.created_at,
        record.action_type,
        format_credits(record.amount),
        record.amount,
        plain_text(record.description),
        record.vm_id,
        record.project_id,
        record.resource_type,
        record.period_start,
        record.period_end,
        record.seconds if record.period_start else None,
        record.rate_micros_per_hour,
        None if record.rate_micros_per_hour is None else "micro-credits per hour",
        record.price_version,
        record.unit,
        record.quantity,
        record.price_micros,
        record.discount_basis_points,
        record.list_amount,
    )


RECORD_HEADER: Final = csv_text([_HISTORY])


async def history_csv(edge: Edge, user_id: UUID, wanted: LineFilter) -> AsyncIterator[str]:
    """Return the text of the lines that a filter finds, or raise `ExportTooLarge` before the first byte."""
    async with edge.read() as tx:
        if await BillingReports(tx, user_id).has_more_than(MOST_LINES, wanted):
            raise ExportTooLarge(MOST_LINES)
        first = await RecordReader(tx, user_id).list(wanted, limit=PAGE)
    return _history(edge, user_id, wanted, first)


async def _history(edge: Edge, user_id: UUID, wanted: LineFilter, page: Sequence[Record]) -> AsyncIterator[str]:
    yield RECORD_HEADER
    while page:
        yield csv_text(map(record_row, page))
        if len(page) < PAGE:
            return
        async with edge.read() as tx:
            page = await RecordReader(tx, user_id).list(wanted, limit=PAGE, before=page[-1])


def entries_as_json(user_id: UUID, entries: Sequence[Entry]) -> str:
    """Return entries as JSON lines."""
    return "".join(
        msgspec.json.encode(
            {"user_id": user_id, **dict(zip(_LEDGER, _entry_row(entry), strict=True))}, enc_hook=str
        ).decode()
        + "\n"
        for entry in entries
    )


def entries_as_csv(user_id: UUID, entries: Sequence[Entry]) -> str:
    """Return entries as CSV, without the header."""
    return csv_text((user_id, *_entry_row(entry)) for entry in entries)


LEDGER_HEADER: Final = csv_text([("user_id", *_LEDGER)])


def _entry_row(entry: Entry) -> tuple[object, ...]:
    return (
        entry.position,
        entry.id,
        entry.debit,
        entry.credit,
        entry.amount,
        entry.cause,
        entry.record_id,
        entry.created_at.isoformat(),  # As the hash was computed over it.
        entry.hash,
    )


async def ledger_text(
    edge: Edge, user_id: UUID, *, after: int, limit: int, render: Rendering, header: str = ""
) -> AsyncIterator[str]:
    """Yield the text of entries after a position, at most so many."""
    yield header
    left = limit
    while left:
        async with edge.read() as tx:
            page = await RecordReader(tx, user_id).entries(after=after, limit=min(PAGE, left))
        if not page:
            return
        yield render(user_id, page)
        after, left = page[-1].position, left - len(page)
