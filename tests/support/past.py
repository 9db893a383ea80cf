"""A cloud with a past: some weeks of machines and money, and an administrator, before the first page is opened."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import sqlalchemy as sa

from tests.support.platform import PlatformUnderTest, open_under_test, settings_for_tests
from zentry.platform.clock import ManualClock
from zentry.schema.accounts import users

_STEP: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Past:
    """Somebody who has kept machines up to now, and the administrator."""

    email: str
    admin_email: str
    password: str
    machines: Mapping[str, str]
    """Names and sizes."""
    days: int = 40
    runs_days: int = 40
    """For how many days the machines ran before they were stopped."""


def live_through(directory: Path, past: Past) -> None:
    """Let all this happen in the data directory of a server that starts afterwards."""
    asyncio.run(_live(directory, past))


async def _live(directory: Path, past: Past) -> None:
    now = datetime.now(UTC)
    settings = settings_for_tests(directory / "cloud", security={"signing_key": ""})
    async with open_under_test(settings, clock=ManualClock(now - timedelta(days=past.days))) as platform:
        await platform.inner.migrations.upgrade()
        await _sign_up(platform, past.admin_email, "Grace Hopper", past.password)
        async with platform.database.work() as tx:
            await tx.execute(sa.update(users).where(users.c.email == past.admin_email).values(role="admin"))
        headers = await _sign_up(platform, past.email, "Ada Lovelace", past.password)
        await _send(platform, "/billing/credits/add", {"amount": 400, "description": "Transfer"}, headers)
        project = (await _send(platform, "/projects", {"name": "archive"}, headers))["id"]
        ids = []
        for name, size in past.machines.items():
            wish = {"name": name, "instance_type": size, "image": "debian-12", "project_id": project}
            ids.append((await _send(platform, "/vms", wish, headers))["id"])
            await platform.settle()
        await _pass(platform, until=now - timedelta(days=past.days - past.runs_days))
        if past.runs_days < past.days:
            headers = await _sign_in(platform, past)
            for vm_id in ids:
                await _send(platform, f"/vms/{vm_id}/stop", {}, headers)
            await platform.settle()
            platform.clock.advance(now - platform.clock.now())
        await platform.inner.closing.tick()


async def _pass(platform: PlatformUnderTest, *, until: datetime) -> None:
    while (left := (until - platform.clock.now()).total_seconds()) > 0:
        await platform.advance(seconds=min(left, _STEP.total_seconds()))


async def _sign_up(platform: PlatformUnderTest, email: str, name: str, password: str) -> dict[str, str]:
    made = await _send(platform, "/auth/signup", {"email": email, "name": name, "password": password})
    return {"Authorization": f"Bearer {made['access_token']}"}


async def _sign_in(platform: PlatformUnderTest, past: Past) -> dict[str, str]:
    made = await _send(platform, "/auth/login", {"email": past.email, "password": past.password})
    return {"Authorization": f"Bearer {made['access_token']}"}


async def _send(
    platform: PlatformUnderTest, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
) -> dict[str, Any]:
    answer = await platform.client.post(path, json=body or None, headers=headers)
    assert answer.status_code < httpx.codes.BAD_REQUEST, answer.text
    return dict(answer.json())
