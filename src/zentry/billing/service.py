"""The rules of money: hold, open, capture, close, grant. Runs inside the caller's transaction.

Credits are held before a resource may run, captured from the hold for the seconds that it ran,
and what is left is released when it stops. Nothing is ever charged beyond `paid_until`: running
past it would be the platform's loss, never the user's debt.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from zentry.billing.errors import (
    AlreadyHeld,
    AlreadyRefunded,
    BalanceLimit,
    InsufficientCredits,
    NotRefundable,
    SelfServiceClosed,
)
from zentry.billing.explanations import refund_cause
from zentry.billing.ledger import Books
from zentry.billing.prospects import credit_ends_at, in_order_of_renewal
from zentry.billing.records import Record, RecordReader
from zentry.billing.repository import BillingRepository
from zentry.billing.types import CREATE_FEE, ActionType, OnCreditExhausted, PriceList, Resource, Segment
from zentry.events.recorder import EventRecorder
from zentry.platform import money
from zentry.platform.caller import Caller
from zentry.platform.clock import whole_second
from zentry.platform.db import Transaction
from zentry.platform.errors import InvalidInput, Unavailable
from zentry.platform.settings import BillingSettings
from zentry.platform.signals import CREDIT_ADDED
from zentry.schema.billing import LedgerAccount, PriceUnit

_AVAILABLE: Final = LedgerAccount.AVAILABLE
_HELD: Final = LedgerAccount.HELD


class BillingService:
    """The rules about credits. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction, settings: BillingSettings) -> None:
        self._tx = tx
        self._settings = settings
        self._rows = BillingRepository(tx)
        self._events = EventRecorder(tx)

    # Prices

    async def get_price_list(self) -> PriceList:
        """Return the prices in force."""
        found = await self._rows.find_price_list(self._tx.now)
        if found is None:
            raise Unavailable("There is no price list in force.")
        return found

    async def get_price_list_version(self, version: int) -> PriceList:
        """Return the prices of one version: what was agreed at the request holds at the boot."""
        found = await self._rows.find_price_list_version(version)
        assert found is not None, "price lists are never deleted"
        return found

    async def calculate_vm_cost(self, instance_type: str, *, hours: float) -> int:
        """Return what a machine costs for a time, in micro-credits, without the fee for creating it."""
        rate = (await self.get_price_list()).micros[instance_type]
        return money.cumulated_cost(rate_micros_per_hour=rate, elapsed_seconds=round(hours * money.SECONDS_PER_HOUR))

    # A resource's life

    async def hold(self, resource: Resource, *, prices: PriceList, with_fee: bool) -> None:
        """Hold the credit for a first window of use, or raise `InsufficientCredits` or `AlreadyHeld`."""
        books = await Books.open(self._tx, resource.user_id)
        window = money.cumulated_cost(
            rate_micros_per_hour=prices.micros[resource.type], elapsed_seconds=self._settings.window_seconds
        )
        amount = window + (prices.micros.get(CREATE_FEE, 0) if with_fee else 0)
        required = max(amount, money.from_credits(self._settings.minimum_credits) if with_fee else 0)
        if required > books.balance.available:
            raise InsufficientCredits(required=required, available=books.balance.available)
        hold_id = await self._rows.insert_hold(user_id=resource.user_id, resource_id=resource.id, amount=amount)
        if hold_id is None:
            raise AlreadyHeld
        books.post(_AVAILABLE, _HELD, amount, cause=f"hold:{hold_id}")
        await books.save()

    async def start_metering(self, resource: Resource, *, prices: PriceList, with_fee: bool) -> None:
        """Charge the fee and open a segment at this instant, paid for by the resource's hold."""
        books = await Books.open(self._tx, resource.user_id)
        hold = await self._rows.find_hold(resource.id)
        assert hold is not None, "nothing runs without a hold"
        hold_id, remaining = hold
        if with_fee:
            remaining -= await self._charge_fee(books, resource, prices, hold_id)
        rate = prices.micros[resource.type]
        started_at = whole_second(self._tx.now)
        segment = Segment(
            id=self._tx.new_id(),
            user_id=resource.user_id,
            project_id=resource.project_id,
            resource_id=resource.id,
            resource_type=resource.type,
            price_version=prices.version,
            rate_micros_per_hour=rate,
            started_at=started_at,
            paid_until=started_at + self._payable(rate=rate, from_second=0, budget=remaining),
            charged_until=started_at,
            charged_micros=0,
            price_micros=rate,
        )
        await self._rows.insert_segment(segment)
        due_at = segment.paid_until - timedelta(seconds=self._settings.renew_before_seconds)
        books.meter_due_at = due_at if books.meter_due_at is None else min(books.meter_due_at, due_at)
        await books.save()

    async def stop_metering(self, resource_id: UUID, user_id: UUID) -> None:
        """Charge what was used, end the segment at this instant, and release what is still held.

        Safe for a resource that has neither: a hold without a segment is released whole.
        """
        books = await Books.open(self._tx, user_id)
        hold = await self._rows.find_hold(resource_id)
        segment = await self._rows.find_open_segment(resource_id)
        if segment is not None:
            assert hold is not None, "an open segment is covered by an open hold"
            ended_at = min(max(whole_second(self._tx.now), segment.charged_until), segment.paid_until)
            captured = await self._capture(books, segment, hold_id=hold[0], until=ended_at)
            await self._rows.update_segment(segment.id, ended_at=ended_at)
            hold = (hold[0], hold[1] - captured)
        if hold is not None:
            await self._rows.close_hold(hold[0])
            books.post(_HELD, _AVAILABLE, hold[1], cause=f"release:{hold[0]}")
        await books.save()

    async def renew(self, user_id: UUID, *, on_exhausted: OnCreditExhausted) -> None:
        """Capture what was used and hold the next window of everything that the account runs.

        What the settings put first is renewed first. What can't be renewed is stopped shortly before its
        hold ends, together with what the meter is due to look at next.
        """
        books = await Books.open(self._tx, user_id)
        due: list[datetime] = []
        exhausted: list[UUID] = []
        running = in_order_of_renewal(await self._rows.list_open_segments(user_id), first=self._settings.renew_first)
        for segment in running:
            paid_until = await self._renew_segment(books, segment)
            renew_at = paid_until - timedelta(seconds=self._settings.renew_before_seconds)
            if renew_at > self._tx.now:
                due.append(renew_at)
                continue
            suspend_at = paid_until - timedelta(seconds=self._settings.suspend_before_seconds)
            if suspend_at > self._tx.now:
                due.append(suspend_at)
            else:
                exhausted.append(segment.resource_id)
        books.meter_due_at = min(due, default=None)
        await self._warn(books, running)
        await books.save()
        if exhausted:
            await on_exhausted(self._tx, exhausted)

    async def _warn(self, books: Books, running: Sequence[Segment]) -> None:
        """Tell of the end of the credit that is in sight, once for each number of hours that the settings name."""
        rate = sum(segment.rate_micros_per_hour for segment in running)
        ends_at = credit_ends_at(self._tx.now, running, available=books.balance.available)
        hours = None if ends_at is None else (ends_at - self._tx.now).total_seconds() / money.SECONDS_PER_HOUR
        warning = 0 if hours is None else sum(hours <= limit for limit in self._settings.warn_hours)
        if hours is not None and warning > books.credit_warning:
            await self._events.record(
                "credit.low",
                resource_type="user",
                resource_id=books.user_id,
                user_id=books.user_id,
                cause="meter",
                data={
                    "hours_left": round(hours, 2),
                    "available_micros": books.balance.available,
                    "rate_micros_per_hour": rate,
                },
            )
        books.credit_warning = warning

    async def lock_account(self, user_id: UUID) -> None:
        """Wait for whoever changes the account's money or its counters, and go on alone."""
        await Books.open(self._tx, user_id)

    # Another rate

    async def hold_for_rate(self, resource: Resource, *, prices: PriceList) -> None:
        """Hold what a window at the resource's new rate needs beyond what is left, or raise `InsufficientCredits`."""
        books = await Books.open(self._tx, resource.user_id)
        metered = await self._find_metered(resource.id)
        assert metered is not None, "what runs is metered and covered by a hold"
        hold_id, remaining, segment = metered
        used = money.charge(
            rate_micros_per_hour=segment.rate_micros_per_hour,
            from_second=segment.second_of(segment.charged_until),
            to_second=segment.second_of(max(segment.charged_until, min(self._tx.now, segment.paid_until))),
        )
        window = money.cumulated_cost(
            rate_micros_per_hour=prices.micros[resource.type], elapsed_seconds=self._settings.window_seconds
        )
        more = max(0, window - (remaining - used))
        if more > books.balance.available:
            raise InsufficientCredits(required=more, available=books.balance.available)
        books.post(_AVAILABLE, _HELD, more, cause=f"hold_more:{self._tx.new_id()}")
        await self._rows.change_hold(hold_id, by=more)
        await books.save()

    async def change_rate(self, resource: Resource, *, prices: PriceList) -> None:
        """End the segment at this instant and open the next one at the new rate, paid for by the same hold.

        Nothing for what is not metered: it was stopped meanwhile, and whoever asks has lost its claim.
        """
        books = await Books.open(self._tx, resource.user_id)
        metered = await self._find_metered(resource.id)
        if metered is None:
            return
        hold_id, remaining, segment = metered
        ended_at = min(max(whole_second(self._tx.now), segment.charged_until), segment.paid_until)
        remaining -= await self._capture(books, segment, hold_id=hold_id, until=ended_at)
        await self._rows.update_segment(segment.id, ended_at=ended_at)
        rate = prices.micros[resource.type]
        started_at = max(whole_second(self._tx.now), ended_at)
        following = Segment(
            id=self._tx.new_id(),
            user_id=resource.user_id,
            project_id=resource.project_id,
            resource_id=resource.id,
            resource_type=resource.type,
            price_version=prices.version,
            rate_micros_per_hour=rate,
            started_at=started_at,
            paid_until=started_at + self._payable(rate=rate, from_second=0, budget=remaining),
            charged_until=started_at,
            charged_micros=0,
            price_micros=rate,
        )
        await self._rows.insert_segment(following)
        await self._release_beyond(books, following, hold_id=hold_id, remaining=remaining)
        due_at = following.paid_until - timedelta(seconds=self._settings.renew_before_seconds)
        books.meter_due_at = due_at if books.meter_due_at is None else min(books.meter_due_at, due_at)
        await books.save()

    async def release_excess(self, resource_id: UUID, user_id: UUID) -> None:
        """Release what is held beyond what the segment has been paid for; nothing for what is not metered."""
        books = await Books.open(self._tx, user_id)
        metered = await self._find_metered(resource_id)
        if metered is None:
            return
        hold_id, remaining, segment = metered
        await self._release_beyond(books, segment, hold_id=hold_id, remaining=remaining)
        await books.save()

    async def _find_metered(self, resource_id: UUID) -> tuple[UUID, int, Segment] | None:
        hold, segment = await self._rows.find_hold(resource_id), await self._rows.find_open_segment(resource_id)
        return None if hold is None or segment is None else (*hold, segment)

    async def _release_beyond(self, books: Books, segment: Segment, *, hold_id: UUID, remaining: int) -> None:
        covered = money.charge(
            rate_micros_per_hour=segment.rate_micros_per_hour,
            from_second=segment.second_of(segment.charged_until),
            to_second=segment.second_of(segment.paid_until),
        )
        books.post(_HELD, _AVAILABLE, remaining - covered, cause=f"release_excess:{self._tx.new_id()}")
        await self._rows.change_hold(hold_id, by=covered - remaining)

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

    async def add_credits(self, user_id: UUID, amount: int, *, description: str) -> tuple[UUID, int, int]:
        """Add credits; return the line's id and the balance before and after."""
        return await self._add(user_id, amount, source=LedgerAccount.TOP_UPS, description=description, cause=None)

    async def change_balance(self, user_id: UUID, amount: int, *, is_grant: bool, reason: str, caller: Caller) -> UUID:
        """Grant or adjust as an administrator; return the line's id. Taking away stops at what is available."""
        if amount < 0:
            record_id = await self.deduct_credits(user_id, -amount, description=reason)
        else:
            source = LedgerAccount.GRANTS if is_grant else LedgerAccount.ADJUSTMENTS
            record_id, _, _ = await self._add(user_id, amount, source=source, description=reason, cause=None)
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
        books = await Books.open(self._tx, user_id)
        record_id = await self._rows.insert_line(
            user_id=user_id, action_type=ActionType.CREDIT_DEDUCT, amount=-amount, description=description
        )
        books.add_line()
        books.post(_AVAILABLE, LedgerAccount.ADJUSTMENTS, amount, cause=f"deduct:{record_id}", record_id=record_id)
        await books.save()
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
            record.user_id, amount, source=LedgerAccount.ADJUSTMENTS, description=reason, cause=cause
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

    # Parts

    async def _add(
        self, user_id: UUID, amount: int, *, source: LedgerAccount, description: str, cause: str | None
    ) -> tuple[UUID, int, int]:
        books = await Books.open(self._tx, user_id)
        before = books.balance.credits
        most = money.from_credits(self._settings.max_balance)
        if before + amount > most:
            raise BalanceLimit(
                f"An account may hold {money.format_credits(most)} credits at most.",
                current=money.to_credits(before),
            )
        record_id = await self._rows.insert_line(
            user_id=user_id, action_type=ActionType.CREDIT_ADD, amount=amount, description=description
        )
        books.add_line()
        books.post(source, _AVAILABLE, amount, cause=cause or f"add:{record_id}", record_id=record_id)
        if books.meter_due_at is not None:
            books.meter_due_at = min(books.meter_due_at, self._tx.now)  # What was about to stop may be renewed.
        self._tx.after_commit(CREDIT_ADDED)
        await books.save()
        await self._events.record(
            "credit.added",
            resource_type="user",
            resource_id=user_id,
            user_id=user_id,
            data={"amount_micros": amount, "record_id": str(record_id), "source": source},
        )
        return record_id, before, books.balance.credits

    async def _charge_fee(self, books: Books, resource: Resource, prices: PriceList, hold_id: UUID) -> int:
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
        books.add_line()
        books.post(_HELD, LedgerAccount.REVENUE, fee, cause=f"fee:{resource.id}", record_id=record_id)
        await self._rows.change_hold(hold_id, by=-fee)
        await self._rows.add_cost(
            resource_id=resource.id, user_id=resource.user_id, project_id=resource.project_id, micros=fee
        )
        return fee

    async def _capture(self, books: Books, segment: Segment, *, hold_id: UUID, until: datetime) -> int:
        """Charge a segment from where it was charged to `until`; return the amount."""
        from_second, to_second = segment.second_of(segment.charged_until), segment.second_of(until)
        if to_second <= from_second:
            return 0
        amount = money.charge(
            rate_micros_per_hour=segment.rate_micros_per_hour, from_second=from_second, to_second=to_second
        )
        record_id = await self._rows.insert_line(
            user_id=segment.user_id,
            vm_id=segment.resource_id,
            project_id=segment.project_id,
            action_type=ActionType.VM_USAGE,
            amount=-amount,
            description=_usage_text(segment, seconds=to_second - from_second),
            segment_id=segment.id,
            period_start=segment.charged_until,
            period_end=until,
            rate_micros_per_hour=segment.rate_micros_per_hour,
            price_version=segment.price_version,
            resource_type=segment.resource_type,
            meter=segment.meter,
            unit=segment.unit,
            quantity=segment.quantity,
            price_micros=segment.price_micros,
            discount_basis_points=segment.discount_basis_points,
        )
        books.add_line()
        books.post(_HELD, LedgerAccount.REVENUE, amount, cause=f"usage:{segment.id}:{to_second}", record_id=record_id)
        await self._rows.change_hold(hold_id, by=-amount)
        await self._rows.update_segment(segment.id, charged_until=until, charged_micros=segment.charged_micros + amount)
        await self._rows.add_cost(
            resource_id=segment.resource_id, user_id=segment.user_id, project_id=segment.project_id, micros=amount
        )
        return amount

    async def _renew_segment(self, books: Books, segment: Segment) -> datetime:
        """Renew one segment if it is time; return until when it is paid."""
        renew_at = segment.paid_until - timedelta(seconds=self._settings.renew_before_seconds)
        if renew_at > self._tx.now:
            return segment.paid_until
        hold = await self._rows.find_hold(segment.resource_id)
        assert hold is not None, "an open segment is covered by an open hold"
        until = min(max(whole_second(self._tx.now), segment.charged_until), segment.paid_until)
        await self._capture(books, segment, hold_id=hold[0], until=until)
        paid_second = segment.second_of(segment.paid_until)
        extension = self._payable(
            rate=segment.rate_micros_per_hour, from_second=paid_second, budget=books.balance.available
        )
        paid_until = segment.paid_until + extension
        amount = money.charge(
            rate_micros_per_hour=segment.rate_micros_per_hour,
            from_second=paid_second,
            to_second=segment.second_of(paid_until),
        )
        if extension:
            books.post(_AVAILABLE, _HELD, amount, cause=f"renew:{segment.id}:{segment.second_of(paid_until)}")
            await self._rows.change_hold(hold[0], by=amount)
            await self._rows.update_segment(segment.id, paid_until=paid_until)
        return paid_until

    def _payable(self, *, rate: int, from_second: int, budget: int) -> timedelta:
        """Return how much longer, up to a window, a budget pays for."""
        window = self._settings.window_seconds
        if rate == 0:
            return timedelta(seconds=window)
        seconds = money.affordable_seconds(rate_micros_per_hour=rate, from_second=from_second, budget_micros=budget)
        return timedelta(seconds=min(window, seconds))


def _usage_text(segment: Segment, *, seconds: int) -> str:
    rate = money.format_credits(segment.rate_micros_per_hour)
    return f"Usage of {segment.resource_type}: {seconds} s at {rate} per hour"
