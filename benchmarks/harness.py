"""What every benchmark needs: a database, processes on cores of their own, figures with their spread."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from tests.support.postgres import find_binaries, start_postgres
from zentry.platform.settings import Settings

MIB: Final = 1024 * 1024
SIGNING_KEY: Final = "benchmarks-sign-with-this-key-and-with-no-other-key"
PASSWORD: Final = "correct-horse-battery-7"
NO_LIMIT: Final = 1_000_000_000

_console = Console(width=130, highlight=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """Several measurements of one thing."""

    name: str
    values: Sequence[float]
    unit: str
    digits: int = 2
    goal: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> str:
        return f"{min(self.values):.{self.digits}f} – {max(self.values):.{self.digits}f}"


def show(title: str, figures: Sequence[Figure]) -> None:
    """Print a table of figures, and on what machine they were taken."""
    table = Table(title=title, title_justify="left", title_style="bold", caption=machine(), caption_justify="left")
    table.add_column("what", overflow="fold")
    for column in ("median", "least – most", "runs"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("goal")
    for figure in figures:
        median = f"{figure.median:.{figure.digits}f} {figure.unit}".strip()
        table.add_row(figure.name, median, figure.spread, str(len(figure.values)), figure.goal)
    _console.print(table)


def machine() -> str:
    """Return what the figures were taken on."""
    model = re.search(r"model name\s*:\s*(.+)", _read("/proc/cpuinfo"))
    memory = psutil.virtual_memory().total / 1024**3
    parts = [
        f"{os.cpu_count()} × {model[1] if model else platform.processor() or platform.machine()}",
        f"{memory:.0f} GiB",
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        _output(str((find_binaries() or Path()) / "postgres"), "--version"),
        f"commit {_output('git', 'rev-parse', '--short', 'HEAD')}",
        f"load {os.getloadavg()[0]:.1f}",
    ]
    return ", ".join(part for part in parts if part)


@contextlib.contextmanager
def postgres(*, core: int | None = None, **more: str) -> Iterator[str]:
    """Run a PostgreSQL server for the length of the block, with more settings; give the URL of an empty database."""
    with on_core(core):  # What is started here stays on the core.
        server = start_postgres(more=more)
    try:
        yield server.url
    finally:
        server.stop()


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Keep this process, and what it starts, on one core during the block; None leaves it where it is."""
    if core is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core % (os.cpu_count() or 1)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """Give a directory that goes away."""
    with tempfile.TemporaryDirectory(prefix="zentry-bench-") as name:
        yield Path(name)


def settings_for(data_dir: Path, **groups: dict[str, Any]) -> Settings:
    """Return settings with nothing taken from the environment and without limits in the way."""
    merged: dict[str, dict[str, Any]] = {
        "security": {"bcrypt_cost": 4, "signing_key": SIGNING_KEY},
        "limits": {
            "signin_per_minute": 0,
            "writes_per_minute": NO_LIMIT,
            "reads_per_minute": NO_LIMIT,
            "anonymous_per_minute": NO_LIMIT,
        },
        "quotas": {"vms_per_user": 1_000_000, "vms_per_project": 1_000_000},
        "billing": {"welcome_credits": 10_000.0},
        "log": {"format": "json", "level": "warning"},
    }
    for name, group in groups.items():
        merged[name] = {**merged.get(name, {}), **group}
    return Settings(_env_file=None, data_dir=data_dir, **merged)  # type: ignore[arg-type]  # pydantic-settings' own argument, and groups as plain data


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the variables that give a process of its own the same settings."""
    groups = settings.model_dump(mode="json", exclude_defaults=True, exclude={"data_dir", "env"})
    variables = {
        f"ZENTRY_{group}__{field}".upper(): value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for group, fields in groups.items()
        for field, value in fields.items()
    }
    # A secret is dumped as asterisks.
    return variables | {"ZENTRY_SECURITY__SIGNING_KEY": settings.security.signing_key.get_secret_value()}


def cpu_seconds(pid: int) -> float:
    """Return how much processor time a process has had, to the nanosecond where the kernel tells it."""
    spent = [_read(str(file)) for file in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    if spent and all(spent):
        return sum(int(line.split()[0]) for line in spent) / 1e9
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def resident_mib(pid: int) -> float:
    """Return how much memory of a process lies in RAM."""
    return float(psutil.Process(pid).memory_info().rss) / MIB


def _output(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
