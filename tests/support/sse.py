"""A client of server-sent events that talks with the application itself, and may stop taking what is sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import FastAPI

_PATIENCE_SECONDS: Final = 30.0


@dataclass(slots=True)
class Listener:
    """One open stream."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""
    is_over: bool = False
    takes: asyncio.Event = field(default_factory=asyncio.Event)
    """Unset it to be a client that reads nothing."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: Any) -> None:
        """Take a message of the application."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.text += message.get("body", b"").decode()
            self.is_over = not message.get("more_body")
        self._news.set()
        await self.takes.wait()

    @property
    def frames(self) -> list[dict[str, str]]:
        """Every complete block, by its fields."""
        blocks = self.text.split("\n\n")[:-1]
        return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every event that has come."""
        return [json.loads(frame["data"]) for frame in self.frames if "data" in frame and "event" not in frame]

    @property
    def last_id(self) -> int:
        """The position with which a client would go on."""
        return int([frame["id"] for frame in self.frames if "id" in frame][-1])

    async def until(self, holds: Any) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not holds(self):
                await self._news.wait()
                self._news.clear()


@contextlib.asynccontextmanager
async def listening(app: FastAPI, headers: Mapping[str, str], path: str = "/events/stream") -> AsyncIterator[Listener]:
    """Follow events; hang up at the end of the block."""
    listener = Listener()
    listener.takes.set()
    hung_up = asyncio.Event()
    where, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": where,
        "raw_path": where.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("zentry.test", 80),
    }

    async def receive() -> Any:
        await hung_up.wait()
        return {"type": "http.disconnect"}

    async def ask() -> None:
        await app(scope, receive, listener.send)
        listener.is_over = True
        listener._news.set()

    asking = asyncio.create_task(ask())
    try:
        await listener.until(lambda one: one.status)
        yield listener
    finally:
        hung_up.set()
        listener.takes.set()
        await asking
