"""Several processes of the platform at once, which may be killed at any moment and are started again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import httpx

from tests.support.program import PROGRAM, environment

_START_SECONDS: Final = 60


@dataclass(slots=True)
class Member:
    """One process, and the one after it when it was killed."""

    command: str
    arguments: Sequence[str | Path]
    settings: dict[str, str]
    log: Path
    url: str = ""
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process and wait until it says that it is there."""
        port = () if self.command == "worker" else ("--port", "0")
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                PROGRAM,
                self.command,
                *port,
                *self.arguments,
                env=environment(**self.settings),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        async with asyncio.timeout(_START_SECONDS):
            async for line in self.process.stdout:
                text = line.decode()
                if text.strip().startswith("API"):
                    self.url = text.split()[1]
                if "Ctrl-C" in text:
                    return
        raise AssertionError(f"{self.command} did not start: {self.log.read_text()[-2000:]}")

    async def kill(self, number: int = signal.SIGKILL) -> None:
        """End the process without a word."""
        self.url = ""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            await self.process.wait()


@dataclass(slots=True)
class Fleet:
    """The members, how often one was killed, and how often one stood still."""

    members: list[Member]
    kills: int = 0
    dozes: int = 0
    _random: Random = field(default_factory=lambda: Random(1))

    def api(self) -> str | None:
        """Return the address of some API that is up."""
        urls = [member.url for member in self.members if member.url]
        return self._random.choice(urls) if urls else None

    async def doze(self, *, rounds: int, seconds: float, random: Random, between_seconds: tuple[float, float]) -> None:
        """Let a worker at random stand still for so long, in the middle of whatever it does, so many times."""
        workers = [member for member in self.members if member.command == "worker"]
        for _ in range(rounds):
            await asyncio.sleep(random.uniform(*between_seconds))
            process = random.choice(workers).process
            assert process is not None
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            process.send_signal(signal.SIGCONT)
            self.dozes += 1

    async def storm(self, *, kills: int, random: Random, between_seconds: tuple[float, float]) -> None:
        """Kill a member at random and start it again, so many times."""
        for _ in range(kills):
            await asyncio.sleep(random.uniform(*between_seconds))
            member = random.choice(self.members)
            await member.kill()
            self.kills += 1
            await member.start()


@contextlib.asynccontextmanager
async def running_fleet(
    commands: Sequence[str], *, directory: Path, arguments: Sequence[str | Path] = (), **settings: str
) -> AsyncIterator[Fleet]:
    """Start the members, and end them afterwards."""
    members = [
        Member(command, arguments, settings, directory / f"{number}-{command}.log")
        for number, command in enumerate(commands)
    ]
    fleet = Fleet(members)
    try:
        for member in members:
            await member.start()
        yield fleet
    finally:
        for member in members:
            await member.kill()


async def insist(
    client: httpx.AsyncClient,
    fleet: Fleet,
    method: str,
    path: str,
    *,
    headers: dict[str, str],
    body: object | None = None,
) -> httpx.Response:
    """Send a request again, to whoever is up, until it is answered by somebody who could."""
    async with asyncio.timeout(120):
        while True:
            url = fleet.api()
            if url is not None:
                with contextlib.suppress(httpx.TransportError):
                    answer = await client.request(method, url + path, headers=headers, json=body)
                    if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                        return answer
                    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
            await asyncio.sleep(0.05)
