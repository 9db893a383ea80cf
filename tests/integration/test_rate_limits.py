"""R18: limits that hold over several processes, and that no header changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID

import httpx
import pytest

from tests.support.platform import PASSWORD, START, PlatformUnderTest, open_under_test, settings_for_tests
from zentry.platform.clock import ManualClock

_PROCESSES: Final = 4
_LIMIT: Final = 10
_FORGED: Final = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "X-Zentry-Address")


@contextlib.asynccontextmanager
async def _four(database_url: str, tmp_path: Path, limits: dict[str, int]) -> AsyncIterator[list[PlatformUnderTest]]:
    """Platforms that share a database and a clock, and nothing else."""
    clock = ManualClock(START)
    async with contextlib.AsyncExitStack() as stack:
        platforms = []
        for number in range(_PROCESSES):
            settings = settings_for_tests(
                tmp_path / str(number),
                database={"url": database_url},
                limits=limits,
                quotas={"projects_per_user": 100},
            )
            settings.data_dir.mkdir()
            platforms.append(await stack.enter_async_context(open_under_test(settings, clock=clock, seed=number)))
        yield platforms


async def test_no_minute_admits_more_sign_ins_than_the_limit_over_four_processes(
    database_url: str, tmp_path: Path
) -> None:
    chance = Random(18)
    admitted: list[float] = []
    outcomes: Counter[int] = Counter()
    async with _four(database_url, tmp_path, {"signin_per_minute": _LIMIT}) as platforms:
        clock, passed = platforms[0].clock, 0.0

        for _ in range(10):
            tries = [_forged_login(platforms[number % _PROCESSES], chance) for number in range(_LIMIT)]
            answers = await asyncio.gather(*tries)
            outcomes.update(answer.status_code for answer in answers)
            admitted += [passed for answer in answers if answer.status_code == 401]
            assert all(_arithmetic_holds(answer) for answer in answers)
            step = chance.choice([0.5, 7.3, 19.0, 31.0])
            clock.advance(timedelta(seconds=step))
            passed += step

    assert set(outcomes) == {401, 429}
    assert max(sum(start <= at < start + 60 for at in admitted) for start in admitted) <= _LIMIT + 1
    assert len(admitted) > passed / 60 * _LIMIT - _LIMIT  # It is a limit, not a wall.


async def test_changes_count_when_they_take_effect_over_four_processes(database_url: str, tmp_path: Path) -> None:
    async with _four(database_url, tmp_path, {"writes_per_minute": _LIMIT}) as platforms:
        account = await platforms[0].signup()

        async def create(number: int, name: str) -> httpx.Response:
            platform = platforms[number % _PROCESSES]
            return await platform.client.post("/projects", json={"name": name}, headers=account.headers)

        first = await create(0, "lab")
        conflicts = [await create(number, "lab") for number in range(2 * _LIMIT)]
        answers = await asyncio.gather(*(create(number, f"lab {number}") for number in range(3 * _LIMIT)))
        refused = next(answer for answer in answers if answer.status_code == 429)
        platforms[0].clock.advance(timedelta(seconds=60))
        later = await platforms[0].client.delete(f"/projects/{first.json()['id']}", headers=account.headers)

    made = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in conflicts} == {409}
    assert len(made) == _LIMIT - 1
    assert {answer.status_code for answer in answers} == {201, 429}
    assert min(int(answer.headers["x-ratelimit-remaining"]) for answer in made) == 0
    assert refused.headers["retry-after"] == "60"
    assert refused.json()["error_code"] == "RATE_LIMIT_EXCEEDED"
    assert later.status_code == 200


@pytest.mark.parametrize("overrides", [{"limits": {"reads_per_minute": 1200, "writes_per_minute": 120}}])
async def test_the_dashboard_of_fifty_machines_has_room(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    paths = ["/auth/me", "/projects", "/vms", "/monitoring/dashboard"]
    load = paths + [f"/monitoring/vms/{UUID(int=number)}/metrics" for number in range(50)]

    statuses: Counter[int] = Counter()
    for _ in range(4):  # Two minutes of a page that is loaded anew every thirty seconds.
        answers = [await platform.client.get(path, headers=account.headers) for path in load]
        statuses.update(answer.status_code for answer in answers)
        platform.clock.advance(timedelta(seconds=30))

    assert 429 not in statuses
    assert statuses[200] == 16


async def _forged_login(platform: PlatformUnderTest, chance: Random) -> httpx.Response:
    forged = {name: ".".join(str(chance.randrange(1, 255)) for _ in range(4)) for name in _FORGED}
    body = {"email": f"nobody{chance.randrange(10**9)}@example.com", "password": PASSWORD}
    return await platform.client.post("/auth/login", json=body, headers=forged)


def _arithmetic_holds(answer: httpx.Response) -> bool:
    """Tell whether a refusal's three forms say the same."""
    if answer.status_code != 429:
        return True
    fields: dict[str, Any] = {name: answer.headers[name] for name in ("ratelimit", "ratelimit-policy", "retry-after")}
    return (
        fields["ratelimit-policy"] == f'"signin";q={_LIMIT};w=60'
        and fields["ratelimit"].startswith('"signin";r=0;t=')
        and answer.headers["x-ratelimit-remaining"] == "0"
        and 1 <= int(fields["retry-after"]) <= int(fields["ratelimit"].rpartition("=")[2]) <= 60
    )
