"""Resident memory of `zentry serve`, idle, with 1,000 running VMs in its database.

python -m benchmarks.memory [RUNS]
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Final

import httpx

from benchmarks.harness import Figure, directory, environment_of, resident_mib, settings_for, show
from benchmarks.seeding import seed
from tests.support.program import serving

_ACCOUNTS: Final = 20
_MACHINES: Final = 50
_IDLE_SECONDS: Final = 20.0


def main(runs: int = 5) -> None:
    with directory() as place:
        settings = settings_for(place / "data", log={"level": "info"})
        token = asyncio.run(seed(settings, accounts=_ACCOUNTS, machines=_MACHINES))[0].token
        variables = environment_of(settings)
        measured = [_run(place, token, variables) for _ in range(runs)]
    show(
        f"`zentry serve` with {_ACCOUNTS * _MACHINES} running VMs on SQLite",
        [
            Figure("after the start", [start for start, _ in measured], "MiB", digits=1),
            Figure(
                f"idle for {_IDLE_SECONDS:.0f} s, samples of all VMs included",
                [idle for _, idle in measured],
                "MiB",
                digits=1,
                goal="< 150 MiB",
            ),
        ],
    )


def _run(place: Path, token: str, variables: dict[str, str]) -> tuple[float, float]:
    with serving("--data-dir", place / "data", cwd=place, **variables) as server:
        start = resident_mib(server.process.pid)
        headers = {"Authorization": f"Bearer {token}"}
        page = httpx.get(f"{server.url}/vms", headers=headers).raise_for_status().json()
        assert [vm["status"] for vm in page["vms"]] == ["running"] * _MACHINES
        time.sleep(_IDLE_SECONDS)
        return start, resident_mib(server.process.pid)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
