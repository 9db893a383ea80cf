"""What a plan would do to an account's money. Calculates, and asks nobody.

The plan is played against `rating`, the code by which everybody is charged, from the account as it
is. A machine of a plan runs from the instant at which it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final
from uuid import UUID

from zentry.billing.errors import ForecastTooLarge
from zentry.billing.rating import Account, Course, first_hold, opened
from zentry.billing.types import CREATE_FEE, PriceList, Resource

MOST_STEPS: Final = 2_000
MOST_RENEWALS: Final = 5_000
_LATER: Final = 1 << 127
"""Machines of a plan sort after all that are there."""
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlannedMachine:
    """A machine that is to be, and the minutes of the day (UTC) at which it is stopped and started."""

    name: str
    instance_type: str
    create_at: datetime
    delete_at: datetime | None = None
    stop_minute: int | None = None
    start_minute: int | None = None


@dataclass(frozen=True, slots=True)
class PresentMachine:
    """A machine that the account has, or a snapshot, which never runs."""

    resource: Resource
    out_of_credit_since: datetime | None
    is_protected: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen until an instant."""

    until: datetime
    machines: Sequence[PlannedMachine] = ()
    credits: Sequence[tuple[datetime, int]] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """The account at an instant: what is left of it, what could be spent or held, and what it costs by then."""

    at: datetime
    left: int
    available: int
    rate_micros_per_hour: int
    spent: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that would not go as planned."""

    at: datetime
    what: str
    name: str
    required: int | None = None
    available: int | None = None


@dataclass(slots=True)
class Forecast:
    """The outcome of a plan."""

    points: list[Point] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)


@dataclass(slots=True)
class _Machine:
    resource: Resource
    running: Course | None = None
    kept: list[Course] = field(default_factory=list)
    stopped_at: datetime | None = None
    """Where it stands still for credit."""
    is_there: bool = False
    is_protected: bool = False

    def over_at(self, grace: timedelta, *, at: datetime) -> datetime | None:
        """Return when it is removed if it goes on without credit; what is paid, or free until then, may be later."""
        if self.is_protected or not self.is_there or not grace:
            return None
        ends = [one.segment.paid_until + grace for one in self.kept if one.segment.paid_until > at or _is_unpaid(one)]
        return min(ends if self.stopped_at is None else [self.stopped_at + grace, *ends], default=None)


class Rehearsal:
    """Plays a plan. One use only."""

    def __init__(
        self,
        account: Account,
        plan: Plan,
        *,
        now: datetime,
        prices: PriceList,
        discount: int,
        disks: Mapping[str, int],
        present: Sequence[PresentMachine] = (),
    ) -> None:
        self._account = account
        self._plan = plan
        self._now = now
        self._prices = prices
        self._discount = discount
        self._numbers = count()
        in_order = sorted(range(len(plan.machines)), key=lambda number: plan.machines[number].create_at)
        ids = {number: UUID(int=_LATER + place) for place, number in enumerate(in_order)}
        self._machines = [
            _Machine(
                Resource(
                    ids[number], UUID(int=0), UUID(int=0), one.name, one.instance_type, disks[one.instance_type], 1
                )
            )
            for number, one in enumerate(plan.machines)
        ]
        self._machines += [self._present(one) for one in present]
        self._grace = timedelta(days=account.settings.grace_days)
        self._forecast = Forecast()
        self._added = 0
        self._start = account.left(now)
        self._renewals = 0
        self._over_at: datetime | None = None
        """Nothing is removed for want of credit before."""
        account.new_id = lambda: self._id(now)
        for machine in self._machines[len(plan.machines) :]:
            if machine.running is None:
                self._keep(machine, now)  # What gets a price is metered as soon as that is announced.
                self._watch(machine, now)

    def play(self) -> Forecast:
        """Return what comes of the plan, or raise `ForecastTooLarge`."""
        for at, kind, what in sorted(self._steps(), key=lambda step: (step[0], _ORDER[step[1]])):
            self._advance(at)
            match kind:
                case "create":
                    self._create(self._machines[what], at)
                case "start":
                    self._start_again(self._machines[what], at, why="start refused")
                case "stop":
                    self._stop(self._machines[what], at)
                case "delete":
                    self._delete(self._machines[what], at)
                case "credit":
                    self._add(what, at)
                case _:
                    self._point(at)
        return self._forecast

    def _steps(self) -> Iterator[tuple[datetime, str, int]]:
        yield from _bounded(self._all_steps())

    def _all_steps(self) -> Iterator[tuple[datetime, str, int]]:
        until = self._plan.until
        for number, machine in enumerate(self._plan.machines):
            end = until if machine.delete_at is None else min(until, machine.delete_at)
            yield machine.create_at, "create", number
            if machine.delete_at is not None and machine.delete_at <= until:
                yield machine.delete_at, "delete", number
            for minute, kind in ((machine.stop_minute, "stop"), (machine.start_minute, "start")):
                if minute is not None:
                    yield from ((at, kind, number) for at in _daily(machine.create_at, end, minute=minute))
        yield from ((at, "credit", amount) for at, amount in self._plan.credits if at <= until)
        at = self._now
        while at < until:
            yield at, "point", 0
            at += _DAY
        yield until, "point", 0

    def _present(self, one: PresentMachine) -> _Machine:
        metered = [course for course in self._account.courses if course.segment.resource_id == one.resource.id]
        return _Machine(
            replace(one.resource, name=str(one.resource.id)),
            next((course for course in metered if course.is_running), None),
            [course for course in metered if not course.is_running],
            one.out_of_credit_since,
            is_there=True,
            is_protected=one.is_protected,
        )

    def _advance(self, at: datetime) -> None:
        account = self._account
        while True:
            over_at = self._over_at
            until = at if over_at is None else min(at, over_at)
            if account.due_at is not None and account.due_at <= until:
                self._step(until)
            elif over_at is not None and over_at <= at:
                self._remove_over(over_at)
            else:
                break

    def _remove_over(self, at: datetime) -> None:
        """Remove what has stood still without credit for the grace, and look when the next may be."""
        self._count_renewal()
        for machine in self._machines:
            over_at = machine.over_at(self._grace, at=at)
            if over_at is not None and over_at <= at:
                self._delete(machine, at)
        self._over_at = None
        for machine in self._machines:
            self._watch(machine, at)

    def _watch(self, machine: _Machine, at: datetime) -> None:
        """See to it that nothing is removed later than it should be; earlier it is only looked at."""
        over_at = machine.over_at(self._grace, at=at)
        if over_at is not None:
            self._over_at = over_at if self._over_at is None else min(self._over_at, over_at)

    def _count_renewal(self) -> None:
        self._renewals += 1
        if self._renewals > MOST_RENEWALS:
            raise ForecastTooLarge("It takes too many renewals of what is held")

    def _step(self, until: datetime) -> None:
        account = self._account
        self._count_renewal()
        assert account.due_at is not None, "something is due"
        due = account.due_at
        account.step(until)
        account.journal.clear()
        for machine in self._machines:
            if machine.running is not None and machine.running.is_exhausted:
                self._trouble(due, "stopped for credit", machine)
                self._stop(machine, due)
                machine.stopped_at = due
                self._watch(machine, due)

    def _create(self, machine: _Machine, at: datetime) -> None:
        course = self._open(machine, at)
        prices = self._prices.at(at)
        amount, required = first_hold(course, prices, settings=self._account.settings, with_fee=True)
        del amount
        if required > self._account.available:
            self._trouble(at, "create refused", machine, required=required)
            return
        self._account.pay(prices.price(CREATE_FEE))
        machine.is_there = True
        self._begin(machine, course)

    def _start_again(self, machine: _Machine, at: datetime, *, why: str | None) -> bool:
        if not machine.is_there or machine.running is not None:
            return False
        course = self._open(machine, at)
        amount, required = first_hold(course, self._prices.at(at), settings=self._account.settings, with_fee=False)
        del amount
        if required > self._account.available:
            if why is not None:
                self._trouble(at, why, machine, required=required)
            return False
        for kept in machine.kept:
            self._account.end(kept, at)
        machine.kept, machine.stopped_at = [], None
        self._begin(machine, course)
        return True

    def _stop(self, machine: _Machine, at: datetime) -> None:
        if machine.running is None:
            return
        self._account.end(machine.running, at)
        machine.running = None
        self._keep(machine, at)
        self._watch(machine, at)

    def _keep(self, machine: _Machine, at: datetime) -> None:
        """Meter what stands still, as far as it has a price or is to have one, and is not metered already."""
        prices = self._prices.at(at)
        lists = (prices, *prices.following)
        metered = {course.segment.meter for course in machine.kept}
        for meter, amount in machine.resource.kept().items():
            if amount and meter not in metered and any(one.price(meter) for one in lists):
                kept = self._open(machine, at, meter=meter)
                self._account.keep(kept)
                machine.kept.append(kept)

    def _delete(self, machine: _Machine, at: datetime) -> None:
        for course in (*machine.kept, *((machine.running,) if machine.running else ())):
            self._account.end(course, at)
        machine.running, machine.kept, machine.stopped_at, machine.is_there = None, [], None, False

    def _add(self, amount: int, at: datetime) -> None:
        account = self._account
        account.available += amount
        self._added += amount
        account.due_at = at if account.due_at is not None else None
        self._advance(at)
        if not account.settings.resume_on_credit:
            return
        waiting = [(machine.stopped_at, machine) for machine in self._machines if machine.stopped_at is not None]
        # The last that was stopped is the first that starts.
        for _, machine in sorted(waiting, key=lambda one: (at - one[0], one[1].resource.id)):
            self._start_again(machine, at, why=None)

    def _open(self, machine: _Machine, at: datetime, *, meter: str = "compute") -> Course:
        prices = self._prices.at(at)
        segment = opened(
            machine.resource, prices, segment_id=self._id(at), at=at, discount_basis_points=self._discount, meter=meter
        )
        return Course(segment, self._id(at), prices.following, self._discount)

    def _begin(self, machine: _Machine, course: Course) -> None:
        self._account.begin(course)
        machine.running = course

    def _point(self, at: datetime) -> None:
        left = self._account.left(at)
        spent = self._start + self._added - self._account.lapsed - left
        point = Point(at, left, self._account.available, self._account.rate(at), spent)
        self._forecast.points.append(point)

    def _trouble(self, at: datetime, what: str, machine: _Machine, *, required: int | None = None) -> None:
        available = None if required is None else self._account.available
        self._forecast.troubles.append(Trouble(at, what, machine.resource.name, required, available))

    def _id(self, at: datetime) -> UUID:
        """Return an id that begins with its millisecond, as those of the platform do."""
        return UUID(int=(int(at.timestamp() * 1_000) << 80) + next(self._numbers))


_ORDER: Final = {"delete": 0, "stop": 1, "credit": 2, "create": 3, "start": 4, "point": 5}
"""What gives credit comes before what takes some, where both happen in one second."""


def _is_unpaid(course: Course) -> bool:
    return course.rate_at(course.segment.paid_until) > 0


def _bounded(steps: Iterator[tuple[datetime, str, int]]) -> Iterator[tuple[datetime, str, int]]:
    for number, step in enumerate(steps, start=1):
        if number > MOST_STEPS:
            raise ForecastTooLarge(f"The plan has more than {MOST_STEPS:,} steps")
        yield step


def _daily(after: datetime, until: datetime, *, minute: int) -> Iterator[datetime]:
    at = datetime(after.year, after.month, after.day, tzinfo=UTC) + timedelta(minutes=minute)
    while at < until:
        if at > after:
            yield at
        at += _DAY
