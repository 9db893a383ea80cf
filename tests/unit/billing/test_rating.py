"""The meters' arithmetic: one long look gives what many short ones give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count, product
from random import Random
from uuid import UUID

import pytest

from zentry.billing.prospects import credit_ends_at
from zentry.billing.rating import Account, Captured, Course, Exhausted, opened
from zentry.billing.types import Grant, PriceList, Resource
from zentry.platform.settings import BillingSettings

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORDERS = ("oldest", "newest", "cheapest", "dearest")


def _lists(random: Random) -> PriceList:
    lists = []
    for version in range(1, 4):
        micros = {item: random.choice((0, 1, 7, 50_000, 170_000, 333_333)) for item in ("small", "large")}
        at = START - timedelta(days=1) if version == 1 else START + timedelta(seconds=random.randrange(400_000))
        lists.append(PriceList(version, "USD", micros, at))
    first, *following = sorted(lists, key=lambda one: one.effective_at)
    return PriceList(1, "USD", first.micros, first.effective_at, tuple(following))


def _account(seed: int) -> Account:
    random = Random(seed)
    numbers = count(1)
    prices = _lists(random)
    discount = random.choice((0, 0, 1250))
    settings = BillingSettings(renew_first=ORDERS[seed % len(ORDERS)])
    account = Account(settings, lambda: UUID(int=next(numbers)), random.choice((0, 70_000, 3_000_000)), None)
    for number in range(random.randrange(1, 5)):
        resource = Resource(UUID(int=number), UUID(int=1), UUID(int=2), "vm", random.choice(("small", "large")))
        at = START - timedelta(seconds=random.randrange(3000))
        segment = opened(resource, prices, segment_id=account.new_id(), at=at, discount_basis_points=discount)
        course = Course(segment, UUID(int=number), prices.following, discount)
        course.segment = segment.__class__(
            **{name: getattr(segment, name) for name in segment.__slots__} | {"paid_until": at + timedelta(hours=1)}
        )
        account.courses.append(course)
        account.plan(course)
    for days in (1, 3):
        if random.random() < 0.5:
            granted = Grant(account.new_id(), "", min(account.available, 40_000), START + timedelta(days=days))
            account.add_grant(granted)
    return account


def _outcome(account: Account, at: datetime) -> object:
    for course in account.courses:
        account.capture(course, at)
    charged = sum(entry.amount for entry in account.journal if isinstance(entry, Captured))
    stopped = {entry.course.segment.resource_id: entry.at for entry in account.journal if isinstance(entry, Exhausted)}
    paid = [(course.segment.resource_id, course.segment.paid_until) for course in account.courses]
    return account.available, charged, stopped, paid, [(one.id, one.remaining) for one in account.grants]


@pytest.mark.parametrize("seeds", [range(100), pytest.param(range(100, 3_000), marks=pytest.mark.long)])
def test_an_account_that_is_looked_at_once_a_week_goes_as_one_that_is_looked_at_all_the_time(seeds: range) -> None:
    for seed in seeds:
        _goes_the_same(seed)


def _goes_the_same(seed: int) -> None:
    random = Random(seed)
    until = START + timedelta(days=7)
    once, often = _account(seed), _account(seed)

    once.advance(until)
    at = START
    while at < until:
        often.advance(at)
        assert often.available >= 0
        at += timedelta(seconds=random.choice((5, 30, 700, 3600, 40_000)))
    often.advance(until)

    assert _outcome(once, until) == _outcome(often, until), f"seed {seed}"


def test_the_credit_ends_in_the_second_in_which_the_first_machine_is_stopped() -> None:
    for seed, more in product(range(60), (0, 1_000_000, 30_000_000)):
        account = _account(seed)
        account.available += more

        expected = credit_ends_at(account, START, within=timedelta(days=7))
        account.advance(START + timedelta(days=7))

        stopped = [entry.at for entry in account.journal if isinstance(entry, Exhausted)]
        assert expected == min(stopped, default=None), f"seed {seed}, {more} more"


@pytest.mark.parametrize("first", ORDERS)
def test_what_began_in_one_millisecond_has_an_order_of_its_own(first: str) -> None:
    prices = PriceList(1, "USD", {"storage": 60, "address": 1_200}, START - timedelta(days=1))
    resource = Resource(UUID(int=1 << 100), UUID(int=1), UUID(int=2), "vm", "small", storage_gib=20, addresses=1)
    paid = {}
    for chance in ((1, 2), (2, 1)):  # The rest of an id says nothing.
        account = Account(BillingSettings(renew_first=first), lambda: UUID(int=9), 700, START)
        for meter, number in zip(("storage", "address"), chance, strict=True):
            at = START + timedelta(minutes=1)
            segment = opened(resource, prices, segment_id=UUID(int=number), at=at, discount_basis_points=0, meter=meter)
            account.courses.append(Course(segment, UUID(int=(77 << 80) + number), ()))
        account.step(START)
        paid[chance] = {course.segment.meter: course.segment.paid_until for course in account.courses}

    assert paid[1, 2] == paid[2, 1]
    assert paid[1, 2]["storage"] > paid[1, 2]["address"]
