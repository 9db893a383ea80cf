"""From the request to `running`: machines per second, with 20 clients at once and a simulator that takes no time.

PostgreSQL, the server's processes and the clients share all cores. Each client asks for machines one after
another and waits for each on the long poll that `Prefer: wait` gives.

    python -m benchmarks.create_rate [MACHINES] [ROUNDS]
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.harness import Figure, directory, environment_of, postgres, settings_for, show
from benchmarks.http_client import Connection
from benchmarks.seeding import Account, seed
from tests.support.program import serving
from zentry.platform.settings import Settings

_CLIENTS: Final = 20
_WARM_UP: Final = 100


def main(machines: int = 1000, rounds: int = 5) -> None:
    with directory() as place, postgres() as url:
        settings = settings_for(
            place / "data",
            database={"url": url},
            simulator={"boot_seconds": 0.0, "action_seconds": 0.0, "hosts": 1000},
            operations={"wait_seconds": 30.0},
        )
        accounts = asyncio.run(seed(settings, accounts=_CLIENTS, machines=0))
        with _platform(place, settings) as server:
            asyncio.run(_create(server, accounts, _WARM_UP, "warm"))
            measured = [asyncio.run(_create(server, accounts, machines, f"round{number}")) for number in range(rounds)]
    times = [time_ms for _, times_ms in measured for time_ms in times_ms]
    cuts = statistics.quantiles(times, n=100)
    show(
        f"Creating VMs, {_CLIENTS} clients at once, {machines} VMs a round",
        [
            Figure("running machines per second", [rate for rate, _ in measured], "/s", digits=0, goal="≥ 100 /s"),
            Figure(f"request to running  (p99 {cuts[98]:.0f} ms)", times, "ms", digits=0, goal="p50 < 150 ms"),
        ],
    )


@contextlib.contextmanager
def _platform(place: Path, settings: Settings) -> Iterator[str]:
    """Run an API and a worker process; give the URL."""
    variables = environment_of(settings)
    arguments = ("--data-dir", place / "data")
    with (
        serving(*arguments, cwd=place, command="api", **variables) as api,
        serving(*arguments, cwd=place, command="worker", **variables),
    ):
        yield api.url


async def _create(url: str, accounts: Sequence[Account], machines: int, prefix: str) -> tuple[float, list[float]]:
    """Return machines per second, and how many milliseconds each took."""
    numbers = itertools.count()
    times: list[float] = []

    async def work(account: Account) -> None:
        connection = Connection(url, account.token)
        while (number := next(numbers)) < machines:
            wish = {"name": f"{prefix}-{number}", "instance_type": "small", "image": "debian-12"}
            started = time.perf_counter()
            status, content = await connection.request("POST", "/vms", wish | {"project_id": str(account.project_id)})
            times.append((time.perf_counter() - started) * 1000)
            assert status == 201, content
            assert msgspec.json.decode(content)["status"] == "running", content
        await connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(work(account) for account in accounts))
    return machines / (time.perf_counter() - started), times


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
