"""What knowing who asks costs, what logins do to everybody else, and whether times tell who has an account.

* `GET /auth/me` with a token against the same endpoint with the caller put on the request, inside one process.
* The 99th percentile of a light endpoint of a real server, without logins and while logins run at full rate.
* The medians of failed logins with a known and with an unknown e-mail (R15).

    python -m benchmarks.sign_in [ROUNDS] [SECONDS]
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

import httpx
import msgspec

from benchmarks.harness import PASSWORD, Figure, directory, environment_of, on_core, settings_for, show
from benchmarks.http_client import Connection
from tests.support.program import serving
from zentry.platform.caller import Caller, Role
from zentry.platform.logging import configure_logging
from zentry.wiring import open_platform

_SERVER_CORE: Final = 0
_LOAD_CORE: Final = 1
_REQUESTS: Final = 300
_LOGINS_AT_ONCE: Final = 8
_LIGHT: Final = "/auth/me"
_OK: Final = 200
_SIGNUP: Final = {"email": "ada@example.com", "name": "Ada Test", "password": PASSWORD}


def main(rounds: int = 15, seconds: int = 4) -> None:
    """Measure and print."""
    known, bare = asyncio.run(_knowing(rounds))
    ratios = [mine / theirs for mine, theirs in zip(known, bare, strict=True)]
    show(
        "GET /auth/me, requests per second inside one process",
        (
            Figure("with a token", known, "/s", digits=0),
            Figure("the caller put on the request", bare, "/s", digits=0),
            Figure("with a token ÷ without", ratios, "", goal="≥ 0.8"),
        ),
    )
    quiet, busy, logins = _beside_logins(rounds=max(3, rounds // 3), seconds=seconds)
    shares = [mine / theirs for mine, theirs in zip(busy, quiet, strict=True)]
    show(
        "99th percentile of GET /auth/me while logins run at full rate (bcrypt 12, SQLite)",
        (
            Figure("without logins", quiet, "ms"),
            Figure("with logins", busy, "ms"),
            Figure("with ÷ without", shares, "", goal="≤ 2"),
            Figure("logins", logins, "/s", digits=1),
        ),
    )
    known_ms, unknown_ms = asyncio.run(_guesses(rounds * 14))
    difference = [abs(statistics.median(known_ms) - statistics.median(unknown_ms))]
    show(
        "Failed logins, known and unknown e-mail in turn (bcrypt 12)",
        (
            Figure("known e-mail", known_ms, "ms"),
            Figure("unknown e-mail", unknown_ms, "ms"),
            Figure("difference of the medians", difference, "ms", goal="< 2 ms"),
        ),
    )


async def _knowing(rounds: int) -> tuple[list[float], list[float]]:
    with directory() as place, on_core(_SERVER_CORE):
        settings = settings_for(place)
        configure_logging(settings.log)
        async with open_platform(settings) as platform:
            await platform.migrations.upgrade()
            async with _client(platform.app) as client:
                tokens = (await client.post("/auth/signup", json=_SIGNUP)).json()
            caller = Caller(UUID(tokens["user"]["id"]), UUID(int=0), Role.USER)

            async def with_caller(scope: Any, receive: Any, send: Any) -> None:
                scope["zentry.caller"] = caller
                await platform.app(scope, receive, send)

            async with _client(platform.app) as signed, _client(with_caller) as bare:
                signed.headers["Authorization"] = f"Bearer {tokens['access_token']}"
                figures: tuple[list[float], list[float]] = ([], [])
                for _ in range(rounds + 1):
                    for client, values in zip((signed, bare), figures, strict=True):
                        values.append(await _rate(client))
    return figures[0][1:], figures[1][1:]


def _client(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://zentry.bench")


async def _rate(client: httpx.AsyncClient) -> float:
    started = time.perf_counter()
    for _ in range(_REQUESTS):
        answer = await client.get(_LIGHT)
        assert answer.status_code == _OK, answer.text
    return _REQUESTS / (time.perf_counter() - started)


def _beside_logins(*, rounds: int, seconds: int) -> tuple[list[float], list[float], list[float]]:
    with directory() as place:
        settings = settings_for(place, security={"bcrypt_cost": 12}, limits={"signin_per_minute": 0})
        with (
            serving("--data-dir", place, cwd=place, **environment_of(settings)) as server,
            on_core(_LOAD_CORE),
        ):
            return asyncio.run(_alternate(server.url, rounds=rounds, seconds=seconds))


async def _alternate(url: str, *, rounds: int, seconds: int) -> tuple[list[float], list[float], list[float]]:
    connection = Connection(url)
    _, content = await connection.request("POST", "/auth/signup", _SIGNUP)
    token = msgspec.json.decode(content)["access_token"]
    quiet: list[float] = []
    busy: list[float] = []
    rates: list[float] = []
    await _p99(url, token, seconds=1)
    for _ in range(rounds):
        quiet.append(await _p99(url, token, seconds=seconds))
        logins = Logins(url)
        async with logins.running():
            before = logins.done
            busy.append(await _p99(url, token, seconds=seconds))
            rates.append((logins.done - before) / seconds)
    await connection.close()
    return quiet, busy, rates


class Logins:
    """Logins as fast as the server takes them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = asyncio.Event()
        self.done = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._log_in()) for _ in range(_LOGINS_AT_ONCE)]
        await asyncio.sleep(1)
        try:
            yield
        finally:
            self._stop.set()
            await asyncio.gather(*tasks)

    async def _log_in(self) -> None:
        connection = Connection(self._url)
        body = {"email": _SIGNUP["email"], "password": PASSWORD}
        while not self._stop.is_set():
            status, _ = await connection.request("POST", "/auth/login", body)
            self.done += status == _OK
        await connection.close()


async def _p99(url: str, token: str, *, seconds: float) -> float:
    """Ask at an even pace, as a person does, and return the 99th percentile in milliseconds."""
    connection = Connection(url, token)
    took: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter()
        status, _ = await connection.request("GET", _LIGHT)
        assert status == _OK
        took.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(0.005)
    await connection.close()
    return statistics.quantiles(took, n=100)[98]


async def _guesses(count: int) -> tuple[list[float], list[float]]:
    with directory() as place:
        settings = settings_for(place, security={"bcrypt_cost": 12, "login_failures": 100})
        configure_logging(settings.log)
        async with open_platform(settings) as platform:
            await platform.migrations.upgrade()
            async with _client(platform.app) as client:
                await client.post("/auth/signup", json=_SIGNUP)

                async def guess(email: str) -> float:
                    started = time.perf_counter()
                    answer = await client.post("/auth/login", json={"email": email, "password": "wrong"})
                    assert answer.status_code == httpx.codes.UNAUTHORIZED
                    return (time.perf_counter() - started) * 1000

                known: list[float] = []
                unknown: list[float] = []
                for number in range(count):
                    if number % 50 == 0:  # A success forgets the tries before.
                        for email in (str(_SIGNUP["email"]), f"nobody{number}@example.com"):
                            await client.post("/auth/login", json={"email": email, "password": PASSWORD})
                    known.append(await guess(str(_SIGNUP["email"])))
                    unknown.append(await guess(f"nobody{number // 50}@example.com"))
    return known, unknown


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
