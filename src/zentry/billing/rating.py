"""What an account's meters do to its money, second by second. Calculates, and asks nobody.

An account is advanced from one instant at which something is due to the next: a hold is renewed,
a price list takes effect, a grant ends, a machine cannot be paid any longer. Whoever touches the
account advances it first, the meter, a request or a forecast, so it makes no difference how late
that is. What happens is written into a journal, which the service then writes into the books.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from zentry.billing.types import BASIS_POINTS, COMPUTE, CREATE_FEE, KEPT, UNITS, Grant, PriceList, Resource, Segment
from zentry.platform import money
from zentry.platform.settings import BillingSettings
from zentry.schema.billing import PriceUnit

FREE_WINDOW: Final = timedelta(days=1)
"""How far ahead is looked at what costs nothing: a price list may put a price on it."""

# A hold lasts for as long as a machine runs, whatever its size and its price; what began at once goes by `place`.
_ORDERS: Final[Mapping[str, Callable[[Course, datetime], Any]]] = {
    "oldest": lambda course, _: (course.held_since, course.place),
    "newest": lambda course, _: (-course.held_since, course.place),
    "cheapest": lambda course, at: (course.rate_at(at), course.held_since, course.place),
    "dearest": lambda course, at: (-course.rate_at(at), course.held_since, course.place),
}
_METERS: Final = (COMPUTE, *KEPT)


@dataclass(frozen=True, slots=True)
class Captured:
    """Use that is charged from what is held for it."""

    course: Course
    segment: Segment
    """As it was before."""
    until: datetime
    amount: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A segment that has ended, and the one that follows it at once, if any."""

    course: Course
    segment: Segment
    at: datetime
    following: Segment | None


@dataclass(frozen=True, slots=True)
class Renewed:
    """Credit that is held for a further time; less than nothing is released."""

    course: Course
    segment: Segment
    amount: int
    paid_until: datetime


