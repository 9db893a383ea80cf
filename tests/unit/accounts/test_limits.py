"""Rate limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.unit.accounts.world import ADA, PASSWORD, START, World, bearer, open_world
from zentry.accounts.errors import RateLimited
from zentry.accounts.limits import MemoryLimiter, SigninLimiter
from zentry.accounts.sweep import sweep_counters
from zentry.platform.clock import ManualClock
from zentry.platform.settings import LimitSettings
from zentry.schema.accounts import login_failures, rate_limits


def signin(world: World, *, per_minute: int = 10) -> SigninLimiter:
    return SigninLimiter(world.database, LimitSettings(signin_per_minute=per_minute))


async def admitted(limiter: SigninLimiter, tries: int) -> int:
    outcomes = await asyncio.gather(*(limiter.admit("192.0.2.7") for _ in range(tries)), return_exceptions=True)
    return sum(outcome is None for outcome in outcomes)


async def test_a_network_gets_its_quota_and_then_one_more_each_step(world: World) -> None:
    limiter = signin(world)

    assert await admitted(limiter, 25) == 10
    world.clock.advance(timedelta(seconds=5.999))
    assert await admitted(limiter, 5) == 0
    world.clock.advance(timedelta(seconds=0.001))
    assert await admitted(limiter, 5) == 1
    world.clock.advance(timedelta(seconds=600))
    assert await admitted(limiter, 25) == 10


async def test_a_refusal_says_when_to_come_back(world: World) -> None:
    limiter = signin(world)
    await admitted(limiter, 10)
    world.clock.advance(timedelta(seconds=2))

    with pytest.raises(RateLimited) as caught:
        await limiter.admit("192.0.2.7")

    assert caught.value.headers == {
        "RateLimit-Policy": '"signin";q=10;w=60',
        "RateLimit": '"signin";r=0;t=58',
        "Retry-After": "4",
    }


async def test_networks_do_not_share_a_quota(world: World) -> None:
    limiter = signin(world, per_minute=1)

    await limiter.admit("192.0.2.7")
    await limiter.admit("192.0.2.8")

    with pytest.raises(RateLimited):
        await limiter.admit("192.0.2.7")


@pytest.mark.parametrize("quota", [1, 7, 11, 59])
async def test_a_quota_that_does_not_divide_a_minute_holds(world: World, quota: int) -> None:
    world.clock.advance(timedelta(microseconds=123_456))

    assert await admitted(signin(world, per_minute=quota), quota + 5) == quota


async def test_zero_turns_the_limit_off(world: World) -> None:
    assert await admitted(signin(world, per_minute=0), 50) == 50


async def test_counters_whose_time_is_over_are_forgotten(world: World) -> None:
    await admitted(signin(world), 3)
    late = {"key": "late", "count": 1, "expires_at": START + timedelta(hours=1)}
    await world.change(sa.insert(login_failures).values(key="old", count=1, expires_at=START))
    await world.change(sa.insert(login_failures).values(**late))
    world.clock.advance(timedelta(seconds=60))

    async with world.database.work() as tx:
        swept = await sweep_counters(tx)

    assert swept == 2
    assert await world.scalars(sa.select(rate_limits.c.key)) == []
    assert await world.scalars(sa.select(login_failures.c.key)) == ["late"]


def test_memory_counts_as_the_database_does() -> None:
    clock = ManualClock(START)
    limiter = MemoryLimiter("reads", per_minute=7, clock=clock)

    first = [limiter.admit("a") for _ in range(10)]
    clock.advance(timedelta(seconds=60 / 7))
    later = [limiter.admit("a") for _ in range(2)]

    assert [decision is not None and decision.is_admitted for decision in first] == [True] * 7 + [False] * 3
    assert [decision.remaining for decision in first if decision is not None] == [6, 5, 4, 3, 2, 1, 0, 0, 0, 0]
    assert [decision is not None and decision.is_admitted for decision in later] == [True, False]


def test_memory_is_bounded() -> None:
    limiter = MemoryLimiter("reads", per_minute=1, clock=ManualClock(START), capacity=3)

    for key in range(100):
        limiter.admit(key)

    assert len(limiter._arrivals) == 3


@pytest.fixture
async def limited(database_url: str) -> AsyncIterator[World]:
    limits = LimitSettings(signin_per_minute=4, writes_per_minute=2, reads_per_minute=3)
    async with open_world(database_url, limits=limits) as world:
        yield world


async def test_reads_are_counted_per_session_and_tell_their_figures(limited: World) -> None:
    one = bearer(await limited.client.post("/auth/signup", json=ADA))
    other = bearer(await limited.client.post("/auth/login", json={"email": ADA["email"], "password": PASSWORD}))

    answers = [await limited.client.get("/auth/me", headers=one) for _ in range(4)]
    elsewhere = await limited.client.get("/auth/me", headers=other)

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"reads";q=3;w=60'
    assert answers[0].headers["ratelimit"] == '"reads";r=2;t=20'
    assert answers[3].headers["retry-after"] == "20"
    assert answers[3].json()["error_code"] == "RATE_LIMIT_EXCEEDED"
    assert elsewhere.status_code == 200


async def test_writes_are_counted_per_account(limited: World) -> None:
    one = bearer(await limited.client.post("/auth/signup", json=ADA))
    other = bearer(await limited.client.post("/auth/login", json={"email": ADA["email"], "password": PASSWORD}))

    answers = [
        await limited.client.put("/auth/profile", json={"name": "Ada King"}, headers=headers)
        for headers in (one, other, one)
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["ratelimit-policy"] == '"writes";q=2;w=60'


async def test_requests_without_a_caller_are_not_counted(limited: World) -> None:
    answers = [await limited.client.get("/public") for _ in range(10)]

    assert {answer.status_code for answer in answers} == {200}
    assert "ratelimit" not in answers[0].headers


async def test_sign_ups_and_logins_share_the_limit_of_a_network(limited: World) -> None:
    statuses = [(await limited.client.post("/auth/signup", json=ADA)).status_code for _ in range(3)]

    statuses.append((await limited.client.post("/auth/login", json={"email": "x", "password": "y"})).status_code)
    last = await limited.client.post("/auth/signup", json=ADA)

    assert statuses == [201, 409, 409, 401]
    assert last.status_code == 429
    assert last.headers["retry-after"] == "15"
