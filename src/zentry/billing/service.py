"""The rules of money: hold, open, capture, close, grant. Runs inside the caller's transaction.

Credits are held before a resource may run, captured from the hold for the seconds that it ran,
and what is left is released when it stops. Nothing is ever charged beyond `paid_until`: running
past it would be the platform's loss, never the user's debt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from zentry.billing.errors import (
    AlreadyHeld,
    AlreadyRefunded,
    BalanceLimit,
    InsufficientCredits,
    NotRefundable,
    PayerChanged,
    SelfServiceClosed,
    TooManyGrants,
)
from zentry.billing.explanations import refund_cause
from zentry.billing.ledger import Books
from zentry.billing.metering import OpenAccount
from zentry.billing.prices import PriceLists
from zentry.billing.prospects import credit_ends_at
from zentry.billing.rating import NO_HOLD, Course, first_hold, opened
from zentry.billing.records import Record, RecordReader
from zentry.billing.repository import BillingRepository
from zentry.billing.types import (
    AT_REST,
    COMPUTE,
    CREATE_FEE,
    CREDIT_UNIT,
    KEPT,
    ActionType,
    Grant,
    OnCreditExhausted,
    PriceList,
    Renewal,
    Resource,
)
from zentry.events.recorder import EventRecorder
from zentry.platform import money
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.errors import InvalidInput
from zentry.platform.settings import BillingSettings
from zentry.platform.signals import CREDIT_ADDED
from zentry.schema.billing import LedgerAccount, PriceUnit

_AVAILABLE: Final = LedgerAccount.AVAILABLE
_HELD: Final = LedgerAccount.HELD
_MOST_GRANTS: Final = 100
"""Grants of an account that end, at a time."""


class BillingService:
    """The rules about credits. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction, settings: BillingSettings) -> None:
        self._tx = tx
        self._settings = settings
        self._rows = BillingRepository(tx)
        self._prices = PriceLists(tx, settings)
        self._events = EventRecorder(tx)

    # Prices

    async def get_price_list(self) -> PriceList:
        """Return the prices in force, with the lists that are announced."""
        return await self._prices.get_in_force()

    async def get_price_list_version(self, version: int) -> PriceList:
        """Return the prices of one version: the fee that was agreed at the request holds at the boot."""
        return await self._prices.get_version(version)

    async def calculate_vm_cost(self, instance_type: str, *, hours: float) -> int:
        """Return what a machine costs for a time, in micro-credits, without the fee for creating it."""
        rate = (await self.get_price_list()).micros[instance_type]
        return money.cumulated_cost(rate_micros_per_hour=rate, elapsed_seconds=round(hours * money.SECONDS_PER_HOUR))

    # A resource's life

    async def hold(self, resource: Resource, *, prices: PriceList, with_fee: bool) -> None:
        """Hold the credit for a first window of use, or raise `InsufficientCredits` or `AlreadyHeld`."""
        account = await self._open(resource.user_id)
        course = self._course(account, resource, prices, at=account.now)
        amount, required = first_hold(course, prices, settings=self._settings, with_fee=with_fee)
        if required > account.books.balance.available:
            raise InsufficientCredits(required=required, available=account.books.balance.available)
        hold_id = await self._rows.insert_hold(
            user_id=resource.user_id, resource_id=resource.id, meter=COMPUTE, amount=amount
        )
        if hold_id is None:
            raise AlreadyHeld
        account.books.post(_AVAILABLE, _HELD, amount, cause=f"hold:{hold_id}")
        await account.books.save()

    async def start_metering(self, resource: Resource, *, prices: PriceList, with_fee: bool) -> None:
        """Charge the fee that was agreed and open a segment at this instant, paid for by the resource's hold.

        What the machine held at rest is metered no longer.
        """
        account = await self._open(resource.user_id)
        await self._stop(account, resource.id, meters=AT_REST)
        found = await account.find_covered(resource.id, meter=COMPUTE)
        assert found is not None, "nothing runs without a hold"
        covered, _ = found
        remaining = covered.remaining
        if with_fee:
            remaining -= await self._charge_fee(account, resource, prices, covered.hold_id)
        course = self._course(account, resource, prices.at(account.now), at=account.now, hold_id=covered.hold_id)
        await self._begin(account, course, remaining=remaining)

    async def stop_metering(self, resource_id: UUID, user_id: UUID) -> None:
        """Charge what was used, end the segment at this instant, and release what is still held.

        Safe for a resource that has neither: a hold without a segment is released whole.
        """
        account = await self._open(user_id)
        await self._stop(account, resource_id, meters=(COMPUTE,))
        await account.write()

    async def start_keeping(self, resource: Resource) -> None:
        """Meter what a resource that stands still holds from this instant on, where that has a price or is to have one.

        It is never refused: what cannot be paid is kept unpaid, and metered from the instant on at which it can.
        """
        prices = await self.get_price_list()
        lists = (prices, *prices.following)
        meters = [
            meter for meter, amount in resource.kept().items() if amount and any(one.price(meter) for one in lists)
        ]
        if not meters:
            return
        account = await self._open(resource.user_id)
        account.state.available = account.books.balance.available
        for meter in meters:
            hold_id = await self._rows.insert_hold(
                user_id=resource.user_id, resource_id=resource.id, meter=meter, amount=0
            )
            if hold_id is None:
                continue  # It is kept already.
            segment = opened(
                resource,
                prices,
                segment_id=self._tx.new_id(),
                at=account.now,
                discount_basis_points=account.books.discount_basis_points,
                meter=meter,
            )
            await self._rows.insert_segment(segment)
            account.state.keep(account.course(segment, hold_id=hold_id, lists=prices.following))
        await account.write()

    async def stop_keeping(self, resource_ids: Sequence[UUID], user_id: UUID) -> None:
        """End what is metered of resources that stood still and are to go."""
        if not resource_ids:
            return
        account = await self._open(user_id)
        for resource_id in resource_ids:
            await self._stop(account, resource_id, meters=KEPT)
        await account.write()

    async def is_unpaid_since(self, resource_id: UUID, user_id: UUID, *, before: datetime) -> bool:
        """Tell whether something of what stands still has been kept without being paid since before an instant."""
        await self._open(user_id)
        kept = [covered.segment for covered in await self._rows.list_holds(resource_id, KEPT)]
        return any(
            segment is not None and segment.rate_micros_per_hour > 0 and segment.paid_until < before for segment in kept
        )

    async def renew(self, user_id: UUID, *, on_exhausted: OnCreditExhausted) -> Renewal:
        """Capture what was used and hold the next window of everything that the account runs.

        What is kept is renewed first, then what the settings put first. What can't be renewed is stopped
        shortly before its hold ends.
        """
        account = await self._open(user_id, everything=True)
        warned_of = await self._warn(account)
        await account.write()
        exhausted = [course.segment.resource_id for course in account.state.courses if course.is_exhausted]
        if exhausted:
            await on_exhausted(self._tx, exhausted)
        return Renewal(warned_of, len(exhausted))

    async def _warn(self, account: OpenAccount) -> datetime | None:
        """Tell of the end of the credit that is in sight, once for each number of hours that the settings name.

        It is told now where it would be closer than that at the next look. Return that end where it was told.
        """
        books = account.books
        ends_at = credit_ends_at(
            account.state, account.now, within=timedelta(hours=max(self._settings.warn_hours, default=0))
        )
        warning = 0
        if ends_at is not None:
            then = _hours(max(account.state.due_at or account.now, account.now), ends_at)
            warning = sum(then < limit for limit in self._settings.warn_hours)
        is_news = warning > books.credit_warning
        if ends_at is not None and is_news:
            await self._events.record(
                "credit.low",
                resource_type="user",
                resource_id=books.user_id,
                user_id=books.user_id,
                cause="meter",
                data={
                    "hours_left": round(_hours(account.now, ends_at), 2),
                    "available_micros": account.state.available,
                    "rate_micros_per_hour": account.state.rate(account.now),
                },
            )
        books.credit_warning = warning
        return ends_at if is_news else None

    async def lock_account(self, user_id: UUID) -> None:
        """Wait for whoever changes the account's money or its counters, and go on alone."""
        await Books.open(self._tx, user_id)

    # Another rate

    async def hold_for_rate(self, resource: Resource, *, prices: PriceList) -> None:
        """Hold what a window at the resource's new rate needs beyond what is left, or raise `InsufficientCredits`."""
        account = await self._open(resource.user_id)
        found = await account.find_covered(resource.id, meter=COMPUTE)
        assert found is not None, "what runs is metered and covered by a hold"
        covered, course = found
        assert course is not None, "what runs is metered"
        used_until = max(course.segment.charged_until, min(account.now, course.segment.paid_until))
        left = covered.remaining - course.cost(course.segment.charged_until, used_until)
        ahead = self._course(account, resource, prices, at=account.now)
        more = max(0, ahead.cost(account.now, account.now + ahead.window(self._settings)) - left)
        if more > account.books.balance.available:
            raise InsufficientCredits(required=more, available=account.books.balance.available)
        account.books.post(_AVAILABLE, _HELD, more, cause=f"hold_more:{self._tx.new_id()}")
        await self._rows.change_hold(covered.hold_id, by=more)
        await account.books.save()

    async def change_rate(self, resource: Resource, *, prices: PriceList) -> None:
        """End the segment at this instant and open the next one at the new rate, paid for by the same hold.

        Nothing for what is not metered: it was stopped meanwhile, and whoever asks has lost its claim.
        """
        account = await self._open(resource.user_id)
        found = await account.find_covered(resource.id, meter=COMPUTE)
        if found is None:
            return
        covered, course = found
        if course is None:
            return
        captured = account.close(course, account.now)
        following = self._course(account, resource, prices.at(account.now), at=account.now, hold_id=covered.hold_id)
        await self._begin(account, following, remaining=covered.remaining - captured)

    async def release_excess(self, resource_id: UUID, user_id: UUID) -> None:
        """Release what is held beyond what the segment has been paid for; nothing for what is not metered."""
        account = await self._open(user_id)
        found = await account.find_covered(resource_id, meter=COMPUTE)
        if found is None:
            return
        covered, course = found
        if course is None:
            return
        await self._release_beyond(account, course, remaining=covered.remaining)
        await account.write()

    # Parts of them

    async def _open(self, user_id: UUID, *, everything: bool = False) -> OpenAccount:
        return await OpenAccount.open(self._tx, self._settings, user_id, everything=everything)

    def _course(
        self, account: OpenAccount, resource: Resource, prices: PriceList, *, at: datetime, hold_id: UUID = NO_HOLD
    ) -> Course:
        segment = opened(
            resource,
            prices,
            segment_id=self._tx.new_id(),
            at=at,
            discount_basis_points=account.books.discount_basis_points,
        )
        return account.course(segment, hold_id=hold_id, lists=prices.following)

    async def _begin(self, account: OpenAccount, course: Course, *, remaining: int) -> None:
        """Open a segment that is paid as far as its hold goes, and release what it does not need."""
        start = course.segment.started_at
        paid_until = course.affordable(start, budget=remaining, most=course.window(self._settings))
        course.segment = replace(course.segment, paid_until=paid_until)
        await account.write()  # What was before it has ended.
        await self._rows.insert_segment(course.segment)
        await self._release_beyond(account, course, remaining=remaining)
        account.state.plan(course)
        await account.write()

    async def _stop(self, account: OpenAccount, resource_id: UUID, *, meters: Sequence[str]) -> None:
        for covered in await self._rows.list_holds(resource_id, meters):
            captured = 0
            if covered.segment is not None:
                if covered.segment.user_id != account.books.user_id:
                    raise PayerChanged
                lists = await self._rows.list_price_lists(first=covered.segment.price_version)
                course = account.course(covered.segment, hold_id=covered.hold_id, lists=lists)
                captured = account.close(course, account.now)
            await account.write()
            await self._rows.close_hold(covered.hold_id)
            account.books.post(_HELD, _AVAILABLE, covered.remaining - captured, cause=f"release:{covered.hold_id}")

    async def _release_beyond(self, account: OpenAccount, course: Course, *, remaining: int) -> None:
        excess = remaining - course.cost(course.segment.charged_until, course.segment.paid_until)
        if excess:
            account.books.post(_HELD, _AVAILABLE, excess, cause=f"release_excess:{self._tx.new_id()}")
            await self._rows.change_hold(course.hold_id, by=-excess)

    # Credit

    def ensure_may_top_up(self, amount: int, *, caller: Caller) -> None:
        """Raise when the caller may not add so many credits to their own account."""
        if caller.is_admin:
            return
        if not self._settings.self_service_credit:
            raise SelfServiceClosed
        if amount > money.from_credits(self._settings.max_top_up):
            raise InvalidInput.at("amount", f"At most {self._settings.max_top_up:g} credits can be added at once.")

    async def grant_welcome(self, user_id: UUID) -> None:
        """Grant a new account its first credits."""
        amount = money.from_credits(self._settings.welcome_credits)
        if amount:
            await self._add(
                user_id, amount, source=LedgerAccount.GRANTS, description="Welcome credits", cause=f"welcome:{user_id}"
            )

    async def grant_voucher(self, user_id: UUID, amount: int, *, voucher_id: UUID) -> UUID:
        """Grant what a voucher is worth, once for each account; return the line's id."""
        cause = f"voucher:{voucher_id}:{user_id}"
        record_id, _, _ = await self._add(
            user_id, amount, source=LedgerAccount.GRANTS, description="Voucher redeemed", cause=cause
        )
        return record_id

    async def add_credits(self, user_id: UUID, amount: int, *, description: str) -> tuple[UUID, int, int]:
        """Add credits; return the line's id and the balance before and after."""
        return await self._add(
            user_id, amount, source=LedgerAccount.TOP_UPS, description=description, cause=None, actor_id=user_id
        )

    async def set_discount(self, user_id: UUID, basis_points: int, *, reason: str, caller: Caller) -> UUID:
        """Give an account a discount on every rate, from this second on; what is metered goes on at the new rate."""
        account = await self._open(user_id, everything=True)
        before = account.books.discount_basis_points
        account.books.discount_basis_points = basis_points
        for course in list(account.state.courses):
            account.state.reprice(course, account.now, discount_basis_points=basis_points)
        await account.write()
        await self._events.record(
            "discount.changed",
            resource_type="user",
            resource_id=user_id,
            user_id=user_id,
            cause="admin",
            actor_id=caller.user_id,
            data={"before_basis_points": before, "after_basis_points": basis_points, "reason": reason},
        )
        return user_id

    async def grant_for_days(self, user_id: UUID, amount: int, *, days: int, reason: str, caller: Caller) -> UUID:
        """Grant credits that end; return the grant's id. What was used before is not taken from them."""
        account = await self._open(user_id, everything=True)
        if len(account.state.grants) >= _MOST_GRANTS:
            raise TooManyGrants(_MOST_GRANTS)
        for course in account.state.courses:
            account.state.capture(course, account.now)
        await account.write()
        record_id = await self.change_balance(user_id, amount, is_grant=True, reason=reason, caller=caller)
        grant = Grant(self._tx.new_id(), reason, amount, account.now + timedelta(days=days))
        await self._rows.insert_grant(grant, user_id=user_id, record_id=record_id)
        account = await self._open(user_id)
        account.state.add_grant(grant)
        await account.write()
        return grant.id

    async def change_balance(self, user_id: UUID, amount: int, *, is_grant: bool, reason: str, caller: Caller) -> UUID:
        """Grant or adjust as an administrator; return the line's id. Taking away stops at what is available."""
        if amount < 0:
            record_id = await self.deduct_credits(user_id, -amount, description=reason)
        else:
            source = LedgerAccount.GRANTS if is_grant else LedgerAccount.ADJUSTMENTS
            record_id, _, _ = await self._add(
                user_id, amount, source=source, description=reason, cause=None, actor_id=caller.user_id
            )
        await self._events.record(
            "credit.granted" if is_grant else "credit.adjusted",
            resource_type="user",
            resource_id=user_id,
            user_id=user_id,
            cause="admin",
            actor_id=caller.user_id,
            data={"amount_micros": amount, "record_id": str(record_id)},
        )
        return record_id

    async def deduct_credits(self, user_id: UUID, amount: int, *, description: str) -> UUID:
        """Take credits back as an adjustment, or raise `InsufficientCredits`; return the line's id."""
        account = await self._open(user_id)
        record_id = await self._rows.insert_line(
            user_id=user_id,
            action_type=ActionType.CREDIT_DEDUCT,
            amount=-amount,
            description=description,
            unit=CREDIT_UNIT,
        )
        account.books.add_line()
        cause = f"deduct:{record_id}"
        account.books.post(_AVAILABLE, LedgerAccount.ADJUSTMENTS, amount, cause=cause, record_id=record_id)
        account.state.spend(amount)
        await account.write()
        return record_id

    async def refund(self, record: Record, amount: int | None, *, reason: str, caller: Caller) -> UUID:
        """Give back a charge, or a part of it; return the line's id. A charge is given back once."""
        amount = -record.amount if amount is None else amount
        if not 0 < amount <= -record.amount:
            raise NotRefundable("Only a charge can be refunded, and no more of it than was charged.")
        cause = refund_cause(record.id)
        await self.lock_account(record.user_id)
        if await RecordReader(self._tx, record.user_id).find_cause(cause) is not None:
            raise AlreadyRefunded  # Nobody else posts while we hold the account, and the books take a cause once.
        record_id, _, _ = await self._add(
            record.user_id,
            amount,
            source=LedgerAccount.ADJUSTMENTS,
            description=reason,
            cause=cause,
            actor_id=caller.user_id,
        )
        await self._events.record(
            "credit.refunded",
            resource_type="user",
            resource_id=record.user_id,
            user_id=record.user_id,
            cause="admin",
            actor_id=caller.user_id,
            data={"amount_micros": amount, "record_id": str(record_id), "refunded_record_id": str(record.id)},
        )
        return record_id

    # Parts of it

    async def _add(
        self,
        user_id: UUID,
        amount: int,
        *,
        source: LedgerAccount,
        description: str,
        cause: str | None,
        actor_id: UUID | None = None,
    ) -> tuple[UUID, int, int]:
        account = await self._open(user_id)
        books = account.books
        before = books.balance.credits
        most = money.from_credits(self._settings.max_balance)
        if before + amount > most:
            raise BalanceLimit(
                f"An account may hold {money.format_credits(most)} credits at most.",
                current=money.to_credits(before),
            )
        record_id = await self._rows.insert_line(
            user_id=user_id,
            action_type=ActionType.CREDIT_ADD,
            amount=amount,
            description=description,
            unit=CREDIT_UNIT,
        )
        books.add_line()
        books.post(source, _AVAILABLE, amount, cause=cause or f"add:{record_id}", record_id=record_id)
        if account.state.due_at is not None:
            account.state.due_at = min(account.state.due_at, account.now)  # What was about to stop may be renewed.
        self._tx.after_commit(CREDIT_ADDED)
        await account.write()
        await self._events.record(
            "credit.added",
            resource_type="user",
            resource_id=user_id,
            user_id=user_id,
            actor_id=actor_id,
            data={"amount_micros": amount, "record_id": str(record_id), "source": source},
        )
        return record_id, before, books.balance.credits

    async def _charge_fee(self, account: OpenAccount, resource: Resource, prices: PriceList, hold_id: UUID) -> int:
        fee = prices.micros.get(CREATE_FEE, 0)
        if fee == 0:
            return 0
        record_id = await self._rows.insert_line(
            user_id=resource.user_id,
            vm_id=resource.id,
            project_id=resource.project_id,
            action_type=ActionType.VM_CREATE,
            amount=-fee,
            description=f"Created VM {resource.name} ({resource.type})",
            price_version=prices.version,
            resource_type=resource.type,
            unit=PriceUnit.EACH,
            quantity=1,
            price_micros=fee,
        )
        account.books.add_line()
        account.books.post(_HELD, LedgerAccount.REVENUE, fee, cause=f"fee:{resource.id}", record_id=record_id)
        account.state.spend(fee)
        await self._rows.change_hold(hold_id, by=-fee)
        await self._rows.add_cost(
            resource_id=resource.id, user_id=resource.user_id, project_id=resource.project_id, micros=fee
        )
        return fee


def _hours(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds() / money.SECONDS_PER_HOUR
