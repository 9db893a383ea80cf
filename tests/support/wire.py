"""A wire between the platform and a server that can be cut, held and mended: a proxy on the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import StrEnum


class Line(StrEnum):
    """What the wire does with bytes and with new connections."""

    OPEN = "open"
    CUT = "cut"
    """Connections end, and new ones are closed at once."""
    SILENT = "silent"
    """Connections stay, and nothing passes any more, as when a cable is pulled."""


class Wire:
    """Carries bytes to one server."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._line = Line.OPEN
        self._passing = asyncio.Event()
        self._passing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    def turn(self, line: Line) -> None:
        """Open, cut or silence the wire."""
        self._line = line
        if line is Line.SILENT:
            self._passing.clear()
        else:
            self._passing.set()
        if line is Line.CUT:
            for writer in list(self._writers):
                writer.transport.abort()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        if self._line is Line.CUT:
            writer.transport.abort()
            return
        with contextlib.suppress(OSError):
            await self._passing.wait()
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
            ends = {writer, upstream_writer}
            self._writers |= ends
            try:
                await asyncio.gather(self._pump(reader, upstream_writer), self._pump(upstream_reader, writer))
            finally:
                self._writers -= ends
                for end in ends:
                    end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._passing.wait()
            writer.write(data)
            await writer.drain()
        writer.transport.abort()


@contextlib.asynccontextmanager
async def wire_to(host: str, port: int) -> AsyncIterator[Wire]:
    """Open a wire to a server; `port` of it is where to connect."""
    wire = Wire(host, port)
    server = await asyncio.start_server(wire.accept, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        wire.turn(Line.CUT)
        server.close()
        await server.wait_closed()
