"""Routes of price lists, and of what an administrator gives an account: a discount, credit that ends."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from zentry.billing.admin_router import UserId
from zentry.billing.errors import BalanceLimit, PriceListFixed, PriceListNotFound, PriceNotice, TooManyGrants
from zentry.billing.prices import PriceLists
from zentry.billing.prices_schemas import (
    Discount,
    DiscountChange,
    GrantCreate,
    GrantResponse,
    Grants,
    Price,
    PriceListAnnouncement,
    PriceListResponse,
)
from zentry.billing.prices_schemas import PriceLists as PriceListsResponse
from zentry.billing.reports import BillingReports, GrantLine
from zentry.billing.schemas import BillingUnit
from zentry.billing.service import BillingService
from zentry.billing.types import BASIS_POINTS, UNITS, PriceList
from zentry.operations.once import OnceDep
from zentry.platform.clock import whole_second
from zentry.platform.errors import Conflict, IdempotencyMismatch, InvalidInput, NotAllowed, NotFound
from zentry.platform.ids import parse_id
from zentry.platform.instants import first_instant
from zentry.platform.money import InvalidAmount, from_credits, to_credits
from zentry.platform.web import AdminDep, CallerDep, EdgeDep, raises

router = APIRouter(prefix="/admin", tags=["Administration"])
public_router = APIRouter(prefix="/billing", tags=["Billing"])

Version = Annotated[int, Path(ge=1, le=1_000_000, description="Version of a price list.", examples=[2])]


@public_router.get("/price-lists", summary="List price lists")
async def list_price_lists(caller: CallerDep, edge: EdgeDep) -> PriceListsResponse:
    """Every version of the prices, the newest first: those that were, the one in force, and those announced."""
    del caller
    async with edge.read() as tx:
        lists = edge.service(PriceLists, tx)
        current = await lists.get_in_force()
        return PriceListsResponse(price_lists=[_response(one, current.version) for one in await lists.list_all()])


@public_router.get("/grants", summary="List grants that end")
async def list_grants(caller: CallerDep, edge: EdgeDep) -> Grants:
    """Credit of yours that ends. What ends first is spent first, and credit that does not end is spent last."""
    async with edge.read() as tx:
        return Grants(grants=[_grant(one) for one in await BillingReports(tx, caller.user_id).grants()])


@router.post(
    "/price-lists",
    summary="Announce a price list",
    status_code=201,
    responses=raises(InvalidInput, NotAllowed, NotFound, Conflict, PriceNotice, IdempotencyMismatch),
)
async def announce_price_list(
    body: PriceListAnnouncement, response: Response, admin: AdminDep, edge: EdgeDep, once: OnceDep
) -> PriceListResponse:
    """Announce prices that take effect at an instant, for everybody, to the second. Administrators only.

    It is announced some days ahead, as the settings say, and can be withdrawn until a day before.
    """
    named = {"vm_create": body.vm_create, "storage": body.storage, "address": body.address, "snapshot": body.snapshot}
    prices = {one.instance_type: one.price for one in body.instance_types}
    prices |= {item: price for item, price in named.items() if price is not None}
    async with edge.work() as tx:
        lists = edge.service(PriceLists, tx)
        effective_at = whole_second(first_instant(body.effective_at))
        version = await once.resource(tx, lambda: lists.announce(effective_at, prices, caller=admin))
        announced = await lists.get_version(version.int)
        current = await lists.get_in_force()
    response.headers.update(once.headers)
    return _response(announced, current.version)


@router.delete(
    "/price-lists/{version}",
    summary="Withdraw a price list",
    status_code=204,
    responses=raises(NotAllowed, PriceListNotFound, PriceListFixed, IdempotencyMismatch),
)
async def withdraw_price_list(
    version: Version, response: Response, admin: AdminDep, edge: EdgeDep, once: OnceDep
) -> None:
    """Withdraw the price list that was announced last, until a day before it takes effect. Administrators only."""
    async with edge.work() as tx:
        lists = edge.service(PriceLists, tx)
        await once.resource(tx, lambda: lists.withdraw(version, caller=admin))
    response.headers.update(once.headers)


@router.put(
    "/users/{user_id}/discount",
    summary="Set a discount",
    responses=raises(InvalidInput, NotAllowed, NotFound, IdempotencyMismatch),
)
async def set_discount(
    user_id: UserId, body: DiscountChange, response: Response, admin: AdminDep, edge: EdgeDep, once: OnceDep
) -> Discount:
    """Give an account a discount on every rate, from this second on. Administrators only.

    What runs is charged until this second as before, and from then on with the discount.
    """
    exact = Decimal(str(body.percent)) * 100  # The shortest text of the float is what was sent.
    basis_points = int(exact)
    if basis_points != exact:
        raise InvalidInput.at("percent", "A discount has at most two decimal places.")
    account = parse_id(user_id)
    if account is None:
        raise NotFound("User")
    async with edge.work() as tx:
        billing = edge.service(BillingService, tx)

        async def change() -> UUID:
            return await billing.set_discount(account, basis_points, reason=body.reason.strip(), caller=admin)

        await once.resource(tx, change)
    response.headers.update(once.headers)
    return Discount(user_id=account, percent=basis_points * 100 / BASIS_POINTS, since=whole_second(tx.now))


@router.post(
    "/users/{user_id}/grants",
    summary="Grant credits that end",
    status_code=201,
    responses=raises(InvalidInput, NotAllowed, NotFound, BalanceLimit, TooManyGrants, IdempotencyMismatch),
)
async def create_grant(
    user_id: UserId, body: GrantCreate, response: Response, admin: AdminDep, edge: EdgeDep, once: OnceDep
) -> GrantResponse:
    """Grant credits that end after some days. Administrators only.

    What is spent is taken from the grant that ends first. At its end what was neither spent nor is held is
    taken back, as an entry of its own.
    """
    try:
        amount = from_credits(body.amount)
    except InvalidAmount as error:
        raise InvalidInput.at("amount", str(error)) from error
    account = parse_id(user_id)
    if account is None:
        raise NotFound("User")
    async with edge.work() as tx:
        billing = edge.service(BillingService, tx)

        async def grant() -> UUID:
            return await billing.grant_for_days(
                account, amount, days=body.days, reason=body.reason.strip(), caller=admin
            )

        grant_id = await once.resource(tx, grant)
        [granted] = await BillingReports(tx, account).grants(grant_id=grant_id)
    response.headers.update(once.headers)
    return _grant(granted)


def _response(prices: PriceList, current: int) -> PriceListResponse:
    return PriceListResponse(
        version=prices.version,
        effective_at=prices.effective_at,
        in_force=prices.version == current,
        currency=prices.currency,
        prices={
            item: Price(price=to_credits(micros), unit=BillingUnit(UNITS.get(item, "hour")))
            for item, micros in sorted(prices.micros.items())
        },
    )


def _grant(grant: GrantLine) -> GrantResponse:
    return GrantResponse(
        id=grant.id,
        reason=grant.reason,
        amount=to_credits(grant.amount),
        remaining=to_credits(grant.remaining),
        expires_at=grant.expires_at,
        taken_back=None if grant.lapsed_micros is None else to_credits(grant.lapsed_micros),
    )
