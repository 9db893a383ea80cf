"""A throw-away VictoriaMetrics server on the loopback interface, gone when the tests are, also when they are killed."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from tests.support.debian import ensure_program
from tests.support.postgres import free_port

_START_SECONDS: Final = 60.0
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class VictoriaServer:
    """A running server."""

    url: str
    guard: subprocess.Popen[bytes]

    def flush(self) -> None:
        """Let queries see what was written: the server does so by itself within a second."""
        httpx.get(f"{self.url}/internal/force_flush", timeout=30, trust_env=False).raise_for_status()

    def stop(self) -> None:
        """Stop the server and remove its files."""
        assert self.guard.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.guard.stdin.close()
        self.guard.wait(timeout=30)


def start_victoria(*, memory: str = "64MB") -> VictoriaServer:
    """Start a server of our own; its caches take so much memory."""
    program = ensure_program("victoria-metrics", package="victoria-metrics")
    for _ in range(_ATTEMPTS):
        server = _start(program, memory)
        if _is_ready(server):
            return server
        server.stop()  # Most likely somebody took the port that was free a moment ago.
    raise RuntimeError("VictoriaMetrics does not start.")


def _start(program: Path, memory: str) -> VictoriaServer:
    directory = Path(tempfile.mkdtemp(prefix="zentry-vm-"))
    port = free_port()
    command = [
        str(program),
        f"-storageDataPath={directory / 'data'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",
        "-dedup.minScrapeInterval=1ms",
        "-search.latencyOffset=0s",
        f"-memory.allowedBytes={memory}",
        "-loggerLevel=ERROR",
    ]
    guard = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("postgres_guard.py")), "", str(directory), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=directory,
        start_new_session=True,
    )
    return VictoriaServer(f"http://127.0.0.1:{port}", guard)


def _is_ready(server: VictoriaServer) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.guard.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{server.url}/health", timeout=2, trust_env=False).is_success:
                return True
        time.sleep(0.05)
    return False
