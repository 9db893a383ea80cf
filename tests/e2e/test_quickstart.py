"""What a newcomer types first, against the real server: the example script, and the commands in the README."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ZENTRY = Path(sys.executable).with_name("zentry")
DOCUMENTED_URL = "http://127.0.0.1:8000"
START_SECONDS = 60.0
RUN_SECONDS = 120.0


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without settings of whoever runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ZENTRY_")} | more


@pytest.fixture
async def server_url(tmp_path: Path) -> AsyncIterator[str]:
    """A real server on a free port and an empty data directory; it must stop cleanly."""
    log = tmp_path / "server.log"
    with log.open("wb") as out:
        server = await asyncio.create_subprocess_exec(
            ZENTRY,
            "serve",
            "--port",
            "0",
            "--data-dir",
            tmp_path / "data",
            stdout=out,
            stderr=out,
            cwd=tmp_path,
            env=clean_environment(),
        )
    try:
        yield await announced_url(server, log)
        server.send_signal(signal.SIGINT)
        async with asyncio.timeout(START_SECONDS):
            assert await server.wait() == 0, log.read_text()
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()


async def announced_url(server: asyncio.subprocess.Process, log: Path) -> str:
    """Wait until the server says where it listens."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            said = await asyncio.to_thread(log.read_text)
            found = re.search(r"API\s+(http://127\.0\.0\.1:\d+)", said)
            if found is not None:
                return found[1]
            assert server.returncode is None, said
            await asyncio.sleep(0.05)


async def run_bash(*arguments: str | Path, **environment: str) -> tuple[int | None, str]:
    """Run bash and return its exit code and everything that it wrote."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=clean_environment(**environment),
    )
    async with asyncio.timeout(RUN_SECONDS):
        output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_the_quick_start_script_goes_from_sign_up_to_the_bill(server_url: str) -> None:
    code, output = await run_bash(ROOT / "examples" / "quickstart.sh", ZENTRY_URL=server_url)

    assert code == 0, output
    for fact in (
        "status           running",
        "VM stopped",
        "Usage of small",
        "Created VM web-1",
        "held             0.0",
    ):
        assert fact in output


async def test_the_quick_start_script_fails_loudly_without_a_server() -> None:
    code, output = await run_bash(ROOT / "examples" / "quickstart.sh", ZENTRY_URL="http://127.0.0.1:9")

    assert code == 1
    assert "Is the server running?" in output


async def test_the_commands_in_the_readme_work_as_they_stand(server_url: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Quick start")[2].partition("\n## ")[0]
    commands = [block for block in re.findall(r"```bash\n(.*?)```", section, re.DOTALL) if "curl" in block]

    script = "set -euo pipefail\n" + "\n".join(commands).replace(DOCUMENTED_URL, server_url)
    code, output = await run_bash("-c", script)

    assert commands, "the quick start has no commands"
    assert code == 0, output
    assert "running" in output
    assert "vm_usage" in output
