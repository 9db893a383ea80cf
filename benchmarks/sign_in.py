"""What knowing who asks costs, what logins do to everybody else, and whether times tell who has an account.

* `GET /auth/me` with a token against the same endpoint with the caller put on the request, inside one process.
* The 99th percentile of a light endpoint of a real server, without logins and while logins run at full rate. Those who
  log in have accounts of their own: one account has no more than a hundred sessions and a few logins at once.
* The medians of failed logins with a known and with an unknown e-mail (R15), and the probability that times as far
  apart come from one distribution (Mann-Whitney).

    python -m benchmarks.sign_in [ROUNDS] [SECONDS] [GUESSES]
"""

from __future__ import annotations

import asyncio
import contextlib
import math
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
_OF_ONE_EMAIL: Final = 50
"""Guesses at one e-mail before a login of its owner clears the count; settings allow 100."""


def main(rounds: int = 15, seconds: int = 4, guesses: int = 200) -> None:
    """Measure and print."""
    told, bare = asyncio.run(_knowing(rounds))
    ratios = [mine / theirs for mine, theirs in zip(told, bare, strict=True)]
    show(
        "GET /auth/me, requests per second inside one process",
        (
            Figure("with a token", told, "/s", digits=0),
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
    known_ms, unknown_ms = asyncio.run(_guesses(guesses))
    pairs = [known - unknown for known, unknown in zip(known_ms, unknown_ms, strict=True)]
    difference = [abs(statistics.median(known_ms) - statistics.median(unknown_ms))]
    show(
        "Failed logins, known and unknown e-mail in turn (bcrypt 12)",
        (
            Figure("known e-mail", known_ms, "ms"),
            Figure("unknown e-mail", unknown_ms, "ms"),
            Figure("known less unknown, of each pair", pairs, "ms"),
            Figure("difference of the medians", difference, "ms", goal="< 2 ms"),
            Figure("Mann-Whitney p", [_mann_whitney(known_ms, unknown_ms)], "", goal="> 0.01"),
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
    token = msgspec.json.decode(await _answer(connection, "POST", "/auth/signup", _SIGNUP))["access_token"]
    for number in range(_LOGINS_AT_ONCE):
        await _answer(connection, "POST", "/auth/signup", {**_SIGNUP, "email": _email(number)})
    await connection.close()
    quiet: list[float] = []
    busy: list[float] = []
    rates: list[float] = []
    await _p99(url, token, seconds=1)
    for _ in range(rounds):
        quiet.append(await _p99(url, token, seconds=seconds))
        logins = Logins(url)
        async with logins.running():
            before, started = logins.done, time.perf_counter()
            busy.append(await _p99(url, token, seconds=seconds))
            rates.append((logins.done - before) / (time.perf_counter() - started))
    return quiet, busy, rates


async def _answer(connection: Connection, method: str, path: str, body: Any = None) -> bytes:
    status, content = await connection.request(method, path, body)
    assert status in {_OK, httpx.codes.CREATED}, f"{method} {path}: {status} {content.decode()}"
    return content


def _email(number: int) -> str:
    return f"user{number}@example.com"


class Logins:
    """Logins as fast as the server takes them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = asyncio.Event()
        self.done = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._log_in(_email(number))) for number in range(_LOGINS_AT_ONCE)]
        await asyncio.sleep(1)
        try:
            yield
        finally:
            self._stop.set()
            await asyncio.gather(*tasks)

    async def _log_in(self, email: str) -> None:
        connection = Connection(self._url)
        while not self._stop.is_set():
            await _answer(connection, "POST", "/auth/login", {"email": email, "password": PASSWORD})
            self.done += 1
        await connection.close()


async def _p99(url: str, token: str, *, seconds: float) -> float:
    """Ask at an even pace, as a person does, and return the 99th percentile in milliseconds."""
    connection = Connection(url, token)
    took: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter()
        await _answer(connection, "GET", _LIGHT)
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

                times: dict[bool, list[float]] = {True: [], False: []}
                for number in range(count):
                    emails = {True: str(_SIGNUP["email"]), False: f"nobody{number // _OF_ONE_EMAIL}@example.com"}
                    if number % _OF_ONE_EMAIL == 0:
                        for email in emails.values():
                            await client.post("/auth/login", json={"email": email, "password": PASSWORD})
                    for is_known in (True, False) if number % 2 else (False, True):
                        times[is_known].append(await guess(emails[is_known]))
    return times[True], times[False]


def _mann_whitney(ones: list[float], others: list[float]) -> float:
    """Return the two-sided probability of ranks as far apart as these, by the normal approximation."""
    ranked = sorted([(value, True) for value in ones] + [(value, False) for value in others])
    ranks = sum(rank for rank, (_, is_one) in enumerate(ranked, 1) if is_one)
    mean = len(ones) * (len(ranked) + 1) / 2
    deviation = math.sqrt(mean * len(others) / 6)
    return math.erfc(abs(ranks - mean) / deviation / math.sqrt(2))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
