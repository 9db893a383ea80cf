"""Guessing: nobody learns who has an account (R15), gets many guesses, or locks an owner out by them (R16)."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from tests.unit.accounts.world import ADA, FAST, HOME, PASSWORD, World, open_world
from zentry.accounts.errors import TooManyFailures, WrongCredentials
from zentry.accounts.passwords import Hasher
from zentry.accounts.proof import MOST_GUESSES
from zentry.accounts.types import Client
from zentry.platform.errors import ZentryError
from zentry.platform.settings import SecuritySettings
from zentry.schema.accounts import users

DAYS = 30
GUESSES_A_DAY = 4


@dataclass
class CountingHasher:
    """A hasher that counts how often it is asked."""

    inner: Hasher
    calls: Counter[str] = field(default_factory=Counter)

    async def hash(self, password: str) -> str:
        self.calls["hash"] += 1
        return await self.inner.hash(password)

    async def verify(self, password: str, hashed: str | None) -> bool:
        self.calls["verify"] += 1
        return await self.inner.verify(password, hashed)

    def close(self) -> None:
        """Nothing; who made the inner one closes it."""

    def is_outdated(self, hashed: str) -> bool:
        return self.inner.is_outdated(hashed)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url) as opened:
        yield opened


def place(number: int) -> Client:
    """Return a client in a network of its own."""
    return Client(address=f"198.{18 + number // 65536 % 2}.{number // 256 % 256}.{number % 256}", user_agent="guess")


@contextlib.contextmanager
def statements() -> Iterator[list[str]]:
    """Give what is sent to any database meanwhile, the ends of transactions included."""
    ran: list[str] = []

    def note(*arguments: Any) -> None:
        ran.append(str(arguments[2]) if len(arguments) > 2 else "end")

    for name in ("before_cursor_execute", "commit", "rollback"):
        sa.event.listen(sa.Engine, name, note, named=False)
    try:
        yield ran
    finally:
        for name in ("before_cursor_execute", "commit", "rollback"):
            sa.event.remove(sa.Engine, name, note)


async def outcome(world: World, email: str, password: str, client: Client) -> tuple[type[Exception] | None, str]:
    try:
        await world.auth.login(email=email, password=password, client=client)
    except ZentryError as error:
        return type(error), error.message
    return None, ""


@pytest.mark.parametrize("rounds", [10, pytest.param(80, marks=pytest.mark.long)])
async def test_every_kind_of_account_costs_the_same_hashes_and_gets_the_same_answer(world: World, rounds: int) -> None:
    """R15: known, unknown, deactivated, unconfirmed and impossible e-mails in turn, each from a network of its own."""
    for name in ("known", "closed", "unconfirmed"):
        await world.auth.signup(email=f"{name}@example.com", name=ADA["name"], password=PASSWORD, client=HOME)
    await world.change(sa.update(users).where(users.c.email == "closed@example.com").values(is_active=False))
    await world.change(sa.update(users).where(users.c.email == "unconfirmed@example.com").values(welcome_pending=True))
    inner = world.hasher
    counting = CountingHasher(inner)
    world.hasher = counting  # type: ignore[assignment]  # the world hands on whatever hashes
    emails = [f"{name}@example.com" for name in ("known", "closed", "unconfirmed", "nobody")] + ["no address"]
    answers: dict[str, set[Any]] = defaultdict(set)
    hashes: dict[str, Counter[str]] = defaultdict(Counter)
    ran: dict[str, list[str]] = defaultdict(list)

    for number in range(rounds):
        for at, email in enumerate(emails):
            before = Counter(counting.calls)
            with statements() as run:
                answers[email].add(await outcome(world, email, f"guess {number}", place(number * 10 + at)))
            hashes[email] += counting.calls - before
            ran[email] += run

    assert set(map(frozenset, answers.values())) == {frozenset({(WrongCredentials, "Invalid email or password")})}
    assert [dict(hashes[email]) for email in emails] == [{"verify": rounds}] * len(emails)
    assert len(set(map(tuple, ran.values()))) == 1, "the same statements and commits, in the same order"
    assert len(ran["nobody@example.com"]) > rounds * 6
    locked: dict[str, list[Any]] = {}
    at_home: dict[str, list[str]] = {}
    for email in emails:
        with statements() as run:
            for number in range(5):
                await outcome(world, email, f"guess {number}", HOME)
        at_home[email] = run
        before = Counter(counting.calls)
        locked[email] = [await outcome(world, email, PASSWORD, HOME), counting.calls - before]
    assert all(told == [(TooManyFailures, told[0][1]), Counter()] for told in locked.values())
    assert len({told[0][1] for told in locked.values()}) == 1
    assert len({len(run) for run in at_home.values()}) == 1, "nor does the owner's own network learn it"
    inner.close()


async def test_an_attacker_gets_a_hundred_guesses_in_thirty_days_from_however_many_networks(world: World) -> None:
    """R16, the attacker: four guesses a day at an account and at none, each from another network."""
    await world.auth.signup(**ADA, client=HOME)
    tried = {email: Counter[Any]() for email in (ADA["email"], "nobody@example.com")}
    number = 0

    for _ in range(DAYS):
        for email, counts in tried.items():
            for _ in range(GUESSES_A_DAY):
                number += 1
                counts[(await outcome(world, email, f"guess {number}", place(number)))[0]] += 1
        world.clock.advance(timedelta(days=1))

    assert tried[ADA["email"]] == tried["nobody@example.com"]
    assert tried[ADA["email"]][WrongCredentials] == MOST_GUESSES
    assert tried[ADA["email"]][TooManyFailures] == DAYS * GUESSES_A_DAY - MOST_GUESSES


async def test_the_owner_gets_in_from_a_known_network_or_device_whatever_an_attacker_does(world: World) -> None:
    """R16, the owner: at home, and on a phone that has been here before, in another network each day."""
    random = Random(16)
    issued = await world.auth.signup(**ADA, client=HOME)
    phone = issued.access_token
    number, owner, attacker = 0, Counter[str](), Counter[Any]()

    for day in range(DAYS):
        for _ in range(GUESSES_A_DAY):
            number += 1
            attacker[(await outcome(world, ADA["email"], f"guess {number}", place(number)))[0]] += 1
        somewhere = replace(place(50_000 + day), bearer=phone)
        for name, client in (("home", HOME), ("phone", somewhere)):
            opened = await world.auth.login(email=ADA["email"], password=PASSWORD, client=client)
            owner[name] += 1
            if name == "phone":
                phone = opened.access_token  # It has expired by tomorrow, and still tells whose phone it is.
        world.clock.advance(timedelta(days=1) + timedelta(seconds=random.randrange(3600)))

    assert owner == {"home": DAYS, "phone": DAYS}
    assert attacker[WrongCredentials] == MOST_GUESSES, "what the owner does at home gives a stranger no more guesses"
    forged = replace(place(60_000), bearer=phone[:-4] + "AAAA")
    assert (await outcome(world, ADA["email"], PASSWORD, forged))[0] is TooManyFailures
    other = await world.auth.signup(email="eve@example.com", name="Eve", password=PASSWORD, client=place(60_001))
    foreign = replace(place(60_002), bearer=other.access_token)
    assert (await outcome(world, ADA["email"], PASSWORD, foreign))[0] is TooManyFailures


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_no_thirty_days_of_a_year_hold_more_guesses_and_the_owner_always_gets_in(world: World, seed: int) -> None:
    """R16 for a year, at a pace that is drawn anew each day, the owner at home and on a phone between."""
    random = Random(seed)
    phone = (await world.auth.signup(**ADA, client=HOME)).access_token
    tried: dict[str, list[datetime]] = {ADA["email"]: [], "nobody@example.com": []}
    number, owner, begins = 0, Counter[str](), world.clock.now()

    for day in range(365):
        for _ in range(random.choice((0, 1, 4, 30))):
            world.clock.advance(timedelta(seconds=random.randrange(2_000)))
            for email, checked in tried.items():
                number += 1
                if (await outcome(world, email, f"guess {number}", place(number)))[0] is WrongCredentials:
                    checked.append(world.clock.now())
        for name, client in (("home", HOME), ("phone", replace(place(100_000 + day), bearer=phone))):
            opened = await world.auth.login(email=ADA["email"], password=PASSWORD, client=client)
            owner[name] += 1
            phone = opened.access_token if name == "phone" else phone
        world.clock.advance(begins + timedelta(days=day + 1) - world.clock.now())

    assert owner == {"home": 365, "phone": 365}
    for checked in tried.values():
        spans = [later - first for first, later in zip(checked, checked[MOST_GUESSES:], strict=False)]
        assert all(span >= timedelta(days=30) for span in spans), min(spans)
    print(f"of {number // 2} guesses in a year, checked: {[len(one) for one in tried.values()]}")


@pytest.mark.long
async def test_the_times_of_known_and_unknown_do_not_differ(database_url: str) -> None:
    """R15, the times: four hundred logins in turn; reported, and only a gross difference fails."""
    security = SecuritySettings(**{**FAST.model_dump(), "bcrypt_cost": 10, "login_failures": 100})
    async with open_world(database_url, security=security) as world:
        await world.auth.signup(**ADA, client=HOME)
        times: dict[str, list[float]] = defaultdict(list)
        loop = asyncio.get_running_loop()
        for number in range(200):
            for email in (ADA["email"], "nobody@example.com"):
                if number % 50 == 0:
                    await world.auth.login(email=ADA["email"], password=PASSWORD, client=HOME)
                started = loop.time()
                await outcome(world, email, "wrong", place(number))
                times[email].append(loop.time() - started)
        medians = [statistics.median(values) * 1000 for values in times.values()]
    print(f"medians in ms: known {medians[0]:.2f}, unknown {medians[1]:.2f}")
    assert abs(medians[0] - medians[1]) < 20
