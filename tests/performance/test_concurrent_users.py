"""A hundred people at once, each through the whole journey: no error, no wrong book, no leak."""

from __future__ import annotations

import asyncio
import gc

import psutil
import pytest

from tests.support.platform import PlatformUnderTest
from tests.support.users import Journey, drive_journeys
from zentry.invariants import broken_invariants

USERS = 100


async def test_a_hundred_users_sign_up_run_a_machine_and_read_their_bill(platform: PlatformUnderTest) -> None:
    journeys = [Journey(f"user{number}@example.com") for number in range(USERS)]

    errors = await drive_journeys(platform, journeys)

    assert errors == []
    assert len({journey.vm_id for journey in journeys}) == USERS
    assert {journey.status for journey in journeys} == {"terminated"}
    # The clock stands still, so what remains of 50 credits is 50 less the fee.
    assert {journey.credits for journey in journeys} == {49.95}
    assert await broken_invariants(platform.database) == []


async def test_a_hundred_requests_for_one_name_make_one_machine(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    body = {"name": "web", "instance_type": "small", "image": "debian-12", "project_id": project_id}

    answers = await asyncio.gather(
        *(platform.client.post("/vms", json=body, headers=account.headers) for _ in range(USERS))
    )
    await platform.settle()

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * (USERS - 1)
    assert (await platform.credits(account))["held_credits"] == 0.05


@pytest.mark.parametrize("rounds", [3, pytest.param(60, marks=pytest.mark.long)])
async def test_memory_stays_bounded_round_after_round(platform: PlatformUnderTest, rounds: int) -> None:
    async def one_round(number: int) -> int:
        journeys = [Journey(f"user{user}.{number}@example.com") for user in range(USERS // 10)]
        assert await drive_journeys(platform, journeys) == []
        gc.collect()
        return psutil.Process().memory_info().rss

    warm = max([await one_round(number) for number in range(2)])
    later = [await one_round(number) for number in range(2, 2 + rounds)]

    # Caches of statements and tokens are bounded. A leak of 40 KiB a request shows in three rounds, of 2 KiB in sixty.
    assert max(later) - warm < 24 * 2**20
