"""The route with which an administrator gives back what a line has charged."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import ConfigDict, Field

from zentry.billing.admin_schemas import CreditChanged, CreditKind
from zentry.billing.errors import AlreadyRefunded, BalanceLimit, NotRefundable
from zentry.billing.records import RecordReader, find_owner
from zentry.billing.reports import BillingReports
from zentry.billing.service import BillingService
from zentry.operations.once import OnceDep
from zentry.platform.errors import IdempotencyMismatch, InvalidInput, NotAllowed, NotFound
from zentry.platform.ids import parse_id
from zentry.platform.money import InvalidAmount, from_credits, to_credits
from zentry.platform.web import AdminDep, EdgeDep, raises
from zentry.platform.wire import WriteModel

router = APIRouter(prefix="/admin/billing", tags=["Administration"])


class Refund(WriteModel):
    """What is given back of a line, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The host was down"}]})

    amount: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="Credits, with at most six decimal places; without it, all that the line has charged.",
        json_schema_extra={"multipleOf": 0.000001},
    )
    reason: str = Field(min_length=1, max_length=200, description="Shown in the history of the account.")


@router.post(
    "/records/{record_id}/refund",
    summary="Refund a line",
    status_code=201,
    responses=raises(NotAllowed, NotFound, NotRefundable, BalanceLimit, AlreadyRefunded, IdempotencyMismatch),
)
async def refund_record(
    record_id: Annotated[
        str,
        Path(description="Id of a line of somebody's history.", examples=["01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10"]),
    ],
    body: Refund,
    response: Response,
    admin: AdminDep,
    edge: EdgeDep,
    once: OnceDep,
) -> CreditChanged:
    """Give back what a line of the history has charged, or a part of it. Administrators only.

    It is an entry of its own; the line stays as it is. A line is refunded once, whoever asks how often.
    """
    try:
        amount = None if body.amount is None else from_credits(body.amount)
    except InvalidAmount as error:
        raise InvalidInput.at("amount", str(error)) from error
    refunded = parse_id(record_id)
    async with edge.work() as tx:
        account = None if refunded is None else await find_owner(tx, refunded)
        if refunded is None or account is None:
            raise NotFound("Billing record")
        record = await RecordReader(tx, account).find(refunded)
        assert record is not None, "lines are never deleted"

        async def refund() -> UUID:
            return await edge.service(BillingService, tx).refund(
                record, amount, reason=body.reason.strip(), caller=admin
            )

        made = await once.resource(tx, refund)
        reports = BillingReports(tx, account)
        balance, _ = await reports.balance()
        line = await reports.line(made)
    response.headers.update(once.headers)
    assert line is not None, "the line was written in this transaction, or in the one that is repeated"
    return CreditChanged(
        record_id=made,
        user_id=account,
        kind=CreditKind.ADJUSTMENT,
        amount=to_credits(line.amount),
        reason=line.description,
        balance=to_credits(balance.credits),
        created_at=line.created_at,
    )
