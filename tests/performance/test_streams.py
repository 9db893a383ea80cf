"""A thousand streams over real sockets of one server, while events come fast and connections are cut."""

from __future__ import annotations

import asyncio
import json
import resource
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from tests.support.platform import PASSWORD
from tests.support.program import serving
from zentry.platform.clock import SystemClock
from zentry.platform.db import Database
from zentry.platform.settings import DatabaseSettings
from zentry.platform.signals import Signals
from zentry.schema.events import events

SEED: Final = 20261126
ACCOUNTS: Final = 50
PER_ACCOUNT: Final = 20
EVENTS: Final = 4_000
PER_SECOND: Final = 200
CUTS: Final = 50
_TICK_SECONDS: Final = 0.05
_PAUSE_SECONDS: Final = 0.3
_QUIET_SECONDS: Final = 30
_OPEN_AT_ONCE: Final = 50
_FILES: Final = 8_192


@dataclass(slots=True)
class Client:
    """One that follows the events of its account, and goes on where it was cut."""

    host: str
    port: int
    account: str
    token: str
    gate: asyncio.Semaphore
    numbers: list[int] = field(default_factory=list)
    position: int | None = None
    connections: int = 0
    writer: asyncio.StreamWriter | None = None
    is_connected: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self._follow_once()
            except (OSError, asyncio.IncompleteReadError):
                continue  # Cut: go on behind the last position.
            finally:
                self.cut()

    def cut(self) -> None:
        """Break the connection, wherever it stands."""
        if self.writer is not None:
            self.writer.transport.abort()

    async def _follow_once(self) -> None:
        async with self.gate:
            reader, self.writer = await asyncio.open_connection(self.host, self.port)
            last = "" if self.position is None else f"Last-Event-ID: {self.position}\r\n"
            headers = f"Host: test\r\nAuthorization: Bearer {self.token}\r\n{last}"
            self.writer.write(f"GET /events/stream?kind=test. HTTP/1.1\r\n{headers}\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.split(b"\r\n")[0]:
                # The stream that was cut still counts until the server has noticed.
                await asyncio.sleep(_PAUSE_SECONDS)
                raise OSError("the stream was refused")
            self.connections += 1
        block: dict[str, str] = {}
        while line := (await reader.readline()).decode():
            if line.strip():
                name, _, value = line.strip().partition(": ")
                block[name] = value
                continue
            # A block is whole: only now is its position one to go on from.
            if "data" in block:
                self.numbers.append(json.loads(block["data"])["data"]["number"])
            if "id" in block:
                self.position = int(block["id"])
                self.is_connected.set()
            block = {}
        raise OSError("the stream has ended")


@pytest.mark.long
@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_a_thousand_streams_get_all_in_order_and_lose_nothing_when_they_are_cut(
    database_url: str, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(_FILES, hard)), hard))
    random = Random(SEED)
    settings = {
        "ZENTRY_DATABASE__URL": database_url,
        "ZENTRY_SECURITY__BCRYPT_COST": "4",
        "ZENTRY_LOG__LEVEL": "warning",
        **{f"ZENTRY_LIMITS__{name}_PER_MINUTE": "0" for name in ("SIGNIN", "WRITES", "READS", "ANONYMOUS")},
    }
    with serving("--data-dir", tmp_path / "data", cwd=tmp_path, **settings) as server:
        accounts = await _sign_up(server.url)
        url, gate = httpx.URL(server.url), asyncio.Semaphore(_OPEN_AT_ONCE)
        clients = [
            Client(url.host, url.port or 80, account, token, gate)
            for account, token in accounts
            for _ in range(PER_ACCOUNT)
        ]
        following = [asyncio.create_task(client.follow()) for client in clients]
        async with asyncio.timeout(900):
            await asyncio.gather(*(client.is_connected.wait() for client in clients))
            told = await _tell(database_url, [account for account, _ in accounts], clients, random)
            await _until_quiet(clients, told)
        await asyncio.sleep(1)  # What would be repeated would come now.
        ended = [task.exception() for task in following if task.done()]
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
    assert ended == []

    faults = Counter(
        "lost or repeated" if sorted(client.numbers) != told[client.account] else "out of order"
        for client in clients
        if client.numbers != told[client.account]
    )
    assert faults == {}
    assert sum(client.connections for client in clients) >= len(clients) + CUTS * 9 // 10


async def _until_quiet(clients: Sequence[Client], told: dict[str, list[int]]) -> None:
    """Wait until all have all, or until nothing has come for long."""
    had, quiet = -1, 0
    while any(len(one.numbers) < len(told[one.account]) for one in clients) and quiet < _QUIET_SECONDS:
        await asyncio.sleep(1)
        have = sum(len(one.numbers) for one in clients)
        quiet = quiet + 1 if have == had else 0
        had = have


async def _sign_up(url: str) -> Sequence[tuple[str, str]]:
    found = []
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for number in range(ACCOUNTS):
            person = {"email": f"user{number}@example.com", "name": "Ada Test", "password": PASSWORD}
            tokens = (await client.post("/auth/signup", json=person)).raise_for_status().json()
            found.append((tokens["user"]["id"], tokens["access_token"]))
    return found


async def _tell(
    database_url: str, accounts: Sequence[str], clients: Sequence[Client], random: Random
) -> dict[str, list[int]]:
    """Write events at a steady pace, and cut connections meanwhile; return the numbers of each account."""
    database = Database(DatabaseSettings(url=database_url), clock=SystemClock(), random=random, signals=Signals())
    told: defaultdict[str, list[int]] = defaultdict(list)
    batch = int(PER_SECOND * _TICK_SECONDS)
    cuts = set(random.sample(range(EVENTS // batch), CUTS))
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        for tick in range(EVENTS // batch):
            async with database.work() as tx:
                rows = []
                for number in range(tick * batch, (tick + 1) * batch):
                    account = random.choice(accounts)
                    told[account].append(number)
                    rows.append(
                        {
                            "id": tx.new_id(),
                            "kind": "test.news",
                            "user_id": UUID(account),
                            "resource_type": "test",
                            "resource_id": UUID(int=1),
                            "cause": "test",
                            "data": {"number": number},
                            "created_at": tx.now,
                        }
                    )
                await tx.execute(sa.insert(events), rows)
            if tick in cuts:
                random.choice(clients).cut()
            await asyncio.sleep(max(0.0, started + (tick + 1) * _TICK_SECONDS - loop.time()))
        took = loop.time() - started
        print(f"{EVENTS} events in {took:.1f} s, {EVENTS / took:.0f} per second")
    finally:
        await database.close()
    return told
