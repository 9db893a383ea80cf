"""A client that costs little: one keep-alive connection, requests written and answers cut as bytes.

As a script it is the load for machines without wrk:

    python -m benchmarks.http_client URL CONNECTIONS SECONDS TOKEN
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Connection:
    """One connection to the API."""

    def __init__(self, url: str, token: str = "") -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 80
        self.token = token
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None

    async def request(self, method: str, target: str, body: Any = None) -> tuple[int, bytes]:
        """Send one request; return the answer's status and body."""
        if self._writer is None or self._reader.at_eof():  # A server closes what has been idle for a while.
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=2**22)
        head = f"{method} {target} HTTP/1.1\r\nHost: {self._host}\r\n"
        if self.token:
            head += f"Authorization: Bearer {self.token}\r\n"
        content = b""
        if body is not None:
            content = msgspec.json.encode(body)
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        self._writer.write(f"{head}\r\n".encode() + content)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(answer)
        return int(answer[9:12]), await self._reader.readexactly(int(length[1]) if length else 0)

    async def close(self) -> None:
        """Close it."""
        if self._writer is not None:
            self._writer.close()
            await self._writer.wait_closed()


async def hammer(url: str, *, connections: int, seconds: float, token: str) -> int:
    """Ask for one URL over and over; return how many answers came."""
    address = urlsplit(url)
    target = f"{address.path}?{address.query}"
    ends_at = time.perf_counter() + seconds

    async def ask() -> int:
        count, connection = 0, Connection(url, token)
        while time.perf_counter() < ends_at:
            status, _ = await connection.request("GET", target)
            assert status == 200, status
            count += 1
        await connection.close()
        return count

    return sum(await asyncio.gather(*(ask() for _ in range(connections))))


if __name__ == "__main__":
    wanted, number, duration, bearer = sys.argv[1:]
    print(asyncio.run(hammer(wanted, connections=int(number), seconds=float(duration), token=bearer)))
