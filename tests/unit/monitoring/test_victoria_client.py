"""The client of VictoriaMetrics: connections that stay open, end, or say nothing that can be understood."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from zentry.monitoring.errors import MetricsUnavailable
from zentry.monitoring.victoria_client import FORM, VictoriaClient

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


@dataclass
class Server:
    """Answers with what it is told, and remembers what it was asked."""

    answers: list[bytes]
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    ends_after_each: bool = False
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                self.asked.set()
                await self.hold.wait()
                writer.write(self.answers.pop(0) if self.answers else _echo(self.heads[-1]))
                await writer.drain()
                if self.ends_after_each:
                    break
        writer.close()


def _echo(head: str) -> bytes:
    path = head.split()[1].encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    async with contextlib.AsyncExitStack() as stack:

        async def start(*answers: bytes, ends_after_each: bool = False) -> Server:
            server = Server(list(answers), ends_after_each=ends_after_each)
            server.hold.set()
            listening = await stack.enter_async_context(await asyncio.start_server(server.serve, "127.0.0.1", 0))
            server.url = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            return server

        yield start


async def test_one_connection_serves_many_requests(serve: Callable[..., Awaitable[Server]]) -> None:
    server = await serve(OK, CHUNKED)
    client = VictoriaClient(f"http://ada:p%40ss@{server.url}/tenant/")

    answers = [
        await client.ask("POST", "/write?precision=ms", b"rows"),
        await client.ask("POST", "/q", b"x", kind=FORM),
    ]

    assert answers == [b"ok", b"abcde"]
    assert server.connections == 1
    assert server.heads[0].splitlines()[:3] == [
        "POST /tenant/write?precision=ms HTTP/1.1",
        f"Host: {server.url}",
        "Authorization: Basic YWRhOnBAc3M=",
    ]
    await client.close()


async def test_what_the_server_has_closed_meanwhile_is_asked_anew(serve: Callable[..., Awaitable[Server]]) -> None:
    server = await serve(OK, OK, ends_after_each=True)
    client = VictoriaClient(f"http://{server.url}")

    answers = [await client.ask("GET", "/health") for _ in range(2)]

    assert (answers, server.connections) == ([b"ok", b"ok"], 2)
    await client.close()


async def test_the_answer_to_one_who_left_is_nobody_elses(serve: Callable[..., Awaitable[Server]]) -> None:
    server = await serve()
    client = VictoriaClient(f"http://{server.url}")
    server.hold.clear()
    leaving = asyncio.create_task(client.ask("GET", "/first"))
    await server.asked.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    server.hold.set()

    answer = await client.ask("GET", "/second")

    assert (answer, server.connections) == (b"/second", 2)
    await client.close()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n", b"SSH-2.0\r\n\r\n", OK[:-1], b""])
async def test_an_answer_that_is_none_is_told_as_such(serve: Callable[..., Awaitable[Server]], answer: bytes) -> None:
    server = await serve(answer, ends_after_each=True)
    client = VictoriaClient(f"http://{server.url}")

    with pytest.raises(MetricsUnavailable):
        await client.ask("GET", "/health")

    await client.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "127.0.0.1:8428", "ftp://127.0.0.1"])
async def test_nobody_there_is_told_as_such(url: str) -> None:
    client = VictoriaClient(url)

    with pytest.raises(MetricsUnavailable):
        await client.ask("GET", "/health")
