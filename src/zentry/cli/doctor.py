"""`zentry doctor`: says in plain words what is wrong, all of it at once, and changes nothing."""

from __future__ import annotations

import asyncio
import platform as machine
import shutil
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Final

import sqlalchemy as sa
from rich.table import Table
from rich.text import Text

from zentry.cli.configuration import BadSettings, load_settings
from zentry.cli.database import open_database
from zentry.cli.explanations import explain
from zentry.cli.http_server import CannotListen, bind
from zentry.cli.storage import shown_database, sqlite_file
from zentry.cli.terminal import out
from zentry.compute.driver import DriverContext, load_driver
from zentry.platform.clock import SystemClock
from zentry.platform.data_directory import LOCK_FILE, DataDirectoryInUse, hold_data_directory
from zentry.platform.db.migrations import Migrations, SchemaMismatch, SchemaTooOld
from zentry.platform.keys import KEY_FILE, SigningKeyUnusable, load_or_create_signing_key
from zentry.platform.production import problems
from zentry.platform.settings import Environment, Settings

_GIB: Final = 1024**3
_LOW_DISK_BYTES: Final = 1 * _GIB
_NO_DISK_BYTES: Final = 100 * 1024**2
_MIN_PYTHON: Final = (3, 11)
_SANE_FROM: Final = datetime(2026, 1, 1, tzinfo=UTC)
_SANE_TO: Final = datetime(2100, 1, 1, tzinfo=UTC)
_CLOCK_TOLERANCE: Final = timedelta(seconds=5)
_DRIVER_SECONDS: Final = 10.0


class Verdict(StrEnum):
    """How a check went."""

    GOOD = "good"
    WARNING = "warning"
    PROBLEM = "problem"


