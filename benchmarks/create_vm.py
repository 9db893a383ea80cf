"""The transaction that creates a VM, against the same statements sent one by one through asyncpg.

The platform's statements are recorded once, from BEGIN to COMMIT. The bare side sends the same ones
in the same order, with fresh ids, names and addresses and with the balances that it has just read;
it decides nothing. Both run 32 at once over many accounts, in turns; PostgreSQL has the other core.

    python -m benchmarks.create_vm [ROUNDS [CREATES]]
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import itertools
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

import asyncpg
import uvloop

from benchmarks.harness import Figure, directory, on_core, postgres, settings_for, show
from benchmarks.recording import Statement, recorded
from benchmarks.seeding import Account, make_accounts, make_machine
from zentry.platform.ids import new_id
from zentry.platform.logging import configure_logging
from zentry.platform.settings import Settings
from zentry.wiring import Platform, open_platform

_AT_ONCE: Final = 32
_ACCOUNTS: Final = 160
_OWN_CORE: Final = 0
_DATABASE_CORE: Final = 1
_RECORDED_NAME: Final = "recorded-machine"

# What the platform computes from the account's row, by the statement's beginning and the parameter's name.
_BOOKS: Final = {
    ("INSERT INTO ledger_entries", "position"): "next_position",
    ("INSERT INTO ledger_entries", "hash"): "next_head",
    ("UPDATE users", "new_held"): "next_held",
    ("UPDATE users", "new_position"): "next_position",
    ("UPDATE users", "new_head"): "next_head",
    ("UPDATE users", "seen_position"): "position",
}


def main(rounds: int = 9, creates: int = 1000) -> None:
    with directory() as place, postgres(core=_DATABASE_CORE) as url, on_core(_OWN_CORE):
        pools = {"pool_size": _AT_ONCE, "pool_overflow": 0, "slow_query_seconds": 60.0}
        settings = settings_for(place / "data", database={"url": url, **pools})
        configure_logging(settings.log)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            platform, bare, count = runner.run(_measure(settings, rounds=rounds, creates=creates))
    ratios = [ours.rate / theirs.rate for ours, theirs in zip(platform, bare, strict=True)]
    show(
        f"Creating a VM: one transaction of {count} statements, {_AT_ONCE} at once",
        [
            Figure("the platform", [turn.rate for turn in platform], "/s", digits=0),
            Figure("the same statements through asyncpg", [turn.rate for turn in bare], "/s", digits=0),
            Figure("platform / bare", ratios, "×", digits=3, goal="≥ 0.4 ×"),
            Figure("processor time of the platform", [turn.cpu_us for turn in platform], "µs", digits=0),
            Figure("processor time of the bare side", [turn.cpu_us for turn in bare], "µs", digits=0),
        ],
    )


@dataclass(frozen=True, slots=True)
class _Turn:
    """How fast machines were created, and what one cost this process."""

    rate: float
    cpu_us: float


async def _measure(settings: Settings, *, rounds: int, creates: int) -> tuple[list[_Turn], list[_Turn], int]:
    async with open_platform(settings) as platform:
        await platform.migrations.upgrade()
        accounts = await make_accounts(platform, _ACCOUNTS)
        statements = await _record(platform, accounts[0])
        bare = await Bare.open(settings.database.url, statements, accounts[0])
        gc.collect()
        gc.freeze()
        turns = itertools.cycle(accounts)
        names = (f"machine-{number}" for number in itertools.count())
        ours: list[_Turn] = []
        theirs: list[_Turn] = []
        for _ in range(rounds + 1):
            ours.append(await _turn(lambda account, name: make_machine(platform, account, name), turns, names, creates))
            theirs.append(await _turn(bare.create, turns, names, creates))
        await bare.close()
    return ours[1:], theirs[1:], len(statements)  # The first round warms up.


async def _turn(
    create: Callable[[Account, str], Awaitable[None]], turns: Iterator[Account], names: Iterator[str], creates: int
) -> _Turn:
    """Create machines, so many at once."""

    async def work() -> None:
        for _ in range(creates // _AT_ONCE):
            await create(next(turns), next(names))

    count = creates // _AT_ONCE * _AT_ONCE
    started, spent = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    return _Turn(rate=count / (time.perf_counter() - started), cpu_us=(time.process_time() - spent) / count * 1_000_000)


async def _record(platform: Platform, account: Account) -> Sequence[Statement]:
    await make_machine(platform, account, "first-machine")  # What happens once per process is not recorded.
    with recorded(platform.database) as statements:
        await make_machine(platform, account, _RECORDED_NAME)
    return statements


@dataclass(frozen=True, slots=True)
class _Step:
    """A statement, its parameters as they were recorded, and which of them are filled in anew."""

    sql: str
    parameters: Sequence[Any]
    fresh: Sequence[tuple[int, str]]


class Bare:
    """Sends what was recorded."""

    def __init__(self, steps: Sequence[_Step], ids: Sequence[str], deadline: timedelta) -> None:
        self._steps = steps
        self._ids = ids
        self._deadline = deadline
        self._random = Random()
        self._numbers = itertools.count()
        self._connections: list[Any] = []

    @classmethod
    async def open(cls, url: str, statements: Sequence[Statement], account: Account) -> Bare:
        """Make a plan of what was recorded, and as many connections as are used at once."""
        plan = _Plan(statements, account)
        bare = cls(plan.steps, list(plan.ids.values()), plan.deadline)
        bare._connections = [await asyncpg.connect(url) for _ in range(_AT_ONCE)]
        return bare

    async def close(self) -> None:
        for connection in self._connections:
            await connection.close()

    async def create(self, account: Account, name: str) -> None:
        """Run the transaction for an account."""
        connection = self._connections.pop()
        fresh: dict[str, Any] = {"user": account.caller.user_id, "project": account.project_id, "name": name}
        async with connection.transaction():
            for step in self._steps:
                parameters = [*step.parameters]
                for position, slot in step.fresh:
                    parameters[position] = fresh[slot]
                rows = await connection.fetch(step.sql, *parameters)
                if step is self._steps[0]:
                    self._begin(fresh, rows[0][0])
                elif "ledger_head" in step.sql and step.sql.startswith("SELECT"):
                    self._read_books(fresh, rows[0])
        self._connections.append(connection)

    def _begin(self, fresh: dict[str, Any], now: datetime) -> None:
        fresh["now"] = now
        fresh["deadline"] = now + self._deadline
        for slot in self._ids:
            fresh[slot] = new_id(now, self._random)
        number = next(self._numbers)  # Outside of the platform's network, so that no two are the same.
        fresh["address"] = f"172.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        fresh["name_data"] = f'{{"name":"{fresh["name"]}","instance_type":"small"}}'

    @staticmethod
    def _read_books(fresh: dict[str, Any], row: Any) -> None:
        fresh["position"] = row["ledger_position"]
        fresh["next_position"] = row["ledger_position"] + 1
        fresh["cause"] = f"hold:{fresh['name']}"
        fresh["next_head"] = hashlib.sha256(f"{row['ledger_head']}{fresh['cause']}".encode()).hexdigest()
        fresh["next_held"] = row["held"]


class _Plan:
    """Finds out which recorded values are the machine's own, and so must be fresh each time."""

    def __init__(self, statements: Sequence[Statement], account: Account) -> None:
        self.ids: dict[UUID, str] = {}
        self.deadline = timedelta(0)
        self._known: dict[Any, str] = {
            account.caller.user_id: "user",
            account.project_id: "project",
            _RECORDED_NAME: "name",
        }
        self._now = next(
            value for statement in statements for value in statement.parameters if isinstance(value, datetime)
        )
        self.steps = [self._step(statement) for statement in statements]

    def _step(self, statement: Statement) -> _Step:
        slots = [
            self._slot(statement.sql, name, value)
            for name, value in zip(statement.names, statement.parameters, strict=True)
        ]
        return _Step(
            statement.sql,
            [str(value) if isinstance(value, str) else value for value in statement.parameters],
            [(position, slot) for position, slot in enumerate(slots) if slot],
        )

    def _slot(self, sql: str, name: str, value: Any) -> str:
        for (beginning, parameter), slot in _BOOKS.items():
            if name == parameter and sql.startswith(beginning):
                return slot
        if isinstance(value, datetime):
            if value != self._now:
                self.deadline = value - self._now
            return "now" if value == self._now else "deadline"
        if isinstance(value, UUID) and value not in self._known:
            return self.ids.setdefault(value, f"id-{len(self.ids)}")
        if name in {"address", "ip_address", "cause"} and value != "user":
            return name.removeprefix("ip_")
        if isinstance(value, str) and value.startswith('{"name"'):
            return "name_data"
        return self._known.get(value, "") if isinstance(value, str | UUID) else ""


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
