"""Accounts with running machines, made through the platform's own front door and workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from benchmarks.harness import PASSWORD
from zentry.platform.caller import Caller, Role
from zentry.platform.logging import configure_logging
from zentry.platform.settings import Settings
from zentry.vms.service import VMService
from zentry.wiring import Platform, open_platform


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody with a project."""

    caller: Caller
    project_id: UUID
    token: str


async def seed(settings: Settings, *, accounts: int, machines: int) -> Sequence[Account]:
    """Migrate a database and fill it: so many accounts, with so many running machines each."""
    quick = settings.simulator.model_copy(update={"boot_seconds": 0.0, "action_seconds": 0.0})
    settings = settings.model_copy(update={"simulator": quick})
    configure_logging(settings.log.model_copy(update={"level": "warning"}))
    async with open_platform(settings) as platform:
        await platform.migrations.upgrade()
        made = await make_accounts(platform, accounts)
        for account in made:
            for number in range(machines):
                await make_machine(platform, account, f"machine-{number}")
        while await platform.runner.run_once():
            pass
    return made


async def make_accounts(platform: Platform, count: int) -> Sequence[Account]:
    """Sign people up and give each a project."""
    transport = httpx.ASGITransport(app=platform.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://benchmark.test") as client:

        async def make(number: int) -> Account:
            person = {"email": f"user{number}@example.com", "name": "Ada Bench", "password": PASSWORD}
            signed_up = (await client.post("/auth/signup", json=person)).raise_for_status().json()
            token = signed_up["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            project = (await client.post("/projects", json={"name": "lab"}, headers=headers)).raise_for_status().json()
            user_id = UUID(signed_up["user"]["id"])
            return Account(
                caller=Caller(user_id=user_id, session_id=user_id, role=Role.USER),
                project_id=UUID(project["id"]),
                token=token,
            )

        return [account for first in range(0, count, 8) for account in await _batch(make, first, min(count, first + 8))]


async def _batch(make: Callable[[int], Coroutine[Any, Any, Account]], first: int, last: int) -> Sequence[Account]:
    return await asyncio.gather(*(make(number) for number in range(first, last)))


async def make_machine(platform: Platform, account: Account, name: str) -> None:
    """Ask for a machine, without HTTP."""
    async with platform.database.work() as tx:
        await VMService(tx, platform.settings).create_vm(
            name=name,
            instance_type="small",
            image="debian-12",
            project_id=account.project_id,
            caller=account.caller,
        )
