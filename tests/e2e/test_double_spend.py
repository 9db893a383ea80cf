"""R5: 200 creations at once, over four API processes, with credit for k: exactly k are accepted, always."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.databases import connect
from tests.support.fleet import Fleet, running_fleet
from tests.support.platform import PASSWORD
from zentry.invariants import broken_invariants

ASKED: Final = 200
PROCESSES: Final = 4
CREDIT_FOR: Final = (0, 1, 10, 199)
SETTINGS: Final = {
    "ZENTRY_ENV": "development",
    "ZENTRY_SECURITY__BCRYPT_COST": "4",
    "ZENTRY_SECURITY__SIGNING_KEY": "k" * 64,
    "ZENTRY_LIMITS__SIGNIN_PER_MINUTE": "0",
    "ZENTRY_LIMITS__WRITES_PER_MINUTE": "0",
    "ZENTRY_LIMITS__READS_PER_MINUTE": "0",
    "ZENTRY_BILLING__WELCOME_CREDITS": "0",
    "ZENTRY_QUOTAS__VMS_PER_USER": "10000",
    "ZENTRY_QUOTAS__VMS_PER_PROJECT": "10000",
    "ZENTRY_QUOTAS__VCPUS_PER_USER": "10000",
    "ZENTRY_OPERATIONS__WAIT_SECONDS": "0",
    "ZENTRY_LOG__LEVEL": "warning",
}


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "rounds", [2, *(pytest.param(5, id=f"5-part-{part}", marks=pytest.mark.long) for part in range(10))]
)
async def test_credit_for_k_admits_exactly_k_of_200_at_once(database_url: str, tmp_path: Path, rounds: int) -> None:
    settings = {**SETTINGS, "ZENTRY_DATABASE__URL": database_url}
    commands = ("api",) * PROCESSES
    limits = httpx.Limits(max_connections=ASKED, max_keepalive_connections=0)
    async with (
        running_fleet(commands, directory=tmp_path, arguments=("--data-dir", tmp_path), **settings) as fleet,
        httpx.AsyncClient(timeout=120, limits=limits) as client,
    ):
        for number in range(rounds):
            for k in CREDIT_FOR:
                answers = await _race(client, fleet, email=f"ada{number}-{k}@example.com", k=k)
                assert answers == Counter({"accepted": k, "INSUFFICIENT_CREDITS": ASKED - k}) - Counter(), (number, k)
    database = connect(database_url)
    try:
        assert await broken_invariants(database) == []
    finally:
        await database.close()


async def _race(client: httpx.AsyncClient, fleet: Fleet, *, email: str, k: int) -> Counter[str]:
    """Let an account with credit for k machines ask for 200 of them at once; return what it was told."""
    urls = [member.url for member in fleet.members]
    body = {"email": email, "name": "Ada", "password": PASSWORD}
    token = (await client.post(f"{urls[0]}/auth/signup", json=body)).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    project = (await client.post(f"{urls[0]}/projects", json={"name": "race"}, headers=headers)).json()["id"]

    async def create(number: int) -> dict[str, Any]:
        wish = {"name": f"vm-{number}", "instance_type": "small", "image": "debian-12", "project_id": project}
        keyed = {**headers, "Idempotency-Key": str(number)}
        while True:
            answer = await client.post(f"{urls[number % len(urls)]}/vms", json=wish, headers=keyed)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:  # Too busy: nothing has happened.
                break
            await asyncio.sleep(1)
        return {**answer.json(), "answered": answer.status_code}

    price = (await create(ASKED))["details"]["required"]  # Nothing is there yet: the refusal says what one needs.
    if k:
        added = await client.post(
            f"{urls[0]}/billing/credits/add", json={"amount": round(price * k, 6)}, headers=headers
        )
        assert added.is_success, added.text
    told = await asyncio.gather(*(create(number) for number in range(ASKED)))
    return Counter(
        "accepted" if one["answered"] == httpx.codes.CREATED else one.get("error_code", str(one)) for one in told
    )
