"""The installed program, run as a person runs it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROGRAM: Final = Path(sys.prefix) / "bin" / "zentry"
_TIMEOUT_SECONDS: Final = 60


def environment(**settings: str) -> dict[str, str]:
    """Return an environment without settings but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ZENTRY_")}
    return {**kept, "COLUMNS": "200", "NO_COLOR": "1", **settings}


def run(*arguments: str | Path, cwd: Path, given: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [PROGRAM, *arguments],
        cwd=cwd,
        env=environment(**settings),
        input=given,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )


@dataclass(frozen=True, slots=True)
class Running:
    """A server that was started."""

    process: subprocess.Popen[str]
    url: str
    announcement: str
    log_file: Path

    @property
    def port(self) -> str:
        """The port that it took."""
        return self.url.rpartition(":")[2]

    def stop(self, signal: int) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(signal)
        return self.process.wait(timeout=_TIMEOUT_SECONDS)

    def log(self) -> str:
        """Return what it wrote to standard error."""
        return self.log_file.read_text(encoding="utf-8")


@contextlib.contextmanager
def serving(*arguments: str | Path, cwd: Path, command: str = "serve", **settings: str) -> Iterator[Running]:
    """Start a server on a free port, wait until it says where it is, and end it afterwards."""
    port = () if command == "worker" else ("--port", "0")
    with (cwd / f"{command}.log").open("w+") as log:
        process = subprocess.Popen(
            [PROGRAM, command, *port, *arguments],
            cwd=cwd,
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        with process:
            try:
                yield _announced(process, cwd / f"{command}.log")
            finally:
                process.kill()


def _announced(process: subprocess.Popen[str], log: Path) -> Running:
    assert process.stdout is not None
    lines: list[str] = []
    url = ""
    for line in process.stdout:
        lines.append(line)
        if line.strip().startswith("API"):
            url = line.split()[1]
        if "Ctrl-C" in line:
            return Running(process, url, "".join(lines), log)
    raise AssertionError(f"the program did not start: {''.join(lines)}{log.read_text()}")