@dataclass(frozen=True, slots=True)
class Exhausted:
    """What cannot be paid any longer: the meter is to stop it."""

    course: Course
    at: datetime


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A grant that has ended, and what was left of it to take."""

    grant: Grant
    amount: int


Entry = Captured | Ended | Renewed | Exhausted | Lapsed


@dataclass(slots=True, eq=False)
class Course:
    """One meter of one resource: its open segment, and the price lists that follow."""

    segment: Segment
    hold_id: UUID
    lists: Sequence[PriceList]
    """Those after the segment's own, the earliest first."""
    discount_basis_points: int = 0
    """Of the account; the segment has that of its own time."""

    @property
    def is_running(self) -> bool:
        """Whether it can be stopped to save; else it is kept, and ends when its time without credit is over."""
        return self.segment.meter == COMPUTE

    @property
    def held_since(self) -> int:
        """The millisecond of its hold; the rest of an id is chance."""
        return self.hold_id.int >> 80

    @property
    def place(self) -> tuple[UUID, int]:
        """Where it comes among those of one millisecond: by the resource, the disk before the address."""
        return self.segment.resource_id, _METERS.index(self.segment.meter)

    @property
    def is_exhausted(self) -> bool:
        """Whether the meter has to stop it."""
        return self.segment.exhausted_at is not None

    def unpaid_from(self, at: datetime) -> datetime | None:
        """Return since when it is not paid, None where it is paid or free at an instant."""
        if self.is_exhausted:
            return self.segment.exhausted_at
        paid_until = self.segment.paid_until
        return paid_until if paid_until <= at and self.rate_at(paid_until) > 0 else None

    def pieces(self) -> Iterator[tuple[datetime, datetime | None, int]]:
        """Yield start, end and rate of each stretch at one rate, from the start of the segment on."""
        start, rate = self.segment.started_at, self.segment.rate_micros_per_hour
        for prices in self.lists:
            yield start, prices.effective_at, rate
            start, rate = prices.effective_at, self._rate(prices)
        yield start, None, rate

    def cost(self, start: datetime, end: datetime) -> int:
        """Return what the time between two instants costs, price changes in between included."""
        total = 0
        for begins, ends, rate in self.pieces():
            last = end if ends is None else min(end, ends)
            first = max(start, begins)
            if first < last:
                total += money.charge(
                    rate_micros_per_hour=rate, from_second=_seconds(begins, first), to_second=_seconds(begins, last)
                )
            if last == end:
                break
        return total

    def affordable(self, start: datetime, *, budget: int, most: timedelta) -> datetime:
        """Return until when a budget pays, at most so much longer."""
        limit = start + most
        for begins, ends, rate in self.pieces():
            first, last = max(start, begins), limit if ends is None else min(limit, ends)
            if first >= last:
                continue
            amount = self.cost(first, last)
            if amount > budget:
                seconds = money.affordable_seconds(
                    rate_micros_per_hour=rate, from_second=_seconds(begins, first), budget_micros=budget
                )
                return first + timedelta(seconds=seconds)
            budget -= amount
        return limit

    def rate_at(self, instant: datetime) -> int:
        """Return the rate that is in force at an instant."""
        found = self.segment.rate_micros_per_hour
        for begins, _, rate in self.pieces():
            if begins <= instant:
                found = rate
        return found

    def window(self, settings: BillingSettings) -> timedelta:
        """Return for how long credit is held next; what is free is looked at again before it costs something."""
        start, ahead = self.segment.paid_until, FREE_WINDOW
        for begins, ends, rate in self.pieces():
            if rate > 0 and (ends is None or ends > start):
                ahead = min(ahead, max(begins - start, timedelta(0)))
        return ahead or timedelta(seconds=settings.window_seconds)

    def following(self, prices: PriceList, *, segment_id: UUID) -> Segment:
        """Return the segment that a price list opens where this one ends."""
        return replace(
            self.segment,
            id=segment_id,
            price_version=prices.version,
            price_micros=prices.price(self.segment.item),
            discount_basis_points=self.discount_basis_points,
            rate_micros_per_hour=self._rate(prices),
            started_at=prices.effective_at,
            charged_until=prices.effective_at,
            charged_micros=0,
        )

    def _rate(self, prices: PriceList) -> int:
        return prices.rate(
            self.segment.item, quantity=self.segment.quantity, discount_basis_points=self.discount_basis_points
        )


