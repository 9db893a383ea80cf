"""Another account pays for what a project has metered, from one instant on.

Under the locks of both accounts each open segment ends at that instant, paid by whoever gives, and its
successor begins there, held for by whoever takes, at the prices in force and with the taker's discount.
Nothing is charged twice or not at all, and who takes must have the credit for a first window of everything.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.errors import InsufficientCredits
from zentry.billing.ledger import Books
from zentry.billing.metering import OpenAccount
from zentry.billing.rating import NO_HOLD, Course
from zentry.billing.service import BillingService
from zentry.billing.types import PriceList, Segment
from zentry.platform.clock import whole_second
from zentry.schema.accounts import users
from zentry.schema.billing import LedgerAccount


class Handover(BillingService):
    """Moves holds and segments between accounts. Runs inside the caller's transaction and never commits."""

    async def get_required(self, project_id: UUID, *, giver_id: UUID, taker_id: UUID) -> int:
        """Return the credit that the taker must have to take over what is metered now."""
        query = sa.select(users.c.discount_basis_points).where(users.c.id == taker_id)
        discount = int((await self._tx.execute(query)).scalar_one())
        prices = await self.get_price_list()
        return sum(
            self._first_window(self._following(segment, prices, taker_id=taker_id, discount_basis_points=discount))
            for segment in await self._list_metered(project_id, giver_id)
        )

    async def move(self, project_id: UUID, *, giver_id: UUID, taker_id: UUID) -> int:
        """Let the taker pay from now on, or raise `InsufficientCredits`; return how many segments moved."""
        for account_id in sorted({giver_id, taker_id}):  # Two accounts are locked in one order.
            await Books.open(self._tx, account_id)
        giver, taker = await self._open(giver_id), await self._open(taker_id)
        prices = await self.get_price_list()
        discount = taker.books.discount_basis_points
        metered = [
            (segment, self._following(segment, prices, taker_id=taker_id, discount_basis_points=discount))
            for segment in await self._list_metered(project_id, giver_id)
        ]
        required = sum(self._first_window(following) for _, following in metered)
        if required > taker.books.balance.available:
            raise InsufficientCredits(required=required, available=taker.books.balance.available)
        for segment, following in metered:
            await self._stop(giver, segment.resource_id, meters=(segment.meter,))
            await giver.write()
            await self._take(taker, following)
        return len(metered)

    async def _take(self, taker: OpenAccount, course: Course) -> None:
        amount = self._first_window(course)
        segment = course.segment
        hold_id = await self._rows.insert_hold(
            user_id=segment.user_id, resource_id=segment.resource_id, meter=segment.meter, amount=amount
        )
        assert hold_id is not None, "the hold before was closed a moment ago"
        taker.books.post(LedgerAccount.AVAILABLE, LedgerAccount.HELD, amount, cause=f"hold:{hold_id}")
        course.hold_id = hold_id
        await self._begin(taker, course, remaining=amount)

    async def _list_metered(self, project_id: UUID, owner_id: UUID) -> list[Segment]:
        covered = await self._rows.list_covered(owner_id)
        return [segment for segment, _ in covered if segment.project_id == project_id]

    def _following(self, segment: Segment, prices: PriceList, *, taker_id: UUID, discount_basis_points: int) -> Course:
        """Return what begins for the taker where the giver's segment ends."""
        at = max(whole_second(self._tx.now), segment.charged_until)
        in_force = prices.at(at)
        before = Course(segment, NO_HOLD, [], discount_basis_points)
        following = replace(
            before.following(in_force, segment_id=self._tx.new_id()),
            user_id=taker_id,
            started_at=at,
            charged_until=at,
            paid_until=at,
            exhausted_at=None,
        )
        return Course(following, NO_HOLD, in_force.following, discount_basis_points)

    def _first_window(self, course: Course) -> int:
        start = course.segment.started_at
        return course.cost(start, start + course.window(self._settings))
