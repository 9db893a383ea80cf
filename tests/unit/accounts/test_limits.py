"""Rate limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.accounts.world import ADA, PASSWORD, START, World, bearer, open_world
from zentry.accounts.errors import RateLimited
from zentry.accounts.limits import MemoryLimiter, SigninLimiter
from zentry.accounts.sweep import sweep_counters
from zentry.accounts.windows import RecentRequests
from zentry.platform.clock import ManualClock
from zentry.platform.settings import LimitSettings
from zentry.schema.accounts import login_failures, rate_limits


def signin(world: World, *, per_minute: int = 10) -> SigninLimiter:
    return SigninLimiter(world.database, LimitSettings(signin_per_minute=per_minute))


async def admitted(limiter: SigninLimiter, tries: int) -> int:
    outcomes = await asyncio.gather(*(limiter.admit("192.0.2.7") for _ in range(tries)), return_exceptions=True)
    return sum(outcome is None for outcome in outcomes)


async def test_a_network_gets_its_quota_and_again_what_is_a_minute_old(world: World) -> None:
    limiter = signin(world)

    assert await admitted(limiter, 4) == 4
    world.clock.advance(timedelta(seconds=30))
    assert await admitted(limiter, 25) == 6
    world.clock.advance(timedelta(seconds=29.999))
    assert await admitted(limiter, 5) == 0
    world.clock.advance(timedelta(seconds=0.001))
    assert await admitted(limiter, 25) == 4
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
        "X-RateLimit-Limit": "10",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int((START + timedelta(seconds=60)).timestamp())),
        "Retry-After": "58",
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
    limiter.give_back("a")
    later = [limiter.admit("a") for _ in range(2)]

    assert [decision is not None and decision.is_admitted for decision in first] == [True] * 7 + [False] * 3
    assert [decision.remaining for decision in first if decision is not None] == [6, 5, 4, 3, 2, 1, 0, 0, 0, 0]
    assert [decision is not None and decision.is_admitted for decision in later] == [True, False]


@given(
    quota=st.integers(1, 40),
    pauses=st.lists(st.one_of(st.integers(0, 90), st.integers(0, 3_000), st.integers(0, 90_000)), max_size=300),
)
def test_no_minute_holds_more_than_the_limit_and_none_that_holds_less_is_refused(quota: int, pauses: list[int]) -> None:
    recent = RecentRequests()
    now, taken = 1_772_366_400_123, list[int]()

    for pause in pauses:
        now += pause
        recent = RecentRequests.from_bytes(recent.to_bytes())
        in_a_minute = sum(at > now - 60_000 for at in taken)
        in_a_second_more = sum(at > now - 61_000 for at in taken)
        if recent.take(now, quota):
            assert in_a_minute < quota
            taken.append(now)
        else:
            assert in_a_second_more >= quota

    assert len(recent.to_bytes()) <= 61 * 12


def test_a_clock_that_was_set_back_admits_nothing_more() -> None:
    recent = RecentRequests()

    admitted_at = [recent.take(now, 2) for now in (100_000, 40_000, 30_000, 99_000, 160_000)]

    assert admitted_at == [True, True, False, False, True]


def test_memory_is_bounded() -> None:
    limiter = MemoryLimiter("reads", per_minute=1, clock=ManualClock(START), capacity=3)

    for key in range(100):
        limiter.admit(key)

    assert len(limiter._recent) == 3


@pytest.fixture
async def limited(database_url: str) -> AsyncIterator[World]:
    limits = LimitSettings(signin_per_minute=4, writes_per_minute=2, reads_per_minute=3, anonymous_per_minute=5)
    async with open_world(database_url, limits=limits) as world:
        yield world


async def test_reads_are_counted_per_session_and_tell_their_figures(limited: World) -> None:
    one = bearer(await limited.client.post("/auth/signup", json=ADA))
    other = bearer(await limited.client.post("/auth/login", json={"email": ADA["email"], "password": PASSWORD}))

    answers = [await limited.client.get("/auth/me", headers=one) for _ in range(4)]
    elsewhere = await limited.client.get("/auth/me", headers=other)

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"reads";q=3;w=60'
    assert answers[0].headers["ratelimit"] == '"reads";r=2;t=60'
    assert answers[3].headers["retry-after"] == "60"
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


async def test_requests_without_a_caller_are_counted_per_network_whatever_they_say_of_themselves(
    limited: World,
) -> None:
    forged = [
        {},
        {"X-Forwarded-For": "198.51.100.9"},
        {"Forwarded": "for=198.51.100.9"},
        {"X-Real-IP": "198.51.100.9"},
        {"Authorization": "Bearer nothing"},
        {"X-Forwarded-For": "198.51.100.10", "X-Client-IP": "198.51.100.10"},
    ]

    answers = [await limited.client.get("/public", headers=headers) for headers in forged]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[0].headers["ratelimit-policy"] == '"anonymous";q=5;w=60'


async def test_a_conflict_counts_for_nothing(limited: World) -> None:
    headers = bearer(await limited.client.post("/auth/signup", json=ADA))
    transport: Any = limited.client._transport
    app: FastAPI = transport.app._app._app  # Inside authentication and limits.

    @app.put("/taken", status_code=409)
    async def taken() -> None:
        return None

    conflicts = [await limited.client.put("/taken", headers=headers) for _ in range(5)]
    change = await limited.client.put("/auth/profile", json={"name": "Ada King"}, headers=headers)

    assert [answer.status_code for answer in conflicts] == [409] * 5
    assert conflicts[-1].headers["x-ratelimit-remaining"] == "2"
    assert change.status_code == 200
    assert change.headers["x-ratelimit-remaining"] == "1"


async def test_sign_ups_and_logins_share_the_limit_of_a_network(limited: World) -> None:
    statuses = [(await limited.client.post("/auth/signup", json=ADA)).status_code for _ in range(3)]

    statuses.append((await limited.client.post("/auth/login", json={"email": "x", "password": "y"})).status_code)
    last = await limited.client.post("/auth/signup", json=ADA)

    assert statuses == [201, 409, 409, 401]
    assert last.status_code == 429
    assert last.headers["retry-after"] == "60"