@dataclass(slots=True)
class Account:
    """An account's money and everything that is metered for it, at one instant and from there on."""

    settings: BillingSettings
    new_id: Callable[[], UUID]
    available: int
    due_at: datetime | None
    courses: list[Course] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    """Those that end, the first to end first: what is spent is taken from them in this order."""
    journal: list[Entry] = field(default_factory=list)
    lapsed: int = 0
    """What was taken back of grants that have ended."""

    def copy(self) -> Account:
        """Return one that can be run ahead."""
        return replace(self, courses=[replace(course) for course in self.courses], grants=list(self.grants), journal=[])

    def advance(self, until: datetime) -> None:
        """Do what was due until an instant, each at its own time; then charge what was used of what was renewed."""
        touched: list[Course] = []
        while self.due_at is not None and self.due_at <= until:
            touched += self.step(until)
        for course in dict.fromkeys(touched):
            self.capture(course, until)

    def step(self, until: datetime) -> list[Course]:
        """Do what is due at the next instant, or as much as can be done at once; return what was renewed."""
        assert self.due_at is not None, "something is due"
        leapt = self._leap(until)
        at = self.due_at
        self._end_grants(at)
        renewed = self._renew(at)
        self.due_at = self._next_due(at)
        return leapt + renewed

    def capture(self, course: Course, until: datetime) -> None:
        """Charge what was used until an instant, each price list's part as a segment of its own."""
        until = min(until, course.segment.paid_until)
        while course.lists and course.lists[0].effective_at <= until:
            prices = course.lists[0]
            self._charge(course, prices.effective_at)
            self._replace(course, course.following(prices, segment_id=self.new_id()), at=prices.effective_at)
            course.lists = course.lists[1:]
        self._charge(course, until)

    def end(self, course: Course, at: datetime) -> int:
        """Charge what was used, end the segment and let go of the rest of what is held; return that rest."""
        at = min(max(at, course.segment.charged_until), course.segment.paid_until)
        self.capture(course, at)
        rest = course.cost(at, course.segment.paid_until)
        self.available += rest
        self.courses.remove(course)
        self.journal.append(Ended(course, course.segment, at, None))
        return rest

    def spend(self, amount: int) -> None:
        """Take what is spent from the grants that end, the first to end first."""
        for place, grant in enumerate(self.grants):
            taken = min(amount, grant.remaining)
            self.grants[place] = replace(grant, remaining=grant.remaining - taken)
            amount -= taken

    def plan(self, course: Course) -> None:
        """See to it that the account is looked at when a new course has to be renewed."""
        due = max(self._renew_at(course), course.segment.started_at)
        self.due_at = due if self.due_at is None else min(self.due_at, due)

    def begin(self, course: Course) -> None:
        """Begin to meter what runs: a first window is held."""
        self.courses.append(course)
        self._hold(course, course.segment.started_at + course.window(self.settings))
        self.plan(course)

    def pay(self, amount: int) -> None:
        """Pay something at once."""
        self.available -= amount
        self.spend(amount)

    def left(self, at: datetime) -> int:
        """Return the balance without what was used until an instant, charged or not."""
        return self.available + sum(
            course.cost(max(at, course.segment.charged_until), course.segment.paid_until)
            for course in self.courses
            if course.segment.paid_until > at
        )

    def keep(self, course: Course) -> None:
        """Begin to meter what is kept: for a window if that can be paid, and else unpaid until it can."""
        start = course.segment.started_at
        until = start + course.window(self.settings)
        self.courses.append(course)
        if course.cost(start, until) <= self.available:
            self._hold(course, until)
        self.plan(course)

    def add_grant(self, grant: Grant) -> None:
        """Take from a grant what is spent from now on, and see to its end."""
        self.grants = sorted([*self.grants, grant], key=lambda one: (one.expires_at, one.id))
        self.due_at = grant.expires_at if self.due_at is None else min(self.due_at, grant.expires_at)

    def reprice(self, course: Course, at: datetime, *, discount_basis_points: int) -> None:
        """Go on at the rate with another discount from an instant on, as long as what is held pays for it."""
        at = min(max(at, course.segment.charged_until), course.segment.paid_until)
        self.capture(course, at)
        course.discount_basis_points = discount_basis_points
        if course.is_exhausted:
            return
        before = course.segment
        covered = course.cost(at, before.paid_until)
        price = before.rate_micros_per_hour if before.price_micros is None else before.price_micros
        rate = price * before.quantity * (BASIS_POINTS - discount_basis_points) // BASIS_POINTS
        following = replace(
            before,
            id=self.new_id(),
            price_micros=price,
            rate_micros_per_hour=rate,
            discount_basis_points=discount_basis_points,
            started_at=at,
            charged_until=at,
            charged_micros=0,
        )
        self._replace(course, following, at=at)
        until = course.affordable(at, budget=covered, most=before.paid_until - at)
        amount = course.cost(at, until) - covered
        self.available -= amount
        course.segment = replace(following, paid_until=until)
        self.journal.append(Renewed(course, following, amount, until))
        self.plan(course)

    def accrued(self, at: datetime) -> int:
        """Return what was used until an instant and is not charged yet."""
        return sum(
            course.cost(course.segment.charged_until, max(course.segment.charged_until, _end(course, at)))
            for course in self.courses
        )

    def rate(self, at: datetime) -> int:
        """Return what everything costs per hour at an instant."""
        return sum(course.rate_at(at) for course in self.courses if course.segment.paid_until > at)

    # Parts

    def _renew(self, at: datetime) -> list[Course]:
        renewed = []
        horizon = at + timedelta(seconds=self.settings.renew_before_seconds + self.settings.window_seconds)
        kept = 0  # For what comes before, until it would be renewed again.
        for course in self._in_order(at):
            before = course.segment
            if course.is_exhausted:
                continue
            if before.paid_until <= at and not course.is_running:
                self._take_up_again(course, at, budget=self.available - kept)
            elif self._renew_at(course) <= at:
                budget = max(0, self.available - kept)
                self._hold(
                    course, course.affordable(before.paid_until, budget=budget, most=course.window(self.settings))
                )
            if course.segment.paid_until > at:
                kept += course.cost(course.segment.paid_until, horizon)
            if course.segment is not before:
                renewed.append(course)
        for course in self.courses:
            if course.is_running and not course.is_exhausted and self._suspend_at(course) <= at:
                self._exhaust(course, at)
                renewed.append(course)
        return renewed

    def _take_up_again(self, course: Course, at: datetime, *, budget: int) -> None:
        """Go on with what was kept without being paid, from here on, if a whole window can be paid."""
        prices = None
        for candidate in course.lists:
            prices = candidate if candidate.effective_at <= at else prices
        self.capture(course, course.segment.paid_until)
        following = replace(course.segment, id=self.new_id(), started_at=at, charged_until=at, charged_micros=0)
        if prices is not None:
            following = replace(course.following(prices, segment_id=following.id), started_at=at, charged_until=at)
        following = replace(following, paid_until=at)
        ahead = Course(
            following,
            course.hold_id,
            [one for one in course.lists if one.effective_at > at],
            course.discount_basis_points,
        )
        most = ahead.window(self.settings)
        if ahead.cost(at, at + most) > budget:
            return
        self._replace(course, following, at=course.segment.paid_until)
        course.lists = ahead.lists
        self._hold(course, at + most)

    def _exhaust(self, course: Course, at: datetime) -> None:
        end = max(min(at, course.segment.paid_until), course.segment.charged_until)
        self._hold(course, end)
        course.segment = replace(course.segment, exhausted_at=end)
        self.journal.append(Exhausted(course, end))

    def _hold(self, course: Course, until: datetime) -> None:
        """Hold what is needed until an instant, or let go of what is held beyond it."""
        paid_until = course.segment.paid_until
        amount = course.cost(paid_until, until) if until >= paid_until else -course.cost(until, paid_until)
        if until == paid_until:
            return
        self.available -= amount
        before, course.segment = course.segment, replace(course.segment, paid_until=until)
        self.journal.append(Renewed(course, before, amount, until))

    def _charge(self, course: Course, until: datetime) -> None:
        segment = course.segment
        if until <= segment.charged_until:
            return
        amount = course.cost(segment.charged_until, until)
        self.spend(amount)
        course.segment = replace(segment, charged_until=until, charged_micros=segment.charged_micros + amount)
        self.journal.append(Captured(course, segment, until, amount))

    def _replace(self, course: Course, following: Segment, *, at: datetime) -> None:
        ended, course.segment = course.segment, following
        self.journal.append(Ended(course, ended, at, following))

    def _end_grants(self, at: datetime) -> None:
        if not self.grants or self.grants[0].expires_at > at:
            return
        for course in self.courses:  # What was used so far was paid by the grant as long as it was there.
            self.capture(course, at)
        while self.grants and self.grants[0].expires_at <= at:
            grant = self.grants.pop(0)
            amount = min(grant.remaining, self.available)
            self.available -= amount
            self.lapsed += amount
            self.journal.append(Lapsed(grant, amount))

    def _next_due(self, at: datetime) -> datetime | None:
        due = [self._due(course, at) for course in self.courses if not course.is_exhausted]
        return min((*due, *(grant.expires_at for grant in self.grants[:1])), default=None)

    def _due(self, course: Course, at: datetime) -> datetime:
        renew_at = self._renew_at(course)
        if renew_at > at:
            return renew_at
        last = self._suspend_at(course) if course.is_running else course.segment.paid_until
        return last if last > at else at + timedelta(seconds=self.settings.window_seconds)

    def _renew_at(self, course: Course) -> datetime:
        return course.segment.paid_until - timedelta(seconds=self.settings.renew_before_seconds)

    def _suspend_at(self, course: Course) -> datetime:
        return course.segment.paid_until - timedelta(seconds=self.settings.suspend_before_seconds)

    def _in_order(self, at: datetime) -> list[Course]:
        """What is kept comes before what runs, and that in the order of the settings."""
        order = _ORDERS[self.settings.renew_first]
        return sorted(self.courses, key=lambda course: (course.is_running, order(course, at)))

    def _leap(self, until: datetime) -> list[Course]:
        """Renew everything several times at once, as long as there is plenty and nothing else happens.

        The charges of parts add up to the charge of the whole, so the outcome is that of the single steps.
        """
        costly = [course for course in self.courses if course.rate_at(course.segment.paid_until) > 0]
        assert self.due_at is not None, "something is due"
        if not costly or any(course.is_exhausted or course.segment.paid_until <= self.due_at for course in costly):
            return []
        window = timedelta(seconds=self.settings.window_seconds)
        free = (self._renew_at(course) for course in self.courses if course not in costly)
        limit = min((until, *free, *(grant.expires_at for grant in self.grants[:1])))
        turns = sorted(map(self._renew_at, costly))
        if turns[-1] - turns[0] >= window:
            return []  # The last would be paid ahead of what the first needs before it.
        times = (limit - turns[-1]) // window
        for course in self.courses:
            for prices in course.lists:
                if prices.effective_at > course.segment.paid_until:
                    times = min(times, (prices.effective_at - course.segment.paid_until) // window)
                    break
        whole = sum(
            -(-course.rate_at(course.segment.paid_until) * self.settings.window_seconds // money.SECONDS_PER_HOUR)
            for course in costly
        )
        ahead = 3 + self.settings.renew_before_seconds // self.settings.window_seconds
        times = min(times, self.available // whole - ahead)  # Each is left what it keeps for those before it.
        if times < 2:  # noqa: PLR2004 - one step is what follows anyway
            return []
        for course in costly:
            self._hold(course, course.segment.paid_until + window * times)
        return costly


def _seconds(start: datetime, end: datetime) -> int:
    return int((end - start).total_seconds())


def _end(course: Course, at: datetime) -> datetime:
    return min(at, course.segment.paid_until)


NO_HOLD: Final = UUID(int=0)


def opened(
    resource: Resource,
    prices: PriceList,
    *,
    segment_id: UUID,
    at: datetime,
    discount_basis_points: int,
    meter: str = COMPUTE,
) -> Segment:
    """Return the segment of what begins to be metered, not paid for yet."""
    item, quantity = (resource.type, 1) if meter == COMPUTE else (meter, resource.kept()[meter])
    return Segment(
        id=segment_id,
        user_id=resource.user_id,
        project_id=resource.project_id,
        resource_id=resource.id,
        resource_type=resource.type,
        price_version=prices.version,
        rate_micros_per_hour=prices.rate(item, quantity=quantity, discount_basis_points=discount_basis_points),
        started_at=at,
        paid_until=at,
        charged_until=at,
        charged_micros=0,
        meter=meter,
        unit=UNITS.get(item, PriceUnit.HOUR),
        quantity=quantity,
        price_micros=prices.price(item),
        discount_basis_points=discount_basis_points,
        vm_id=resource.vm_id,
    )


def first_hold(course: Course, prices: PriceList, *, settings: BillingSettings, with_fee: bool) -> tuple[int, int]:
    """Return what is held when a machine is asked for, and how much has to be available for that."""
    start = course.segment.started_at
    amount = course.cost(start, start + course.window(settings)) + (prices.price(CREATE_FEE) if with_fee else 0)
    return amount, max(amount, money.from_credits(settings.minimum_credits) if with_fee else 0)
