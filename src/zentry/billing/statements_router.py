"""Routes of monthly statements, and of charges in the columns of FOCUS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import HTMLResponse, StreamingResponse

from zentry.billing.errors import ExportTooLarge
from zentry.billing.exports import RECORD_HEADER, csv_text, record_row
from zentry.billing.focus import focus_csv
from zentry.billing.records import PAGE
from zentry.billing.records_router import download, line_filter, text_answer
from zentry.billing.statement_page import statement_html
from zentry.billing.statement_schemas import (
    StatementDetail,
    StatementLine,
    StatementLines,
    StatementList,
    StatementSummary,
)
from zentry.billing.statements import Statement, StatementReader
from zentry.platform.errors import NotFound
from zentry.platform.ids import parse_id
from zentry.platform.instants import QueryInstant
from zentry.platform.web import CallerDep, Edge, EdgeDep, raises

router = APIRouter(prefix="/billing", tags=["Billing"])

MOST_ITEMS: Final = 1_000
_MOST_NUMBER: Final = 2**31 - 1
StatementId = Annotated[str, Path(description="Id of a statement.", examples=["01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10"])]


@router.get("/statements", summary="List statements")
async def list_statements(
    caller: CallerDep,
    edge: EdgeDep,
    before: Annotated[
        int, Query(ge=1, le=_MOST_NUMBER, description="Only statements with a lower number.")
    ] = _MOST_NUMBER,
    limit: Annotated[int, Query(ge=1, le=100, description="Statements per page.")] = 24,
) -> StatementList:
    """Your closed months, the newest first. A month in which nothing happened has no statement.

    A month is closed about an hour after its end (UTC), and a statement never changes afterwards. What would
    correct it is a line of a later one.
    """
    async with edge.read() as tx:
        found = await StatementReader(tx, caller.user_id).list(below=before, limit=limit + 1)
    page = found[:limit]
    return StatementList(
        statements=[StatementSummary.of(statement) for statement in page],
        next_before=page[-1].number if len(found) > limit else None,
    )


@router.get("/statements/{statement_id}", summary="Show a statement", responses=raises(NotFound))
async def get_statement(statement_id: StatementId, caller: CallerDep, edge: EdgeDep) -> StatementDetail:
    """Show a closed month, and its lines added up by what they are for."""
    async with edge.read() as tx:
        reader = StatementReader(tx, caller.user_id)
        statement = await reader.get(parse_id(statement_id))
        items = await reader.items(statement, limit=MOST_ITEMS)
    return StatementDetail.with_items(statement, list(items))


@router.get("/statements/{statement_id}/lines", summary="List a statement's lines", responses=raises(NotFound))
async def list_statement_lines(
    statement_id: StatementId,
    caller: CallerDep,
    edge: EdgeDep,
    after: Annotated[int, Query(ge=0, le=2**53, description="Only lines after this position.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500, description="Lines per page.")] = 100,
) -> StatementLines:
    """The lines of a statement, in the order of the books."""
    async with edge.read() as tx:
        reader = StatementReader(tx, caller.user_id)
        found = await reader.lines(await reader.get(parse_id(statement_id)), after=after, limit=limit + 1)
    page = found[:limit]
    return StatementLines(
        lines=[StatementLine.of(position, record) for position, record in page],
        next_after=page[-1][0] if len(found) > limit else None,
    )


@router.get(
    "/statements/{statement_id}/csv",
    summary="Download a statement's lines",
    response_class=StreamingResponse,
    responses={**text_answer("The lines as CSV.", text_csv=RECORD_HEADER), **raises(NotFound)},
)
async def download_statement(statement_id: StatementId, caller: CallerDep, edge: EdgeDep) -> StreamingResponse:
    """Every line of a statement as CSV; `amount_micros` adds up to the change of the balance."""
    async with edge.read() as tx:
        statement = await StatementReader(tx, caller.user_id).get(parse_id(statement_id))
    name = f"statement-{statement.number}.csv"
    return download(_lines(edge, caller.user_id, statement), media_type="text/csv; charset=utf-8", name=name)


@router.get(
    "/statements/{statement_id}/html",
    summary="Print a statement",
    response_class=HTMLResponse,
    responses={**text_answer("A page to print.", text_html="<!doctype html>"), **raises(NotFound)},
)
async def print_statement(statement_id: StatementId, caller: CallerDep, edge: EdgeDep) -> HTMLResponse:
    """A statement as a page to print or to keep as PDF."""
    async with edge.read() as tx:
        reader = StatementReader(tx, caller.user_id)
        statement = await reader.get(parse_id(statement_id))
        items = await reader.items(statement, limit=MOST_ITEMS)
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-store"}
    return HTMLResponse(statement_html(statement, items, user_id=caller.user_id), headers=headers)


@router.get(
    "/focus/export",
    summary="Export charges for FinOps",
    response_class=StreamingResponse,
    responses={
        **text_answer("Charges in the columns of FOCUS 1.0, as CSV.", text_csv="BilledCost,BillingAccountId\r\n"),
        **raises(ExportTooLarge),
    },
)
async def export_focus(
    caller: CallerDep,
    edge: EdgeDep,
    project_id: Annotated[str | None, Query(max_length=64, description="Only charges of this project.")] = None,
    start_date: Annotated[QueryInstant | None, Query(description="Only charges from this day or time on.")] = None,
    end_date: Annotated[QueryInstant | None, Query(description="Only charges until this day or time.")] = None,
) -> StreamingResponse:
    """Every charge as a row of FOCUS 1.0, the FinOps Open Cost and Usage Specification, the newest first.

    Refunds and adjustments are rows as well (`Adjustment`; with `Correction` as class where the month that is corrected
    was over), and so is credit that was given or has lapsed (`Credit`). Payments are not: what was paid in a month less
    the sum of `BilledCost` is what its statement says that the balance has changed by. Labels are `Tags`, projects are
    sub-accounts. At most 100,000 lines of the history are looked at.
    """
    wanted = line_filter(None, vm_id=None, project_id=project_id, start_date=start_date, end_date=end_date)
    pages = await focus_csv(edge, caller.user_id, wanted)
    return download(pages, media_type="text/csv; charset=utf-8", name="focus.csv")


async def _lines(edge: Edge, user_id: UUID, statement: Statement) -> AsyncIterator[str]:
    yield RECORD_HEADER
    after = 0
    while True:
        async with edge.read() as tx:
            page = await StatementReader(tx, user_id).lines(statement, after=after, limit=PAGE)
        if page:
            yield csv_text(record_row(record) for _, record in page)
        if len(page) < PAGE:
            return
        after = page[-1][0]
