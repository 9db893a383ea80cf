"""Routes that explain the lines of the bill, and that hand out lines and entries whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import StreamingResponse

from zentry.billing.errors import ExportTooLarge
from zentry.billing.explanation_schemas import LineExplanation
from zentry.billing.explanations import LineExplainer
from zentry.billing.exports import (
    LEDGER_HEADER,
    MOST_LINES,
    entries_as_csv,
    entries_as_json,
    history_csv,
    ledger_text,
)
from zentry.billing.reports import LineFilter
from zentry.billing.types import ActionType
from zentry.platform.errors import NotFound
from zentry.platform.ids import parse_id
from zentry.platform.instants import QueryInstant, first_instant, last_instant
from zentry.platform.web import CallerDep, EdgeDep, raises

router = APIRouter(prefix="/billing", tags=["Billing"])

RecordId = Annotated[
    str, Path(description="Id of a line of the history.", examples=["01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10"])
]


_NOBODY: Final = UUID(int=0)


class EntryFormat(StrEnum):
    """How entries are written."""

    JSONL = "jsonl"
    CSV = "csv"


def text_answer(description: str, **examples: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that answers with text, by media type."""
    content = {
        name.replace("_", "/"): {"schema": {"type": "string"}, "example": text} for name, text in examples.items()
    }
    return {200: {"description": description, "content": content}}


def download(pages: AsyncIterator[str], *, media_type: str, name: str) -> StreamingResponse:
    """Return a stream that browsers keep as a file."""
    headers: Mapping[str, str] = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(pages, media_type=media_type, headers=headers)


_CSV_EXAMPLE: Final = (
    "id,created_at,action_type,amount,amount_micros,description\r\n"
    "01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10,2026-01-31T12:00:00Z,vm_create,-0.05,-50000,Created VM web-1 (small)\r\n"
)
_LEDGER_EXAMPLE: Final = (
    '{"user_id":"01980f3c-7c1e-7d42-9a56-2f4f0f1f6a10","position":1,"debit":"grants","credit":"available",'
    '"amount_micros":50000000}\n'
)


@router.get("/records/{record_id}/explain", summary="Explain a line", responses=raises(NotFound))
async def explain_record(record_id: RecordId, caller: CallerDep, edge: EdgeDep) -> LineExplanation:
    """Show what a line of the history follows from: interval, price, arithmetic, entries and events.

    The amount is computed anew from them; `difference_micros` says how far that is off, and is 0.
    """
    async with edge.read() as tx:
        explanation = await LineExplainer(tx, caller.user_id).explain(parse_id(record_id))
    return LineExplanation.of(explanation)


@router.get(
    "/history/export",
    summary="Export the history",
    response_class=StreamingResponse,
    responses={**text_answer("The lines as CSV (RFC 4180).", text_csv=_CSV_EXAMPLE), **raises(ExportTooLarge)},
)
async def export_billing_history(
    caller: CallerDep,
    edge: EdgeDep,
    action_type: Annotated[ActionType | None, Query(description="Only lines of this type.")] = None,
    vm_id: Annotated[str | None, Query(max_length=64, description="Only lines of this machine.")] = None,
    project_id: Annotated[str | None, Query(max_length=64, description="Only lines of this project.")] = None,
    start_date: Annotated[QueryInstant | None, Query(description="Only lines from this day or time on.")] = None,
    end_date: Annotated[QueryInstant | None, Query(description="Only lines until this day or time.")] = None,
) -> StreamingResponse:
    """Every line that the filter finds as CSV, the newest first, at most 100,000 of them.

    `amount_micros` is the exact amount in micro-credits. A text that a spreadsheet could take for a formula
    has an apostrophe before it.
    """
    wanted = line_filter(action_type, vm_id=vm_id, project_id=project_id, start_date=start_date, end_date=end_date)
    pages = await history_csv(edge, caller.user_id, wanted)
    return download(pages, media_type="text/csv; charset=utf-8", name="history.csv")


@router.get(
    "/ledger/export",
    summary="Export the books",
    response_class=StreamingResponse,
    responses=text_answer(
        "The entries, one on a line.",
        **{"application_x-ndjson": _LEDGER_EXAMPLE, "text_csv": "user_id,position,id,debit,credit,amount_micros\r\n"},
    ),
)
async def export_ledger(
    caller: CallerDep,
    edge: EdgeDep,
    format: Annotated[EntryFormat, Query(description="JSON lines or CSV.")] = EntryFormat.JSONL,  # noqa: A002 - its name on the wire
    after: Annotated[int, Query(ge=0, le=2**53, description="Position after which to begin; 0 is the beginning.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_LINES, description="Entries at most.")] = MOST_LINES,
) -> StreamingResponse:
    """Every entry of your own books in order: enough to compute every balance and statement anew.

    `examples/rebuild_books.py` does so, and checks the chain of hashes. Where there are more entries than
    `limit`, go on with the last `position` as `after`.
    """
    if format is EntryFormat.CSV:
        rows = ledger_text(edge, caller.user_id, after=after, limit=limit, render=entries_as_csv, header=LEDGER_HEADER)
        return download(rows, media_type="text/csv; charset=utf-8", name="ledger.csv")
    lines = ledger_text(edge, caller.user_id, after=after, limit=limit, render=entries_as_json)
    return download(lines, media_type="application/x-ndjson", name="ledger.jsonl")


def line_filter(
    action_type: ActionType | None,
    *,
    vm_id: str | None,
    project_id: str | None,
    start_date: Any,
    end_date: Any,
) -> LineFilter:
    """Return what a query asks for; an id in another form is nobody's, and finds nothing."""
    return LineFilter(
        action_type=action_type,
        vm_id=_wanted_id(vm_id),
        project_id=_wanted_id(project_id),
        start=None if start_date is None else first_instant(start_date),
        end=None if end_date is None else last_instant(end_date),
    )


def _wanted_id(text: str | None) -> Any:
    return None if text is None else parse_id(text) or _NOBODY
