"""Processor time of `GET /vms?limit=50`, against the least that can give the same answer.

Both servers run at once and are asked in turns, each on the same core; PostgreSQL and the load
have the other. What counts is processor time per request, so that waiting costs nobody anything.
Rounds are short and many: what else the machine does then meets both alike.

    python -m benchmarks.list_vms [ROUNDS [SECONDS]]
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from benchmarks.bare import Plan
from benchmarks.harness import (
    Figure,
    cpu_seconds,
    directory,
    environment_of,
    on_core,
    postgres,
    settings_for,
    show,
)
from benchmarks.recording import recorded
from benchmarks.seeding import Account, seed
from tests.support.program import serving
from zentry.platform.settings import Settings
from zentry.vms.views import VMFilter, VMViews
from zentry.wiring import open_platform

_LIMIT: Final = 50
_SERVER_CORE: Final = 0
_LOAD_CORE: Final = 1
_CONNECTIONS: Final = 8
_MOVING: Final = ("uptime_hours", "current_session_hours", "total_cost")


def main(rounds: int = 25, seconds: int = 1) -> None:
    with directory() as place, postgres(core=_LOAD_CORE) as database_url:
        settings = settings_for(place / "data", database={"url": database_url}, log={"level": "info"})
        account = asyncio.run(seed(settings, accounts=20, machines=_LIMIT))[7]
        plan = asyncio.run(_plan(settings, account))
        with on_core(_SERVER_CORE):
            platform = serving("--data-dir", place / "data", command="api", cwd=place, **environment_of(settings))
            bare = _bare(plan, place)
            with platform as ours, bare as (bare_process, bare_url):
                urls = {ours.process.pid: ours.url, bare_process: bare_url}
                _ensure_same_answer(ours.url, bare_url, account.token)
                costs = _measure(urls, account.token, rounds=rounds, seconds=seconds)
    platform_us, bare_us = costs.values()
    ratios = [theirs / ours for ours, theirs in zip(platform_us, bare_us, strict=True)]
    show(
        f"`GET /vms?limit={_LIMIT}`: processor time of the server per request",
        [
            Figure("the platform", platform_us, "µs", digits=0),
            Figure("bare ASGI, asyncpg and msgspec", bare_us, "µs", digits=0),
            Figure("bare / platform", ratios, "×", digits=3, goal="≥ 0.45 ×"),
        ],
    )


async def _plan(settings: Settings, account: Account) -> Plan:
    """Find out what the platform asks the database for this page."""
    async with open_platform(settings) as platform:
        with recorded(platform.database) as statements:
            async with platform.database.read() as tx:
                await VMViews(tx).list(VMFilter(), caller=account.caller, limit=_LIMIT + 1)
    (statement,) = statements
    return Plan(
        database_url=settings.database.url,
        sql=statement.sql,
        parameters=[None if isinstance(value, datetime) else value for value in statement.parameters],
        limit=_LIMIT,
    )


@contextlib.contextmanager
def _bare(plan: Plan, place: Path) -> Iterator[tuple[int, str]]:
    file = place / "plan.json"
    file.write_bytes(msgspec.json.encode(plan))
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bare", file], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.pid, f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def _ensure_same_answer(ours: str, bare: str, token: str) -> None:
    pages: list[dict[str, Any]] = []
    for url in (ours, bare):
        answer = httpx.get(
            f"{url}/vms?limit={_LIMIT}", headers={"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        )
        page = answer.raise_for_status().json()
        assert len(page["vms"]) == _LIMIT
        for vm in page["vms"]:
            for name in _MOVING:
                assert vm.pop(name) >= 0
        pages.append(page)
    assert pages[0] == pages[1], "the two must give one answer"


def _measure(urls: Mapping[int, str], token: str, *, rounds: int, seconds: int) -> dict[int, list[float]]:
    """Return processor time per request in µs, by process; the first round warms up."""
    costs: dict[int, list[float]] = {pid: [] for pid in urls}
    for _ in range(rounds + 1):
        for pid, url in urls.items():
            before = cpu_seconds(pid)
            count = _load(f"{url}/vms?limit={_LIMIT}", token, seconds=seconds)
            costs[pid].append((cpu_seconds(pid) - before) / count * 1e6)
    return {pid: measured[1:] for pid, measured in costs.items()}


def _load(url: str, token: str, *, seconds: int) -> int:
    """Ask for a URL over and over from the other core; return how many answers came."""
    if wrk := shutil.which("wrk"):
        command = [wrk, "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "-H", f"Authorization: Bearer {token}", url]
    else:
        client = [sys.executable, "-m", "benchmarks.http_client"]
        command = [*client, url, str(_CONNECTIONS), str(seconds), token]
    with on_core(_LOAD_CORE):
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in said, said
    counted = re.search(r"(\d+) requests in", said)
    return int(counted[1] if counted else said)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
