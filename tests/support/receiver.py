"""A receiver of webhooks on a free port of the loopback interface, which may fail as it is told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """One post that has come in."""

    headers: dict[str, str]
    body: bytes
    answered: int

    @property
    def id(self) -> str:
        """Its webhook-id."""
        return self.headers["webhook-id"]

    @property
    def content(self) -> Any:
        """What it says."""
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """Check the signature, as the guide says."""
        signed = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        return any(hmac.compare_digest(expected, one) for one in self.headers["webhook-signature"].split(" "))


@dataclass(slots=True)
class Receiver:
    """What has come in, and how it is answered."""

    url: str = ""
    messages: list[Message] = field(default_factory=list)
    answer: Callable[[], int] = lambda: 200
    extra: str = ""
    """Headers of every answer, each with its line end."""
    silent: bool = False
    """Whether it takes messages and never answers."""

    @property
    def taken(self) -> list[Message]:
        """Those that were answered with success."""
        return [message for message in self.messages if message.answered == 200]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            status = self.answer()
            self.messages.append(Message(headers, body, status))
            if self.silent:
                await reader.read()  # Until the other side gives up.
                return
            head = f"HTTP/1.1 {status} X\r\n{self.extra}Content-Length: 2\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + b"ok")
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def receiving(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Listen until the end of the block."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    receiver.url = f"http{'s' if tls else ''}://127.0.0.1:{port}/hook?from=zentry"
    async with server:
        yield receiver
