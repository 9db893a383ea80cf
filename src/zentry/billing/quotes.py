"""What is known before: what a machine would cost, when the credit ends, and what a plan would do. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from zentry.billing.forecast import Forecast, Plan, Rehearsal
from zentry.billing.metering import OpenAccount
from zentry.billing.prices import PriceLists, micros_of
from zentry.billing.prospects import credit_ends_at
from zentry.billing.rating import Account, Captured, Course, first_hold, opened
from zentry.billing.reports import BillingReports
from zentry.billing.repository import BillingRepository
from zentry.billing.types import CREATE_FEE, UNITS, PriceList, Resource
from zentry.platform.db import Transaction
from zentry.platform.errors import NotFound
from zentry.platform.settings import BillingSettings
from zentry.schema.billing import PriceUnit

HORIZON: Final = timedelta(days=366)
"""How far ahead the end of credit is looked for."""
_HOURS_PER_MONTH: Final = 24 * 30


@dataclass(frozen=True, slots=True)
class Standing:
    """An account's money to the second, charged or not."""

    now: datetime
    accrued: int
    rate_micros_per_hour: int
    credit_ends_at: datetime | None
    discount_basis_points: int


@dataclass(frozen=True, slots=True)
class Quote:
    """What machines of a type would cost an account now."""

    instance_type: str
    count: int
    currency: str
    price_version: int
    discount_basis_points: int
    rate_micros_per_hour: int
    month_micros: int
    fee_micros: int
    hold_micros: int
    required_micros: int
    available_micros: int
    ends_now: datetime | None
    ends_then: datetime | None


class Quotes:
    """Looks ahead for one account. Runs inside the caller's transaction and changes nothing."""

    def __init__(self, tx: Transaction, settings: BillingSettings) -> None:
        self._tx = tx
        self._settings = settings
        self._rows = BillingRepository(tx)
        self._prices = PriceLists(tx, settings)

    async def stand(self, user_id: UUID) -> Standing:
        """Return how an account stands at this second."""
        account = await OpenAccount.look(self._tx, self._settings, user_id)
        uncharged = sum(entry.amount for entry in account.state.journal if isinstance(entry, Captured))
        account.state.journal.clear()
        return Standing(
            account.now,
            uncharged + account.state.accrued(account.now),
            account.state.rate(account.now),
            credit_ends_at(account.state, account.now, within=HORIZON),
            account.books.discount_basis_points,
        )

    async def quote(self, user_id: UUID, instance_type: str, *, count: int = 1) -> Quote:
        """Return what machines of a type would cost from now on, and when the credit would end."""
        prices = await self._prices.get_in_force()
        if instance_type not in await self._rows.list_instance_types():
            raise NotFound("Instance type")
        account = await OpenAccount.look(self._tx, self._settings, user_id)
        ends_now = credit_ends_at(account.state, account.now, within=HORIZON)
        course = self._course(account, instance_type, prices)
        hold, required = first_hold(course, prices, settings=self._settings, with_fee=True)
        available = account.state.available
        ends_then = self._end_with(account, instance_type, prices, count=count, hold=hold)
        month = course.cost(account.now, account.now + timedelta(hours=_HOURS_PER_MONTH))
        return Quote(
            instance_type=instance_type,
            count=count,
            currency=prices.currency,
            price_version=prices.version,
            discount_basis_points=account.books.discount_basis_points,
            rate_micros_per_hour=course.segment.rate_micros_per_hour * count,
            month_micros=month * count,
            fee_micros=prices.price(CREATE_FEE) * count,
            hold_micros=hold * count,
            required_micros=hold * (count - 1) + required,
            available_micros=available,
            ends_now=ends_now,
            ends_then=ends_then,
        )

    async def forecast(
        self, user_id: UUID, plan: Plan, *, change: tuple[datetime, Mapping[str, float]] | None = None
    ) -> Forecast:
        """Play a plan from the account as it is, with a price list that might come where `change` names one."""
        prices = await self._prices.get_in_force()
        types = await self._rows.list_instance_types()
        if change is not None:
            prices = _with_change(prices, *change, types=types)
        if {machine.instance_type for machine in plan.machines} - types.keys():
            raise NotFound("Instance type")
        account = await OpenAccount.look(self._tx, self._settings, user_id)
        account.state.journal.clear()
        for course in account.state.courses:
            course.lists = [one for one in prices.following if one.version > course.segment.price_version]
        rehearsal = Rehearsal(
            account.state,
            plan,
            now=account.now,
            prices=prices,
            discount=account.books.discount_basis_points,
            disks=types,
            present=await BillingReports(self._tx, user_id).machines(),
        )
        return rehearsal.play()

    def _course(self, account: OpenAccount, instance_type: str, prices: PriceList) -> Course:
        resource = Resource(self._tx.new_id(), account.books.user_id, UUID(int=0), "", instance_type)
        segment = opened(
            resource,
            prices,
            segment_id=self._tx.new_id(),
            at=account.now,
            discount_basis_points=account.books.discount_basis_points,
        )
        return account.course(segment, hold_id=self._tx.new_id(), lists=prices.following)

    def _end_with(
        self, account: OpenAccount, instance_type: str, prices: PriceList, *, count: int, hold: int
    ) -> datetime | None:
        ahead: Account = account.state.copy()
        if hold * count > ahead.available:
            return account.now
        for _ in range(count):
            ahead.pay(prices.price(CREATE_FEE))
            ahead.begin(self._course(account, instance_type, prices))
        return credit_ends_at(ahead, account.now, within=HORIZON)


def seconds_between(start: datetime, end: datetime | None) -> int | None:
    """Return the whole seconds until an instant, None where it is not known."""
    return None if end is None else max(0, int((end - start).total_seconds()))


def _with_change(
    prices: PriceList, effective_at: datetime, changed: Mapping[str, float], *, types: Mapping[str, int]
) -> PriceList:
    """Return the prices with a list that might come in place of every one that is announced for later."""
    before = tuple(one for one in prices.following if one.effective_at < effective_at)
    last = (prices, *before)[-1]
    micros = {**last.micros, **micros_of(changed, {**dict.fromkeys(types, PriceUnit.HOUR), **UNITS})}
    imagined = PriceList(last.version + 1, last.currency, micros, effective_at)
    return replace(prices, following=(*before, imagined))
