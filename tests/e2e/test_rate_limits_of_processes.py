"""R18 with real processes and real time: ten times the limit at four of them, and headers that lie about the sender."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import httpx
import pytest

from tests.support.fleet import running_fleet

PROCESSES: Final = 4
LIMIT: Final = 10
MINUTE: Final = 60.0
LASTS_SECONDS: Final = 150.0
SETTINGS: Final = {
    "ZENTRY_ENV": "development",
    "ZENTRY_SECURITY__BCRYPT_COST": "4",
    "ZENTRY_SECURITY__SIGNING_KEY": "k" * 64,
    "ZENTRY_LIMITS__SIGNIN_PER_MINUTE": str(LIMIT),
    "ZENTRY_LIMITS__ANONYMOUS_PER_MINUTE": "0",
    "ZENTRY_LOG__LEVEL": "error",
}
HEADERS: Final = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP")


@dataclass(frozen=True, slots=True)
class Try:
    """When a login was sent and answered, and how."""

    sent: float
    answered: float
    status: int


@pytest.mark.long
@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_four_processes_admit_no_more_than_one_would(database_url: str, tmp_path: Path) -> None:
    random, tries = Random(18), list[Try]()
    settings = {**SETTINGS, "ZENTRY_DATABASE__URL": database_url}
    async with (
        running_fleet(
            ("api",) * PROCESSES, directory=tmp_path, arguments=("--data-dir", tmp_path), **settings
        ) as fleet,
        httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_keepalive_connections=0)) as client,
    ):
        urls = [member.url for member in fleet.members]
        over_at = time.monotonic() + LASTS_SECONDS
        while time.monotonic() < over_at:
            sends = (_try(client, f"{random.choice(urls)}/auth/login", random) for _ in range(10 * LIMIT))
            tries += await asyncio.gather(*sends)
            await asyncio.sleep(random.uniform(0.5, 10))

    outcomes = Counter(one.status for one in tries)
    admitted = [one for one in tries if one.status == httpx.codes.UNAUTHORIZED]
    # Sent and answered inside a minute is admitted inside it, however long anything has waited.
    most = max(
        sum(start.sent <= one.sent and one.answered < start.sent + MINUTE for one in admitted) for start in admitted
    )
    print(f"R18: {len(tries)} logins at {PROCESSES} processes: {dict(outcomes)}, at most {most} of {LIMIT} in a minute")
    assert set(outcomes) == {401, 429}
    assert most <= LIMIT + 1
    assert len(admitted) >= LIMIT * 2, "it is a limit, not a wall"


async def _try(client: httpx.AsyncClient, url: str, random: Random) -> Try:
    forged = {name: f"203.0.113.{random.randrange(256)}" for name in random.sample(HEADERS, 3)}
    sent = time.monotonic()
    body = {"email": f"{random.getrandbits(40)}@example.com", "password": "guess"}
    answer = await client.post(url, json=body, headers=forged)
    return Try(sent, time.monotonic(), answer.status_code)