_STYLES: Final = {Verdict.GOOD: "green", Verdict.WARNING: "yellow", Verdict.PROBLEM: "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it."""

    verdict: Verdict
    subject: str
    text: str


def examine(*, host: str | None, port: int | None, data_dir: Path | None) -> bool:
    """Print everything that was found; False when something keeps the platform from running well."""
    try:
        settings = load_settings(host=host, port=port, data_dir=data_dir)
    except BadSettings as error:
        found = [_python(), *(Finding(Verdict.PROBLEM, "setting", line) for line in error.lines)]
    else:
        found = asyncio.run(_examine(settings))
    _print(found)
    return all(finding.verdict is not Verdict.PROBLEM for finding in found)


async def _examine(settings: Settings) -> list[Finding]:
    found = [_python(), *_settings(settings), _clock()]
    found += [*_data_directory(settings), *_disk(settings), *_signing_key(settings), _port(settings)]
    found.append(await _told(_database, settings, "database"))
    found.append(await _told(_driver, settings, "driver"))
    return found


async def _told(check: Callable[[Settings], Awaitable[Finding]], settings: Settings, subject: str) -> Finding:
    """Run a check in which anything may go wrong; that it did is its finding."""
    try:
        return await check(settings)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the person asked about
        return Finding(Verdict.PROBLEM, subject, explain(error) or f"{type(error).__name__}: {error}")


def _python() -> Finding:
    version = machine.python_version()
    if sys.version_info < _MIN_PYTHON:
        return Finding(Verdict.PROBLEM, "python", f"{version} is too old; 3.11 or newer is needed.")
    return Finding(Verdict.GOOD, "python", f"{version} on {machine.system()} {machine.machine()}")


def _settings(settings: Settings) -> Iterator[Finding]:
    found = problems(settings)
    for problem in found:
        verdict = Verdict.PROBLEM if problem.fatal else Verdict.WARNING
        yield Finding(verdict, "setting", f"{problem.setting}: {problem.why} {problem.fix}")
    if not found:
        strict = settings.env is Environment.PRODUCTION
        note = "safe for production" if strict else f"valid; the rules of production do not apply in {settings.env}"
        yield Finding(Verdict.GOOD, "settings", note)


def _clock() -> Finding:
    now = SystemClock().now()
    if not _SANE_FROM <= now <= _SANE_TO:
        return Finding(Verdict.PROBLEM, "clock", f"It says {now:%Y-%m-%d}, which cannot be. Set it, or start NTP.")
    return Finding(Verdict.GOOD, "clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _data_directory(settings: Settings) -> Iterator[Finding]:
    path = settings.data_dir.absolute()
    place = _nearest_existing(path)
    if not place.is_dir():
        yield Finding(Verdict.PROBLEM, "data directory", f"{place} is a file; name a directory with ZENTRY_DATA_DIR.")
        return
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        text = f"{place} cannot be written: {error.strerror}. Make it writable, or choose another with ZENTRY_DATA_DIR."
        yield Finding(Verdict.PROBLEM, "data directory", text)
        return
    if not (path / LOCK_FILE).exists():
        yield Finding(Verdict.GOOD, "data directory", f"{path} {'is writable' if path == place else 'can be made'}")
        return
    try:
        with hold_data_directory(path, shared=sqlite_file(settings) is None):
            yield Finding(Verdict.GOOD, "data directory", f"{path} is writable and nobody uses it")
    except DataDirectoryInUse as error:
        yield Finding(Verdict.WARNING, "data directory", str(error))


def _disk(settings: Settings) -> Iterator[Finding]:
    place = _nearest_existing(settings.data_dir.absolute())
    free = shutil.disk_usage(place).free
    verdict = Verdict.WARNING if free < _LOW_DISK_BYTES else Verdict.GOOD
    if free < _NO_DISK_BYTES:
        verdict = Verdict.PROBLEM
    yield Finding(verdict, "disk", f"{free / _GIB:.1f} GiB free at {place}")


def _signing_key(settings: Settings) -> Iterator[Finding]:
    if settings.security.signing_key.get_secret_value():
        yield Finding(Verdict.GOOD, "signing key", "given by ZENTRY_SECURITY__SIGNING_KEY")
        return
    path = settings.data_dir / KEY_FILE
    if not path.exists():
        yield Finding(Verdict.GOOD, "signing key", "will be made at the first start")
        return
    try:
        load_or_create_signing_key(settings.data_dir)
    except SigningKeyUnusable as error:
        yield Finding(Verdict.PROBLEM, "signing key", str(error))
    else:
        yield Finding(Verdict.GOOD, "signing key", f"{path.absolute()}, readable by its owner alone")


def _port(settings: Settings) -> Finding:
    address = f"{settings.server.host}:{settings.server.port}"
    try:
        listening: socket.socket = bind(settings.server)
    except CannotListen as error:
        return Finding(Verdict.PROBLEM, "port", str(error))
    listening.close()
    return Finding(Verdict.GOOD, "port", f"{address} is free")


async def _database(settings: Settings) -> Finding:
    file = sqlite_file(settings)
    shown = shown_database(settings)
    if file is not None and not file.exists():
        return Finding(Verdict.GOOD, "database", f"{shown} will be made at the first start")
    async with open_database(settings) as database:
        try:
            await Migrations(database).require_head()
        except SchemaTooOld as error:
            verdict = Verdict.WARNING if settings.database.migrate_on_start else Verdict.PROBLEM
            return Finding(verdict, "database", str(error))
        except SchemaMismatch as error:
            return Finding(Verdict.PROBLEM, "database", str(error))
        if database.dialect == "postgresql":
            async with database.read() as tx:
                theirs: datetime = (await tx.execute(sa.text("SELECT clock_timestamp()"))).scalar_one()
            apart = abs(theirs - SystemClock().now())
            if apart > _CLOCK_TOLERANCE:
                text = f"Its clock is {apart.total_seconds():.0f} s from this machine's; start NTP on both."
                return Finding(Verdict.WARNING, "database", text)
    return Finding(Verdict.GOOD, "database", f"{shown} answers, and its schema is current")


async def _driver(settings: Settings) -> Finding:
    # In a directory of its own: a look must leave nothing behind.
    with tempfile.TemporaryDirectory(prefix="zentry-doctor-") as directory:
        context = DriverContext(settings, Path(directory), SystemClock(), Random(0))  # noqa: S311 - nothing to guess
        driver = load_driver(context)
        try:
            async with asyncio.timeout(_DRIVER_SECONDS):
                hosts = await driver.hosts()
        finally:
            await driver.close()
    return Finding(Verdict.GOOD, "driver", f"{driver.name} answers, with {len(hosts)} hosts")


def _nearest_existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


def _print(found: list[Finding]) -> None:
    table = Table(show_header=True, header_style="bold", expand=False)
    for column in ("", "What", "Finding"):
        table.add_column(column, overflow="fold")
    for finding in found:
        table.add_row(Text(finding.verdict, style=_STYLES[finding.verdict]), finding.subject, Text(finding.text))
    out.print(table)
    wrong = sum(finding.verdict is Verdict.PROBLEM for finding in found)
    out.print(
        f"{wrong} problem{'' if wrong == 1 else 's'} found." if wrong else "Everything that was looked at is well."
    )
