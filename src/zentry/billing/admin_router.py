"""Routes with which an administrator gives and takes credits."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from zentry.billing.admin_schemas import CreditChange, CreditChanged, CreditKind
from zentry.billing.errors import BalanceLimit, InsufficientCredits
from zentry.billing.reports import BillingReports
from zentry.billing.service import BillingService
from zentry.operations.once import OnceDep
from zentry.platform.errors import IdempotencyMismatch, InvalidInput, NotAllowed, NotFound
from zentry.platform.ids import parse_id
from zentry.platform.money import InvalidAmount, from_credits, to_credits
from zentry.platform.web import AdminDep, EdgeDep, raises

router = APIRouter(prefix="/admin/users", tags=["Administration"])

UserId = Annotated[str, Path(description="Id of an account.", examples=["01936b5c-1a2b-7c3d-8e4f-5a6b7c8d9e0f"])]


@router.post(
    "/{user_id}/credits",
    summary="Give or take credits",
    status_code=201,
    responses=raises(InvalidInput, InsufficientCredits, NotAllowed, NotFound, BalanceLimit, IdempotencyMismatch),
)
async def change_credits(
    user_id: UserId, body: CreditChange, response: Response, admin: AdminDep, edge: EdgeDep, once: OnceDep
) -> CreditChanged:
    """Grant credits to an account, or adjust its balance. Administrators only.

    It is an entry of its own in the books and a line of the account's history, with the reason. What was
    wrong is corrected by another entry. Send an `Idempotency-Key`, so that a repeat changes nothing.
    """
    try:
        amount = from_credits(body.amount)
    except InvalidAmount as error:
        raise InvalidInput.at("amount", str(error)) from error
    if body.kind is CreditKind.DEDUCTION:
        amount = -amount
    account = parse_id(user_id)
    if account is None:
        raise NotFound("User")
    async with edge.work() as tx:
        billing = edge.service(BillingService, tx)

        async def change() -> UUID:
            return await billing.change_balance(
                account, amount, is_grant=body.kind is CreditKind.GRANT, reason=body.reason.strip(), caller=admin
            )

        record_id = await once.resource(tx, change)
        reports = BillingReports(tx, account)
        balance, _ = await reports.balance()
        line = await reports.line(record_id)
    response.headers.update(once.headers)
    assert line is not None, "the line was written in this transaction, or in the one that is repeated"
    return CreditChanged(
        record_id=record_id,
        user_id=account,
        kind=body.kind,
        amount=to_credits(line.amount),
        reason=line.description,
        balance=to_credits(balance.credits),
        created_at=line.created_at,
    )
