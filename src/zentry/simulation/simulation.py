"""Runs a scenario: users, worker processes and observers on one virtual loop.

All that a simulated platform depends on comes from the scenario and the seed, so the same seed
gives the same event log, byte for byte, as long as the code is the same.

When the scenario's time is over users leave, faults end, and everything that is under way gets the
time to end that the platform promises. What is not in order then never would be.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from email.message import EmailMessage
from random import Random
from typing import Any, Final, TypeVar

import structlog

from zentry.accounts.letters import AccountLetters
from zentry.accounts.limits import SigninLimiter
from zentry.accounts.proof import PasswordProof
from zentry.accounts.service import AuthService
from zentry.accounts.tokens import AccessTokens
from zentry.compute.driver import ComputeDriver, DriverError
from zentry.compute.simulator import fleet_of
from zentry.compute.simulator.chance import key_of
from zentry.compute.simulator.driver import CAPABILITIES, SimulatorDriver
from zentry.compute.simulator.faults import Faults
from zentry.compute.simulator.hosts import Fleet
from zentry.compute.simulator.latency import Latency
from zentry.compute.simulator.world import World
from zentry.compute.types import Power
from zentry.invariants import Checkpoint, broken_invariants
from zentry.monitoring.probe import RecentRequests
from zentry.monitoring.sql_store import SQLMetricsStore
from zentry.platform.clock import Clock
from zentry.platform.db.synchronous import MemoryStore, SynchronousDatabase
from zentry.platform.sealing import Sealer
from zentry.platform.settings import Settings
from zentry.platform.signals import EVENTS_RECORDED, OPERATIONS_DUE, Signals
from zentry.platform.tasks import Stop
from zentry.platform.web import Edge
from zentry.schema.vms import VMStatus
from zentry.simulation.faults import ChanceFaults, Chaos
from zentry.simulation.outcome import (
    Moment,
    Outcome,
    count_rows,
    hash_events,
    look_around,
    operation_figures,
)
from zentry.simulation.people import City, Tally, User
from zentry.simulation.processes import Process, ProcessClock, ProcessDatabase
from zentry.simulation.scenario import BadScenario, Scenario
from zentry.simulation.virtual_time import VirtualClock, VirtualLoop, run_virtually
from zentry.simulation.watch import Watch
from zentry.simulation.weather import Weather
from zentry.vms.lifecycle import VMLifecycle
from zentry.vms.regions import Regions
from zentry.wiring import assemble_loops, factories, signup_hooks
from zentry.worker.worker import Loop, Worker

Result = TypeVar("Result")

_DAY: Final = timedelta(days=1)
_MOMENTS: Final = 240
_OFTEN: Final = timedelta(minutes=15)
_MOST_BROKEN: Final = 20
_LOOK_AGAIN_SECONDS: Final = 5.0
_BACKOFFS_SECONDS: Final = 300.0
"""More than all pauses between the tries of one step."""
_ACTIVE: Final = "SELECT count(*) FROM operations WHERE status IN ('pending', 'running')"
_MACHINES: Final = """
    SELECT id, status FROM vms
    WHERE status <> 'error' AND id NOT IN (SELECT vm_id FROM operations WHERE status IN ('pending', 'running'))
