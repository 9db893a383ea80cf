"""Runs the API, the worker, or both in one process, until a signal says stop."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
import uvloop

import zentry
from zentry.cli.storage import hold_storage, shown_database
from zentry.cli.terminal import out
from zentry.cli.time_scale import scaled, set_clock
from zentry.events.hub import EventHub
from zentry.platform.clock import Clock, ScaledClock, SystemClock
from zentry.platform.logging import configure_logging
from zentry.platform.production import ensure_safe, problems
from zentry.platform.settings import Settings
from zentry.platform.tasks import Stop

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
# Collections of the young are rare and of the old nearly never: objects of the start are frozen, those of a
# request die by reference count. It saves a tenth of the processor time of small requests.
_GC_THRESHOLDS: Final = (50_000, 20, 100)

_log = structlog.get_logger(__name__)


def run(settings: Settings, *, api: bool, worker: bool, migrate: bool, time_scale: float | None = None) -> None:
    """Run until told to stop."""
    gc.disable()  # What the start makes is there to stay: to look through it again and again is a sixth of the start.
    _stop_at_once_on_signals()
    configure_logging(settings.log)
    ensure_safe(settings)
    if time_scale is not None:
        settings = scaled(settings, time_scale)
    for problem in problems(settings):
        _log.warning("settings.unwise", setting=problem.setting, why=problem.why, fix=problem.fix)
    with hold_storage(settings) as chosen, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        listening = None
        if api:
            from zentry.cli.http_server import bind

            # Before everything that takes time, so that a port in use is told at once.
            listening = bind(chosen.server)
        clock = SystemClock() if time_scale is None else ScaledClock(time_scale)
        runner.run(_run(chosen, listening, clock, worker=worker, migrate=migrate))


async def _run(
    settings: Settings, listening: socket.socket | None, clock: Clock, *, worker: bool, migrate: bool
) -> None:
    from zentry.wiring import Platform, open_platform

    stop = _stop_on_signals()

    async def serve(platform: Platform) -> None:
        if listening is None:
            _announce_worker(settings)
            await stop.wait()
            return
        from zentry.cli.http_server import Server, url_of

        server = Server(
            platform.app,
            settings=settings.server,
            clock=platform.clock,
            on_started=lambda: _announce_api(settings, url_of(listening), clock, alone=not worker),
        )
        async with _exit_on(stop, server, platform.hub):
            await server.serve(sockets=[listening])

    async with open_platform(settings, clock=clock) as platform:
        if migrate:
            await platform.migrations.upgrade()
        else:
            await platform.migrations.require_head()
        if platform.database.dialect == "sqlite":
            await set_clock(clock, platform.database)
        tune_garbage_collection()
        if not worker:
            await serve(platform)
            return
        # The workers outlive the API, since its last requests may wait for an operation.
        stop_worker = Stop()
        async with asyncio.TaskGroup() as group:
            group.create_task(platform.run_worker(stop_worker), name="worker")
            await serve(platform)
            stop_worker.set()


@asynccontextmanager
async def _exit_on(stop: Stop, server: object, hub: EventHub) -> AsyncIterator[None]:
    """Tell the server to finish when `stop` is set, and its streams to end, which would not by themselves."""

    async def watch() -> None:
        await stop.wait()
        await hub.close()
        server.should_exit = True  # type: ignore[attr-defined]  # uvicorn is imported late

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


def _stop_at_once_on_signals() -> None:
    """Leave cleanly on a signal that comes before the loop listens."""

    def leave(*_: object) -> None:
        raise SystemExit(0)

    for number in _STOP_SIGNALS:
        signal.signal(number, leave)


def _stop_on_signals() -> Stop:
    """Return what the first signal sets; the second leaves without waiting for anyone."""
    stop = Stop()
    main = asyncio.current_task()
    assert main is not None

    def on_signal() -> None:
        if stop.is_set():
            main.cancel()
        stop.set()

    for number in _STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return stop


def tune_garbage_collection() -> None:
    """Spare the collector what lives as long as the process, and let it look at the rest less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    gc.enable()


def _announce_api(settings: Settings, url: str, clock: Clock, *, alone: bool) -> None:
    out.print(f"[bold]Zentry Cloud[/] {zentry.__version__}{' (API)' if alone else ''}")
    out.print(f"  API   {url}", soft_wrap=True, highlight=False)
    if settings.server.console:
        out.print(f"  Web   {url}/console", soft_wrap=True, highlight=False)
    if settings.server.docs:
        out.print(f"  Docs  {url}/docs", soft_wrap=True, highlight=False)
    if isinstance(clock, ScaledClock):
        out.print(f"  Time  {clock.now():%Y-%m-%d %H:%M} UTC, {clock.scale:g} times as fast", highlight=False)
    _announce_data(settings)


def _announce_worker(settings: Settings) -> None:
    out.print(f"[bold]Zentry Cloud[/] {zentry.__version__} (worker)")
    _announce_data(settings)


def _announce_data(settings: Settings) -> None:
    out.print(f"  Data  {settings.data_dir.absolute()}", soft_wrap=True, highlight=False)
    database = shown_database(settings)
    if not database.startswith(str(settings.data_dir.absolute())):
        out.print(f"  In    {database}", soft_wrap=True, highlight=False)
    out.print("  Press Ctrl-C to stop.", highlight=False)
    out.file.flush()
