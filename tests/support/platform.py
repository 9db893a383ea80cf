"""The platform as tests use it: through its front door, with the workers driven by hand."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID

import httpx
import sqlalchemy as sa

from zentry.compute.driver import ComputeDriver
from zentry.platform.clock import Clock, ManualClock
from zentry.platform.db import Database
from zentry.platform.settings import Settings
from zentry.platform.tracing import Tracing
from zentry.schema.accounts import users
from zentry.wiring import Platform, open_platform

START: Final = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PASSWORD: Final = "correct-horse-battery-7"
_QUIET: Final[dict[str, dict[str, Any]]] = {
    "security": {"bcrypt_cost": 4, "signing_key": "k" * 64, "access_token_seconds": 86_400},
    "limits": {"signin_per_minute": 0, "writes_per_minute": 0, "reads_per_minute": 0, "anonymous_per_minute": 0},
    "simulator": {"boot_seconds": 0, "action_seconds": 0},
    "operations": {"wait_seconds": 0},
    "events": {"stream_seconds": 0.02},
}


def settings_for_tests(data_dir: Path, **groups: dict[str, Any]) -> Settings:
    """Return settings that make tests quick: cheap hashes, no limits, no latency."""
    merged = {name: {**_QUIET.get(name, {}), **groups.get(name, {})} for name in {*_QUIET, *groups}}
    return Settings(_env_file=None, env="test", data_dir=data_dir, **merged)  # type: ignore[arg-type]  # groups as plain data


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who has signed up."""

    id: str
    email: str
    headers: dict[str, str]
    tokens: dict[str, Any]


@dataclass(slots=True)
class PlatformUnderTest:
    """A platform, a client of its API, and hands on its clock and workers."""

    inner: Platform
    client: httpx.AsyncClient
    _clock: Clock
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def clock(self) -> ManualClock:
        """The clock of a platform whose time stands still."""
        assert isinstance(self._clock, ManualClock), "this platform runs on real time"
        return self._clock

    @property
    def database(self) -> Database:
        """The database."""
        return self.inner.database

    @property
    def driver(self) -> ComputeDriver:
        """The engine."""
        return self.inner.driver

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.inner.settings

    async def signup(self, email: str | None = None) -> Account:
        """Sign somebody up through the API."""
        email = email or f"user{next(self._numbers)}@example.com"
        answer = await self.client.post("/auth/signup", json={"email": email, "name": "Ada Test", "password": PASSWORD})
        assert answer.status_code == httpx.codes.CREATED, answer.text
        tokens = answer.json()
        return Account(
            id=tokens["user"]["id"],
            email=email,
            headers={"Authorization": f"Bearer {tokens['access_token']}"},
            tokens=tokens,
        )

    async def reauthenticate(self, account: Account) -> None:
        """Have somebody prove once more who is there."""
        answer = await self.client.post("/auth/reauthenticate", json={"password": PASSWORD}, headers=account.headers)
        assert answer.status_code == httpx.codes.OK, answer.text

    async def given_admin(self) -> Account:
        """Make an administrator."""
        account = await self.signup()
        async with self.database.work() as tx:
            await tx.execute(sa.update(users).where(users.c.id == UUID(account.id)).values(role="admin"))
        return account

    async def given_project(self, account: Account, name: str = "lab") -> str:
        """Make a project; return its id."""
        answer = await self.client.post("/projects", json={"name": name}, headers=account.headers)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return str(answer.json()["id"])

    async def given_vm(
        self, account: Account, *, project_id: str | None = None, status: str = "running", **wishes: Any
    ) -> dict[str, Any]:
        """Make a VM and bring it to a state; return it as the API shows it."""
        project_id = project_id or await self.given_project(account, f"project {next(self._numbers)}")
        body = {
            "name": f"vm-{next(self._numbers)}",
            "instance_type": "small",
            **({} if "snapshot_id" in wishes else {"image": "debian-12"}),
            "project_id": project_id,
            **wishes,
        }
        answer = await self.client.post("/vms", json=body, headers=account.headers)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        vm_id = answer.json()["id"]
        if status != "creating":
            await self.settle()
        if status == "stopped":
            await self.client.post(f"/vms/{vm_id}/stop", headers=account.headers)
            await self.settle()
        if status == "terminated":
            await self.client.delete(f"/vms/{vm_id}", headers=account.headers)
            await self.settle()
        vm = await self.get_vm(vm_id, account)
        assert vm["status"] == status
        return vm

    async def given_member(self, owner: Account, project_id: str, *, role: str) -> Account:
        """Sign somebody up and bring them into a project, by an invitation that they accept."""
        account = await self.signup()
        invited = await self.client.post(
            f"/projects/{project_id}/invitations", json={"email": account.email, "role": role}, headers=owner.headers
        )
        assert invited.status_code == httpx.codes.CREATED, invited.text
        token = await self.invitation_token(account.email)
        accepted = await self.client.post("/invitations/accept", json={"token": token}, headers=account.headers)
        assert accepted.status_code == httpx.codes.OK, accepted.text
        return account

    async def invitation_token(self, email: str) -> str:
        """Return the token of the newest invitation that was mailed to an address."""
        texts = [mail.get_content() for mail in await self.mails() if mail["To"] == email]
        return str(re.findall(r"Token: (zi_\S+)", "".join(texts))[-1])

    async def get_vm(self, vm_id: str, account: Account) -> dict[str, Any]:
        """Return a VM as the API shows it."""
        answer = await self.client.get(f"/vms/{vm_id}", headers=account.headers)
        assert answer.status_code == httpx.codes.OK, answer.text
        return dict(answer.json())

    async def credits(self, account: Account) -> dict[str, Any]:
        """Return the account's money as the API shows it."""
        answer = await self.client.get("/billing/credits", headers=account.headers)
        assert answer.status_code == httpx.codes.OK, answer.text
        return dict(answer.json())

    async def history(self, account: Account) -> list[dict[str, Any]]:
        """Return the newest lines of the account's history."""
        answer = await self.client.get("/billing/history?limit=100", headers=account.headers)
        assert answer.status_code == httpx.codes.OK, answer.text
        return list(answer.json()["items"])

    async def settle(self) -> None:
        """Let a worker do everything that is due now."""
        while await self.inner.runner.run_once():
            pass
        await self.inner.sequencer.tick()

    async def mails(self) -> list[EmailMessage]:
        """Send what lies in the outbox; return every mail that was sent so far, the oldest first."""
        while await self.inner.mailer.tick():
            pass
        folder = self.settings.data_dir / "mail"
        return [
            message_from_bytes(file.read_bytes(), policy=default)
            for file in sorted(folder.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
        ]

    async def advance(self, *, meter: bool = True, **by: float) -> None:
        """Let time pass, then let the meter and the workers do what is due."""
        self.clock.advance(timedelta(**by))
        if meter:
            await self.inner.meter.tick()
        await self.settle()


@contextlib.asynccontextmanager
async def open_under_test(
    settings: Settings,
    *,
    driver: ComputeDriver | None = None,
    clock: Clock | None = None,
    seed: int = 7,
    tracing: Tracing | None = None,
) -> AsyncIterator[PlatformUnderTest]:
    """Open a platform on a migrated database; two that share one make ids of different seeds."""
    clock = clock or ManualClock(START)
    async with open_platform(settings, clock=clock, random=Random(seed), driver=driver, tracing=tracing) as platform:
        transport = httpx.ASGITransport(app=platform.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://zentry.test") as client:
            yield PlatformUnderTest(platform, client, clock)