"""
_TYPES: Final = "SELECT name FROM instance_types"


class SimulationTools:
    """What a simulation is put together from; a test plants its bugs here."""

    def world(self, fleet: Fleet) -> World:
        """Return the hosts that all worker processes drive."""
        return World(":memory:", fleet=fleet)

    def driver(self, world: World, *, clock: Clock, seed: int, latency: Latency, faults: Faults) -> ComputeDriver:
        """Return the driver of one worker process."""
        return SimulatorDriver(world, clock=clock, seed=seed, latency=latency, faults=faults)

    def loops(self, settings: Settings, **parts: Any) -> Sequence[Loop]:
        """Return the loops of one worker process."""
        return assemble_loops(settings, **parts).all


class Simulation:
    """One run of one scenario with one seed."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        seed: int,
        name: str = "scenario",
        days: float | None = None,
        store: MemoryStore | None = None,
        tools: SimulationTools | None = None,
        on_day: Callable[[int], None] | None = None,
    ) -> None:
        """Prepare the run; a store that is given is made new and can be used again afterwards."""
        self._scenario = scenario
        self._name = name
        self._seed = seed
        self._duration = timedelta(days=scenario.days if days is None else days)
        self._settings = scenario.platform_settings()
        self._sealer = Sealer(self._settings.security.signing_key.get_secret_value())
        self._store = store or MemoryStore()
        self._tools = tools or SimulationTools()
        self._on_day = on_day
        self._differs_since: dict[str, float] = {}
        self._host_failures = 0
        self._chaos = Chaos(scenario.faults, self._random("chaos"))
        self._signals = Signals()
        self._ids = self._random("ids")
        self._tally = Tally()
        self._broken: list[str] = []
        self._moments: list[Moment] = []
        self._lives = 0
        self._deaths = 0
        self._checks = 0
        self._checkpoint = Checkpoint()

    def run(self) -> Outcome:
        """Simulate, and return what came of it."""
        self._store.reset()
        raw = self._store.raw
        self._ensure_types({name for (name,) in raw.execute(_TYPES)})
        self._loop = VirtualLoop()
        self._clock = VirtualClock(self._loop, start=self._scenario.start)
        self._watch = Watch(raw)
        self._database = SynchronousDatabase(
            self._store, clock=self._clock, random=self._ids, signals=self._signals, on_commit=self._after_commit
        )
        self._world = self._tools.world(fleet_of(self._settings.simulator))
        started = time.perf_counter()
        try:
            with self._hearing(), _rare_collections():
                run_virtually(self._main(), self._loop)
        finally:
            self._world.close()
        return Outcome(
            scenario=self._name,
            title=self._scenario.title,
            seed=self._seed,
            start=self._scenario.start,
            simulated_seconds=self._loop.time(),
            real_seconds=time.perf_counter() - started,
            events=self._watch.events,
            events_hash=hash_events(raw),
            broken=self._broken,
            moments=self._moments,
            operations=operation_figures(raw),
            asked=dict(sorted(self._tally.asked.items())),
            refused={f"{what}: {code}": count for (what, code), count in sorted(self._tally.refused.items())},
            deaths=self._deaths,
            host_failures=self._host_failures,
            checks=self._checks,
            rows=count_rows(raw),
        )

    # The run

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        auth = self._auth()
        edge = Edge(self._database, factories(self._settings, self._clock, {}, CAPABILITIES, self._sealer))
        city = City(
            scenario=self._scenario,
            seed=self._seed,
            clock=self._clock,
            edge=edge,
            auth=auth,
            vms_per_project=self._settings.quotas.vms_per_project,
            tally=self._tally,
        )
        people = [
            self._task(User(number, city).live(), f"user {number}")
            for number in range(1, self._scenario.users.count + 1)
        ]
        workers = [self._task(self._keep_worker(), f"worker {slot}") for slot in range(self._scenario.workers.count)]
        observer = self._task(self._observe(), "observer")
        weather = Weather(
            self._world,
            self._scenario.host_failures,
            clock=self._clock,
            random=self._random("weather"),
            on_change=self._look_at_hosts,
        )
        storm = [self._task(weather.rage(), "weather")] if self._scenario.host_failures.every_hours else []
        await self._unless_broken(self._clock.sleep(self._duration.total_seconds()))
        await _end([*people, *storm, observer])
        await weather.clear_up()
        self._host_failures = weather.failed
        if not self._broken:
            await self._unless_broken(self._settle())
            await self._check_all()
        await _end(workers)

    async def _look_at_hosts(self) -> None:
        async with self._database.work() as tx:
            await Regions(tx).request_all()

    async def _keep_worker(self) -> None:
        """Run one worker process after another: each death is followed by a new one."""
        while True:
            self._lives += 1
            process = Process(
                f"worker-{self._lives}", clock=self._clock, chaos=self._chaos, on_trouble=self._wake_later
            )
            main = asyncio.create_task(self._work(process), name=process.name)
            process.start(main)
            try:
                await asyncio.wait([main])
            except asyncio.CancelledError:
                process.kill()
                await asyncio.wait([main])
                raise
            if not main.cancelled():
                main.result()
            self._deaths += 1
            await self._clock.sleep(self._chaos.random.uniform(0, self._scenario.workers.restart_seconds))

    async def _work(self, process: Process) -> None:
        clock = ProcessClock(self._clock, process)
        database = ProcessDatabase(
            self._store,
            process=process,
            clock=clock,
            random=self._ids,
            signals=self._signals,
            on_commit=self._after_commit,
        )
        simulator = self._settings.simulator
        driver = self._tools.driver(
            self._world,
            clock=clock,
            seed=self._seed,
            latency=Latency(
                seed=self._seed, boot_seconds=simulator.boot_seconds, action_seconds=simulator.action_seconds
            ),
            faults=ChanceFaults(self._chaos),
        )
        loops = self._tools.loops(
            self._settings,
            clock=clock,
            random=self._random(process.name),
            signals=self._signals,
            database=database,
            driver=driver,
            kinds=VMLifecycle(database=database, driver=driver, settings=self._settings, sealer=self._sealer).kinds(),
            owner=process.name,
            store=SQLMetricsStore(database, settings=self._settings.monitoring, clock=clock),
            requests=RecentRequests(),
            sealer=self._sealer,
            mail_sender=_NoMail(),
        )
        await Worker(loops).run(Stop())

    def _wake_later(self, seconds: float) -> None:
        """See to it that somebody looks at the queue once the leases of a process in trouble have run out."""
        lease = self._settings.operations.lease_seconds
        self._loop.call_later(seconds + lease + 1, self._signals.poke, OPERATIONS_DUE)

    async def _settle(self) -> None:
        """Let everything end that is under way, and whoever stood still wake up."""
        self._chaos.is_resting = True
        faults, operations = self._scenario.faults, self._settings.operations
        zombies_seconds = faults.freeze_seconds + faults.slow_seconds + 2 * operations.lease_seconds
        most = 2 * operations.deadline_seconds + _BACKOFFS_SECONDS + zombies_seconds
        over = self._clock.monotonic() + most
        while self._store.raw.execute(_ACTIVE).fetchone()[0] and self._clock.monotonic() < over:
            await self._clock.sleep(_LOOK_AGAIN_SECONDS)
            self._signals.poke(OPERATIONS_DUE)
        self._signals.poke(EVENTS_RECORDED)
        await self._clock.sleep(zombies_seconds + 2 * self._settings.events.gather_seconds)

    # Looking

    async def _observe(self) -> None:
        """Note how things stand, and check everything once per day."""
        step = max(self._duration / _MOMENTS, _OFTEN)
        next_day, day = self._scenario.start + _DAY, 0
        while True:
            self._note()
            await self._clock.sleep(step.total_seconds())
            while self._clock.now() >= next_day:
                day, next_day = day + 1, next_day + _DAY
                await self._check_books(self._checkpoint)
                if self._on_day is not None:
                    self._on_day(day)

    def _note(self) -> None:
        self._report(self._differences())
        self._moments.append(look_around(self._store.raw, self._world.hosts(), at=self._clock.now()))

    def _after_commit(self) -> None:
        self._report(self._watch.look())

    async def _check_books(self, checkpoint: Checkpoint | None = None) -> None:
        self._checks += 1
        late = self._clock.now() - timedelta(seconds=self._patience_seconds())
        self._report([*self._watch.overdue(before=late), *await broken_invariants(self._database, checkpoint)])

    async def _check_all(self) -> None:
        """Check what must hold when nothing is under way any more."""
        self._note()
        await self._check_books()
        self._report(self._watch.stuck(before=self._clock.now()))
        active = self._store.raw.execute(_ACTIVE).fetchone()[0]
        if active:
            self._report([f"{active} operations have not ended"])
        gathering = timedelta(seconds=2 * self._settings.events.gather_seconds + self._patience_seconds())
        self._report(self._watch.unlogged(before=self._clock.now() - gathering))

    def _differences(self) -> Iterator[str]:
        """Return where the hosts show something else than the rows, for longer than it takes to see to it."""
        there = {observation.vm_id.hex: observation.power for observation in self._world.inventory()}
        allowed: dict[str, tuple[Power | None, ...]] = {
            VMStatus.RUNNING: (Power.ON,),
            VMStatus.STOPPED: (Power.OFF, None),
            VMStatus.TERMINATED: (None,),
        }
        now, before = self._clock.monotonic(), self._differs_since
        self._differs_since = {}
        for vm_id, status in self._store.raw.execute(_MACHINES):
            power = there.get(vm_id)
            if power in allowed.get(status, ()) or power is Power.UNKNOWN:
                continue
            since = self._differs_since[vm_id] = before.get(vm_id, now)
            if now - since >= self._grace_seconds():
                yield f"VM {vm_id} is {status} and its machine is {power or 'absent'}"

    def _grace_seconds(self) -> float:
        """Return how long a machine may differ from its row: none, unless hosts fail behind the platform's back."""
        if not self._scenario.host_failures.every_hours:
            return 0.0
        return 2 * self._settings.reconciler.interval_seconds + self._patience_seconds()

    def _patience_seconds(self) -> float:
        """Return for how long the meter may be late: dead, standing still, or between two looks."""
        faults = self._scenario.faults
        return self._scenario.workers.restart_seconds + faults.freeze_seconds + 2 * faults.slow_seconds

    def _report(self, broken: list[str] | Iterator[str]) -> None:
        found = list(broken)
        if found and len(self._broken) < _MOST_BROKEN:
            at = self._clock.now().isoformat(sep=" ", timespec="seconds")
            self._broken += [f"{at} {sentence}" for sentence in found[:_MOST_BROKEN]]
            self._stop.set()

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        """Listen to the log: what a loop survives is a fault of the platform all the same."""
        before = structlog.get_config()

        def hear(_logger: object, _method: str, event: structlog.typing.EventDict) -> str:
            error = event.get("exc_info")
            if not isinstance(error, DriverError):
                self._report([f"{event.get('event')}: {type(error).__name__}: {error}"])
            raise structlog.DropEvent

        structlog.configure(
            processors=[_with_error, hear],
            wrapper_class=structlog.make_filtering_bound_logger("error"),
            cache_logger_on_first_use=False,
        )
        try:
            yield
        finally:
            structlog.configure(**before)

    # Parts

    def _auth(self) -> AuthService:
        security = self._settings.security
        tokens = AccessTokens(
            security.signing_key.get_secret_value(), clock=self._clock, life_seconds=security.access_token_seconds
        )
        hasher, secrets = _NoHasher(), _CountedSecrets()
        return AuthService(
            self._database,
            settings=security,
            hasher=hasher,
            tokens=tokens,
            secrets=secrets,
            limiter=SigninLimiter(self._database, self._settings.limits),
            proofs=PasswordProof(self._database, hasher=hasher, tokens=tokens, settings=security),
            letters=AccountLetters(server=self._settings.server, sealer=self._sealer, secrets=secrets),
            sealer=self._sealer,
            wall_clock=self._clock,
            on_signup=signup_hooks(self._settings),
        )

    def _random(self, purpose: str) -> Random:
        return Random(key_of(purpose, self._seed))  # noqa: S311 - a simulation must repeat itself

    def _task(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine, name=name)

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                self._report([f"{name} ended: {type(error).__name__}: {error}"])

        task.add_done_callback(ended)
        return task

    async def _unless_broken(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Wait, but no longer than until something is found to be broken."""
        task = asyncio.create_task(waiting)
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
        await _end([task, stop])

    def _ensure_types(self, known: set[str]) -> None:
        unknown = sorted(set(self._scenario.machines.types) - known)
        if unknown:
            names = ", ".join(sorted(known))
            raise BadScenario(
                self._name, [f"machines.types: there is no instance type {name!r}; known: {names}." for name in unknown]
            )


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for cycles rarely: nearly everything dies by its reference count."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class _NoHasher:
    """Keeps no secret, because nobody signs in."""

    async def hash(self, password: str) -> str:
        """Return what is stored of a password: nothing that would open anything."""
        del password
        return "!"

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Open nothing."""
        del password, hashed
        return False

    def is_outdated(self, hashed: str) -> bool:
        """Leave it as it is."""
        del hashed
        return False


class _NoMail:
    """Delivers nothing, because nobody reads."""

    async def send(self, message: EmailMessage) -> None:
        """Drop it."""
        del message


class _CountedSecrets:
    """Texts that are unique and anything but secret."""

    def __init__(self) -> None:
        self._count = 0

    def token(self) -> str:
        """Return the next one."""
        self._count += 1
        return f"{self._count:043d}"


def _with_error(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if event.get("exc_info") is True:
        event["exc_info"] = sys.exc_info()[1]
    return event


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
