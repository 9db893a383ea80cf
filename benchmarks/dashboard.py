"""The dashboard of an account with 1,000 running VMs on PostgreSQL: statements and processor time for each request.

Processor time is this process's, in which the API answers; what PostgreSQL needs is in the time on the clock.

    python -m benchmarks.dashboard [REQUESTS [MACHINES]]
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Final

import httpx

from benchmarks.harness import Figure, directory, postgres, settings_for, show
from benchmarks.seeding import Account, seed
from tests.support.statements import sent
from zentry.platform.settings import Settings
from zentry.wiring import open_platform

_PATH: Final = "/monitoring/dashboard"


def main(requests: int = 50, machines: int = 1_000) -> None:
    with directory() as place, postgres() as url:
        settings = settings_for(place / "data", database={"url": url})
        account = asyncio.run(seed(settings, accounts=1, machines=machines))[0]
        statements, milliseconds, processor = asyncio.run(_ask(settings, account, requests))
    show(
        f"Dashboard of an account with {machines:,} running VMs, PostgreSQL, in one process",
        [
            Figure("statements", statements, "", digits=0, goal="< 3"),
            Figure("time on the clock", milliseconds, "ms", digits=1),
            Figure("processor time of the process", processor, "ms", digits=1),
        ],
    )


async def _ask(
    settings: Settings, account: Account, requests: int
) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
    statements, milliseconds, processor = [], [], []
    async with open_platform(settings) as platform:
        transport = httpx.ASGITransport(app=platform.app)
        headers = {"Authorization": f"Bearer {account.token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://benchmark.test", headers=headers) as client:
            for _ in range(requests):
                (await client.get("/auth/me")).raise_for_status()  # The session is looked at once in a second.
                with sent(platform.database) as found:
                    clock, cpu = time.perf_counter(), time.process_time()
                    answer = (await client.get(_PATH)).raise_for_status()
                    milliseconds.append(1000 * (time.perf_counter() - clock))
                    processor.append(1000 * (time.process_time() - cpu))
                statements.append(float(len(found)))
                assert answer.json()["overview"]["running_vms"] > 0
    return statements, milliseconds, processor


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
