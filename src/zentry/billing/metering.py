"""An account's books and meters, open under its lock, with everything done that was due by now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Self
from uuid import UUID

from zentry.billing.ledger import Books
from zentry.billing.rating import Account, Captured, Course, Ended, Exhausted, Lapsed, Renewed
from zentry.billing.repository import BillingRepository, Covered
from zentry.billing.types import ActionType, PriceList, Segment
from zentry.platform import money
from zentry.platform.clock import whole_second
from zentry.platform.db import Transaction
from zentry.platform.settings import BillingSettings
from zentry.schema.billing import LedgerAccount, PriceUnit

_AVAILABLE: Final = LedgerAccount.AVAILABLE
_HELD: Final = LedgerAccount.HELD


class OpenAccount:
    """What a transaction has of one account. Open, act, write; all in one transaction."""

    def __init__(self, tx: Transaction, settings: BillingSettings, books: Books) -> None:
        self._tx = tx
        self._rows = BillingRepository(tx)
        self.now = whole_second(tx.now)
        self.books = books
        self.state = Account(
            settings=settings, new_id=tx.new_id, available=books.balance.available, due_at=books.meter_due_at
        )

        self._left: dict[UUID, int] = {}
        """What is written as left of the grants."""

    @classmethod
    async def open(cls, tx: Transaction, settings: BillingSettings, user_id: UUID, *, everything: bool = False) -> Self:
        """Lock the account and do what was due, however late that is; `everything` loads all that is metered."""
        account = cls(tx, settings, await Books.open(tx, user_id))
        if account.books.grants_end_at is not None:
            account.state.grants = await account._rows.list_ending_grants(user_id)
            account._left = {grant.id: grant.remaining for grant in account.state.grants}
        is_due = account.state.due_at is not None and account.state.due_at <= account.now
        if is_due or everything:
            account.state.courses = await account._load_courses()
        if is_due:
            account.state.advance(account.now)
            await account.write()
        return account

    @classmethod
    async def look(cls, tx: Transaction, settings: BillingSettings, user_id: UUID) -> Self:
        """Return the account as it is now, for looking ahead: nothing of it is to be written."""
        account = cls(tx, settings, await Books.look(tx, user_id))
        if account.books.grants_end_at is not None:
            account.state.grants = await account._rows.list_ending_grants(user_id)
        account.state.courses = await account._load_courses()
        if account.state.due_at is not None and account.state.due_at <= account.now:
            account.state.advance(account.now)
        return account

    async def find_covered(self, resource_id: UUID, *, meter: str) -> tuple[Covered, Course | None] | None:
        """Return the open hold of a resource and what is metered on it."""
        found = await self._rows.find_covered(resource_id, meter)
        if found is None:
            return None
        if found.segment is None:
            return found, None
        lists = await self._rows.list_price_lists(first=found.segment.price_version)
        return found, self.course(found.segment, hold_id=found.hold_id, lists=lists)

    def course(self, segment: Segment, *, hold_id: UUID, lists: Sequence[PriceList]) -> Course:
        """Return a segment of the account with the price lists that follow it."""
        after = [one for one in lists if one.version > segment.price_version]
        return Course(segment, hold_id, after, self.books.discount_basis_points)

    def close(self, course: Course, at: datetime) -> int:
        """Charge what was used and end the segment; return what was charged. The hold is the caller's to use."""
        already = len(self.state.journal)
        at = min(max(at, course.segment.charged_until), course.segment.paid_until)
        self.state.capture(course, at)
        self.state.journal.append(Ended(course, course.segment, at, None))
        return sum(entry.amount for entry in self.state.journal[already:] if isinstance(entry, Captured))

    async def write(self) -> None:
        """Write what has happened since the account was opened, or last written, into the books and the rows."""
        journal, self.state.journal = self.state.journal, []
        for entry in journal:
            match entry:
                case Captured():
                    await self._captured(entry)
                case Ended():
                    await self._ended(entry)
                case Renewed():
                    await self._renewed(entry)
                case Exhausted():
                    await self._rows.update_segment(entry.course.segment.id, exhausted_at=entry.at)
                case Lapsed():
                    await self._lapsed(entry)
        await self._save_grants()
        self.books.meter_due_at = self.state.due_at
        await self.books.save()

    async def _load_courses(self) -> list[Course]:
        covered = await self._rows.list_covered(self.books.user_id)
        if not covered:
            return []
        lists = await self._rows.list_price_lists(first=min(segment.price_version for segment, _ in covered))
        return [self.course(segment, hold_id=hold_id, lists=lists) for segment, hold_id in covered]

    async def _captured(self, entry: Captured) -> None:
        segment, amount = entry.segment, entry.amount
        to_second = segment.second_of(entry.until)
        if segment.rate_micros_per_hour:
            record_id = await self._rows.insert_line(
                user_id=segment.user_id,
                vm_id=segment.vm_id or segment.resource_id,
                project_id=segment.project_id,
                action_type=ActionType.VM_USAGE,
                amount=-amount,
                description=usage_text(segment, seconds=to_second - segment.second_of(segment.charged_until)),
                segment_id=segment.id,
                period_start=segment.charged_until,
                period_end=entry.until,
                rate_micros_per_hour=segment.rate_micros_per_hour,
                price_version=segment.price_version,
                resource_type=segment.resource_type,
                meter=segment.meter,
                unit=segment.unit,
                quantity=segment.quantity,
                price_micros=segment.price_micros,
                discount_basis_points=segment.discount_basis_points,
            )
            self.books.add_line()
            self.books.post(
                _HELD, LedgerAccount.REVENUE, amount, cause=f"usage:{segment.id}:{to_second}", record_id=record_id
            )
            await self._rows.change_hold(entry.course.hold_id, by=-amount)
            await self._rows.add_cost(
                resource_id=segment.vm_id or segment.resource_id,
                user_id=segment.user_id,
                project_id=segment.project_id,
                micros=amount,
            )
        await self._rows.update_segment(
            segment.id, charged_until=entry.until, charged_micros=segment.charged_micros + amount
        )

    async def _ended(self, entry: Ended) -> None:
        await self._rows.update_segment(entry.segment.id, ended_at=entry.at)
        if entry.following is not None:
            await self._rows.insert_segment(entry.following, after=(entry.segment.id, entry.at))

    async def _renewed(self, entry: Renewed) -> None:
        segment = entry.segment
        second = segment.second_of(entry.paid_until)
        if entry.amount >= 0:
            self.books.post(_AVAILABLE, _HELD, entry.amount, cause=f"renew:{segment.id}:{second}")
        else:
            self.books.post(_HELD, _AVAILABLE, -entry.amount, cause=f"release_excess:{segment.id}:{second}")
        if entry.amount:
            await self._rows.change_hold(entry.course.hold_id, by=entry.amount)
        await self._rows.update_segment(segment.id, paid_until=entry.paid_until)

    async def _lapsed(self, entry: Lapsed) -> None:
        await self._rows.close_grant(entry.grant, lapsed=entry.amount)
        if not entry.amount:
            return
        record_id = await self._rows.insert_line(
            user_id=self.books.user_id,
            action_type=ActionType.CREDIT_DEDUCT,
            amount=-entry.amount,
            description=f"Expired on {entry.grant.expires_at:%Y-%m-%d %H:%M} UTC: {entry.grant.reason}",
            unit="credit",
        )
        self.books.add_line()
        self.books.post(
            _AVAILABLE, LedgerAccount.GRANTS, entry.amount, cause=f"expire:{entry.grant.id}", record_id=record_id
        )

    async def _save_grants(self) -> None:
        if self.books.grants_end_at is None and not self.state.grants:
            return
        for grant in self.state.grants:
            if self._left.get(grant.id) != grant.remaining:
                await self._rows.update_grant(grant.id, remaining=grant.remaining)
            self._left[grant.id] = grant.remaining
        self.books.grants_end_at = self.state.grants[0].expires_at if self.state.grants else None


def usage_text(segment: Segment, *, seconds: int) -> str:
    """Return what a line for use says: what, how much, for how long, at which price for which unit."""
    price = segment.rate_micros_per_hour if segment.price_micros is None else segment.price_micros
    amount = money.format_credits(price)
    less = f" less {segment.discount_basis_points / 100:g} %" if segment.discount_basis_points else ""
    if segment.unit == PriceUnit.GIB_HOUR:
        what = f"{segment.meter.capitalize()} of {segment.resource_type}: {segment.quantity} GiB for {seconds} s"
        return f"{what} at {amount} per GiB and hour{less}"
    what = "Usage" if segment.meter == "compute" else segment.meter.capitalize()
    return f"{what} of {segment.resource_type}: {seconds} s at {amount} per hour{less}"
