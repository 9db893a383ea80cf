"""Price lists: which is in force, which are announced, and the rules of announcing one.

A list is announced so long ahead that nothing is paid for beyond its first instant when it comes:
what is held from then on knows it. So it takes effect at that instant for everybody, however late
anything runs, and nobody is charged by a price that was not known when the credit was held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from zentry.billing.errors import PriceListFixed, PriceListNotFound, PriceNotice
from zentry.billing.repository import BillingRepository
from zentry.billing.types import UNITS, PriceList
from zentry.events.changes import changes_of
from zentry.events.recorder import EventRecorder
from zentry.platform import money
from zentry.platform.caller import Caller
from zentry.platform.clock import whole_second
from zentry.platform.db import Transaction
from zentry.platform.errors import Conflict, InvalidInput, NotFound, Unavailable
from zentry.platform.settings import BillingSettings
from zentry.schema.billing import PriceUnit


class PriceLists:
    """The rules about price lists. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction, settings: BillingSettings) -> None:
        self._tx = tx
        self._settings = settings
        self._rows = BillingRepository(tx)
        self._events = EventRecorder(tx)

    async def get_in_force(self) -> PriceList:
        """Return the prices in force, with the lists that are announced."""
        lists = await self._rows.list_price_lists_at(self._tx.now)
        if not lists:
            raise Unavailable("There is no price list in force.")
        return replace(lists[0], following=tuple(lists[1:]))

    async def get_version(self, version: int) -> PriceList:
        """Return the prices of one version, with those that follow it."""
        first, *following = await self._rows.list_price_lists(first=version)
        assert first.version == version, "price lists in use are never deleted"
        return replace(first, following=tuple(following))

    async def list_all(self) -> Sequence[PriceList]:
        """Return every price list, the newest first."""
        return list(reversed(await self._rows.list_price_lists(first=0)))

    async def announce(self, effective_at: datetime, prices: Mapping[str, float], *, caller: Caller) -> UUID:
        """Announce prices that take effect at an instant; what is not named stays as in the list before.

        Return the version as an id.
        """
        last = (await self.list_all())[0]
        notice = timedelta(hours=self._settings.price_notice_hours)
        soonest = max(whole_second(self._tx.now + notice), last.effective_at) + timedelta(seconds=1)
        if effective_at < soonest:
            raise PriceNotice(soonest, notice_hours=self._settings.price_notice_hours)
        known = {**dict.fromkeys(await self._rows.list_instance_types(), PriceUnit.HOUR), **UNITS}
        micros = {**last.micros, **micros_of(prices, known)}
        announced = PriceList(last.version + 1, last.currency, micros, effective_at)
        if not await self._rows.insert_price_list(announced, units=known):
            raise Conflict("Another price list was announced just now; look at it and try again.")
        await self._record("prices.announced", announced, caller=caller, **changes_of(last.micros, micros))
        return UUID(int=announced.version)

    async def withdraw(self, version: int, *, caller: Caller) -> UUID:
        """Withdraw the list that was announced last, as long as nothing can be held by it yet."""
        found = {one.version: one for one in await self.list_all()}
        if version not in found:
            raise PriceListNotFound
        announced = found[version]
        if version != max(found) or announced.effective_at < self._tx.now + _least_notice(self._settings):
            raise PriceListFixed(version)
        await self._rows.delete_price_list(version)
        await self._record("prices.withdrawn", announced, caller=caller)
        return UUID(int=version)

    async def _record(self, kind: str, announced: PriceList, *, caller: Caller, **changes: object) -> None:
        await self._events.record(
            kind,
            resource_type="price_list",
            resource_id=UUID(int=announced.version),
            user_id=None,
            cause="admin",
            actor_id=caller.user_id,
            data={"version": announced.version, "effective_at": announced.effective_at.isoformat(), **changes},
        )


def micros_of(prices: Mapping[str, float], known: Mapping[str, PriceUnit]) -> Mapping[str, int]:
    """Return prices as exact micro-credits, or raise where one is none or is for nothing that has a price."""
    micros = {}
    for item, price in prices.items():
        if item not in known:
            raise NotFound("Instance type")
        try:
            micros[item] = money.from_credits(price)
        except money.InvalidAmount as error:
            raise InvalidInput.at(f"prices.{item}", str(error)) from error
    return micros


def _least_notice(settings: BillingSettings) -> timedelta:
    """Return how far ahead credit may have been held, with a little more for what is under way."""
    ahead = max(settings.window_seconds, 86_400) + settings.renew_before_seconds
    return timedelta(seconds=ahead, minutes=10)
