"""R6: the same request many times at once, from clients of which some give up: one effect for each key."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Any, Final

import httpx
import pytest
import sqlalchemy as sa

from tests.support.platform import Account, PlatformUnderTest
from zentry.invariants import broken_invariants
from zentry.schema.projects import quotas

_SEED: Final = 6
_ALLOWED: Final = frozenset({201, 409, 422})
_TIMES: Final = 3
"""How often the storm may have to be repeated until somebody of those who have not given up was answered."""


@pytest.mark.parametrize(
    ("keys", "copies"),
    [pytest.param(10, 20, id="200-requests"), pytest.param(100, 50, id="5000-requests", marks=pytest.mark.long)],
)
async def test_a_key_has_one_effect_however_often_it_is_sent(
    platform: PlatformUnderTest, keys: int, copies: int
) -> None:
    random = Random(_SEED)
    account, stranger = await platform.signup(), await platform.signup()
    for who in (account, stranger):
        answer = await platform.client.post("/billing/credits/add", json={"amount": 1000}, headers=who.headers)
        assert answer.is_success
    projects = {
        who.id: [await platform.given_project(who, f"lab {n}") for n in range(8)] for who in (account, stranger)
    }
    async with platform.database.work() as tx:
        await tx.execute(sa.update(quotas).values(maximum=1_000_000))
    ids: dict[str, set[str]] = {}
    statuses: Counter[int] = Counter()

    async def send(who: Account, key: str, number: int, **changes: Any) -> None:
        body = {
            "name": f"vm-{number}",
            "instance_type": "small",
            "image": "debian-12",
            "project_id": projects[who.id][number % 8],
            **changes,
        }
        request = platform.client.post("/vms", json=body, headers={**who.headers, "Idempotency-Key": key})
        try:
            answer = await asyncio.wait_for(request, random.choice((None, None, None, random.uniform(0, 0.5))))
        except TimeoutError:
            return
        statuses[answer.status_code] += 1
        if answer.status_code == httpx.codes.CREATED:
            assert answer.json()["name"] == f"vm-{number}"
            assert answer.json()["user_id"] == who.id
            ids.setdefault(f"{who.id} {key}", set()).add(answer.json()["id"])

    for number in range(keys):
        key = f"key-{number}"
        for _ in range(_TIMES):
            crowd = [send(account, key, number) for _ in range(copies)]
            crowd += [send(account, key, number, labels={"other": "body"}), send(stranger, key, number)]
            random.shuffle(crowd)
            await asyncio.gather(*crowd)
            if f"{account.id} {key}" in ids:
                break
    await platform.settle()

    made = {who.id: (await platform.client.get("/vms", headers=who.headers)).json() for who in (account, stranger)}
    assert set(statuses) <= _ALLOWED, statuses
    assert {key: len(found) for key, found in ids.items() if len(found) != 1} == {}
    assert made[account.id]["total_count"] == keys
    assert sorted(vm["name"] for vm in made[account.id]["vms"]) == sorted(f"vm-{number}" for number in range(keys))
    assert made[stranger.id]["total_count"] <= keys
    assert await broken_invariants(platform.database) == []
