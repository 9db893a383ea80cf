"""A hundred users at once on a real server, through HTTP, on both databases.

Everybody signs up first, which is what passwords cost; then everybody works, each over one
connection: list, create, look, read metrics, stop, delete, read the bill.

    python -m benchmarks.load [ROUNDS]
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.harness import (
    PASSWORD,
    Figure,
    directory,
    environment_of,
    on_core,
    postgres,
    resident_mib,
    settings_for,
    show,
)
from benchmarks.http_client import Connection
from tests.support.program import serving

_USERS: Final = 100
_SERVER_CORE: Final = 0
_LOAD_CORE: Final = 1
_OK: Final = frozenset({200, 201})


@dataclass(slots=True)
class Journal:
    """What the users met."""

    took_ms: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)

    def figures(self) -> Iterator[Figure]:
        """Return median and spread of each endpoint; the 95th and 99th percentiles stand in the name."""
        for name, values in self.took_ms.items():
            cuts = statistics.quantiles(values, n=100)
            yield Figure(f"{name}  (p95 {cuts[94]:.0f} ms, p99 {cuts[98]:.0f} ms)", values, "ms", digits=1)


class User:
    """Somebody with a connection."""

    def __init__(self, url: str, journal: Journal, number: int) -> None:
        self._connection = Connection(url)
        self._journal = journal
        self._number = number
        self._project_id = ""

    async def sign_up(self) -> None:
        person = {"email": f"user{self._number}@example.com", "name": "Ada Load", "password": PASSWORD}
        self._connection.token = (await self._ask("POST /auth/signup", person))["access_token"]
        self._project_id = (await self._ask("POST /projects", {"name": "load"}))["id"]

    async def work(self, rounds: int) -> None:
        for number in range(rounds):
            wish = {"name": f"web-{number}", "instance_type": "small", "image": "debian-12"}
            vm = await self._ask("POST /vms", wish | {"project_id": self._project_id})
            await self._rest(vm["id"])
            await self._ask("GET /vms")
            await self._ask("GET /monitoring/vms/{vm_id}/metrics", vm_id=vm["id"])
            await self._ask("GET /monitoring/dashboard")
            await self._ask("POST /vms/{vm_id}/stop", vm_id=vm["id"])
            await self._rest(vm["id"])
            await self._ask("DELETE /vms/{vm_id}", vm_id=vm["id"])
            await self._rest(vm["id"])
            await self._ask("GET /billing/credits")
            await self._ask("GET /billing/history")

    async def leave(self) -> None:
        await self._connection.close()

    async def _rest(self, vm_id: str) -> None:
        """Wait until nothing is under way for the machine."""
        while (await self._ask("GET /vms/{vm_id}", vm_id=vm_id)).get("active_operation"):  # noqa: ASYNC110 - clients poll
            await asyncio.sleep(0.1)

    async def _ask(self, endpoint: str, body: Any = None, *, vm_id: str = "") -> Any:
        method, _, target = endpoint.partition(" ")
        started = time.perf_counter()
        status, content = await self._connection.request(method, target.format(vm_id=vm_id), body)
        self._journal.took_ms[endpoint].append((time.perf_counter() - started) * 1000)
        if status not in _OK:
            self._journal.errors.append(f"{endpoint}: {status} {content[:200]!r}")
            return defaultdict(str)
        return msgspec.json.decode(content)


def main(rounds: int = 5) -> None:
    with directory() as place:
        _run("SQLite", place / "sqlite", {}, rounds=rounds)
        with postgres(core=_LOAD_CORE) as url:
            _run("PostgreSQL", place / "postgresql", {"database": {"url": url}}, rounds=rounds)


def _run(name: str, place: Path, groups: dict[str, dict[str, Any]], *, rounds: int) -> None:
    place.mkdir()
    # The cost of production; the queue must hold a hundred sign-ups that come in one moment.
    security = {"bcrypt_cost": 12, "hash_queue": 2 * _USERS}
    settings = settings_for(place / "data", security=security, **groups)
    with (
        on_core(_SERVER_CORE),
        serving("--data-dir", place / "data", cwd=place, **environment_of(settings)) as server,
        on_core(_LOAD_CORE),
    ):
        before = resident_mib(server.process.pid)
        journal, seconds, rate = asyncio.run(_drive(server.url, rounds=rounds))
        after = resident_mib(server.process.pid)
    show(
        f"{name}: {_USERS} users at once, {rounds} machines each, simulated actions of a quarter second",
        [
            Figure("signing everybody up, bcrypt cost 12", [seconds], "s"),
            Figure("requests while they work", [rate], "/s", digits=0),
            Figure("errors", [len(journal.errors)], "", digits=0, goal="0"),
            Figure("memory before", [before], "MiB", digits=0),
            Figure("memory after", [after], "MiB", digits=0),
            *journal.figures(),
        ],
    )
    for error in journal.errors[:5]:
        print(error)


async def _drive(url: str, *, rounds: int) -> tuple[Journal, float, float]:
    """Return what was met, how long the sign-ups took, and the requests per second after them."""
    journal = Journal()
    async with _users(url, journal) as users:
        started = time.perf_counter()
        await asyncio.gather(*(user.sign_up() for user in users))
        signed_up = time.perf_counter()
        before = sum(map(len, journal.took_ms.values()))
        await asyncio.gather(*(user.work(rounds) for user in users))
        count = sum(map(len, journal.took_ms.values())) - before
        return journal, signed_up - started, count / (time.perf_counter() - signed_up)


@contextlib.asynccontextmanager
async def _users(url: str, journal: Journal) -> AsyncIterator[list[User]]:
    users = [User(url, journal, number) for number in range(_USERS)]
    try:
        yield users
    finally:
        await asyncio.gather(*(user.leave() for user in users))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
