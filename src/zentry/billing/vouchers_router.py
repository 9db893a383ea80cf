"""Routes of vouchers: administrators make them, users redeem them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import ConfigDict, Field

from zentry.accounts.limits import VoucherLimiter
from zentry.billing.errors import BalanceLimit, VoucherExpired, VoucherOver, VoucherUsed
from zentry.billing.reports import BillingReports
from zentry.billing.vouchers import Voucher, VoucherService
from zentry.operations.once import OnceDep
from zentry.platform.errors import IdempotencyMismatch, InvalidInput, NotAllowed, NotFound
from zentry.platform.ids import parse_id
from zentry.platform.money import InvalidAmount, from_credits, to_credits
from zentry.platform.pagination import CURSOR_PATTERN, decode_cursor, encode_cursor
from zentry.platform.web import AdminDep, CallerDep, EdgeDep, raises
from zentry.platform.wire import WHOLE, GivenTime, ReadModel, WriteModel

admin_router = APIRouter(prefix="/admin/vouchers", tags=["Administration"])
router = APIRouter(prefix="/billing/vouchers", tags=["Billing"])

VoucherId = Annotated[str, Path(description="Id of a voucher.", examples=["01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10"])]


class VoucherCreate(WriteModel):
    """A voucher to be made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"amount": 10, "reason": "Workshop in May"}]})

    amount: float = Field(
        ge=0.000001,
        le=1_000_000,
        description="Credits for each redemption, with at most six decimal places.",
        json_schema_extra={"multipleOf": 0.000001},
    )
    max_redemptions: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = Field(
        1, description="How many accounts may redeem it, each once."
    )
    expires_at: GivenTime | None = Field(None, description="From when it is worth nothing; without it, never.")
    reason: str = Field(min_length=1, max_length=200, description="Shown in the list of vouchers.")


class VoucherResponse(ReadModel):
    """A voucher. Its code is shown once, when it is made."""

    id: UUID
    code: str | None = Field(
        None, description="The code, only in the first answer to its making.", examples=["7K2MQ-9TXVA-4HD0R-CP8ZE"]
    )
    hint: str = Field(description="The last characters of the code.", examples=["P8ZE"])
    amount: float
    max_redemptions: int
    redemptions: int
    reason: str
    expires_at: datetime | None
    withdrawn_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, voucher: Voucher, code: str | None = None) -> Self:
        """Return a voucher as it is shown."""
        return cls(
            id=voucher.id,
            code=code,
            hint=voucher.hint,
            amount=to_credits(voucher.amount_micros),
            max_redemptions=voucher.max_redemptions,
            redemptions=voucher.redemptions,
            reason=voucher.reason,
            expires_at=voucher.expires_at,
            withdrawn_at=voucher.withdrawn_at,
            created_at=voucher.created_at,
        )


class VoucherList(ReadModel):
    """Vouchers, the newest first."""

    vouchers: list[VoucherResponse]
    next_cursor: str | None = Field(description="Send as `cursor` for the page after this one.")


class VoucherRedeem(WriteModel):
    """The code of a voucher."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"voucher_code": "7K2MQ-9TXVA-4HD0R-CP8ZE"}]})

    voucher_code: str = Field(
        min_length=1, max_length=64, description="As it was given; case, spaces and dashes make no difference."
    )


class VoucherRedeemed(ReadModel):
    """What a voucher has brought."""

    record_id: UUID = Field(description="The line of the history.")
    amount: float = Field(description="Credits that were added.")
    balance: float = Field(description="The balance now.")


@admin_router.post(
    "",
    summary="Make a voucher",
    status_code=201,
    responses=raises(InvalidInput, NotAllowed, VoucherOver, IdempotencyMismatch),
)
async def create_voucher(
    body: VoucherCreate, response: Response, admin: AdminDep, edge: EdgeDep, once: OnceDep
) -> VoucherResponse:
    """Make a voucher. Its code is shown here and never again, since only its hash is kept. Administrators only."""
    try:
        amount = from_credits(body.amount)
    except InvalidAmount as error:
        raise InvalidInput.at("amount", str(error)) from error
    code: str | None = None
    async with edge.work() as tx:
        service = edge.service(VoucherService, tx)

        async def create() -> UUID:
            nonlocal code
            voucher_id, code = await service.create(
                amount=amount,
                max_redemptions=body.max_redemptions,
                expires_at=body.expires_at,
                reason=body.reason.strip(),
                caller=admin,
            )
            return voucher_id

        voucher = await service.get(await once.resource(tx, create))
    response.headers.update(once.headers)
    return VoucherResponse.of(voucher, code)


@admin_router.get("", summary="List vouchers", responses=raises(NotAllowed))
async def list_vouchers(
    _admin: AdminDep,
    edge: EdgeDep,
    limit: Annotated[int, Query(ge=1, le=200, description="Vouchers per page.")] = 50,
    cursor: Annotated[
        str | None, Query(pattern=CURSOR_PATTERN, description="`next_cursor` of the page before.")
    ] = None,
) -> VoucherList:
    """Every voucher, the newest first. Administrators only."""
    before = None if cursor is None else decode_cursor(cursor)[1:]
    async with edge.read() as tx:
        found = await edge.service(VoucherService, tx).list(limit=limit + 1, before=before)
    page = found[:limit]
    return VoucherList(
        vouchers=[VoucherResponse.of(voucher) for voucher in page],
        next_cursor=encode_cursor(0, page[-1].created_at, page[-1].id) if len(found) > limit else None,
    )


@admin_router.delete(
    "/{voucher_id}", summary="Withdraw a voucher", responses=raises(NotAllowed, NotFound, IdempotencyMismatch)
)
async def withdraw_voucher(
    voucher_id: VoucherId, response: Response, admin: AdminDep, edge: EdgeDep, once: OnceDep
) -> VoucherResponse:
    """Let nobody redeem it any more; what was redeemed stays. Administrators only."""
    async with edge.work() as tx:
        service = edge.service(VoucherService, tx)
        withdrawn = await once.resource(tx, lambda: service.withdraw(parse_id(voucher_id), caller=admin))
        voucher = await service.get(withdrawn)
    response.headers.update(once.headers)
    return VoucherResponse.of(voucher)


@router.post(
    "/redeem",
    summary="Redeem a voucher",
    responses=raises(VoucherExpired, NotFound, VoucherUsed, BalanceLimit, IdempotencyMismatch),
)
async def redeem_voucher(
    body: VoucherRedeem, request: Request, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> VoucherRedeemed:
    """Add what a voucher is worth to your credit. An account redeems a voucher once.

    Attempts are counted: a few each minute, so that codes cannot be tried out.
    """
    limiter: VoucherLimiter = request.app.state.voucher_limiter
    await limiter.admit(str(caller.user_id))
    async with edge.work() as tx:
        service = edge.service(VoucherService, tx)
        record_id = await once.resource(tx, lambda: service.redeem(body.voucher_code, caller=caller))
        reports = BillingReports(tx, caller.user_id)
        balance, _ = await reports.balance()
        line = await reports.line(record_id)
    response.headers.update(once.headers)
    assert line is not None, "the line was written in this transaction, or in the one that is repeated"
    return VoucherRedeemed(record_id=record_id, amount=to_credits(line.amount), balance=to_credits(balance.credits))
