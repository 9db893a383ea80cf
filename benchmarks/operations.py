"""Durable operations per second: the platform's queue against DBOS, three steps each, on one PostgreSQL.

Every step changes the simulated world, which takes no time, and is written down before the next one begins. One
worker process on each side, 32 operations under way at once; they run in turns. DBOS is given its shortest way:
workflows are started in the process that runs them, without a queue that would have to be polled.

    python -m benchmarks.operations [OPERATIONS] [ROUNDS]
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from random import SystemRandom
from typing import Final
from uuid import UUID

import msgspec
import sqlalchemy as sa
import uvloop

from benchmarks.harness import Figure, directory, postgres, settings_for, show
from benchmarks.seeding import seed
from benchmarks.steps import AT_ONCE, Steps
from zentry.cli.serving import tune_garbage_collection
from zentry.operations.queue import OperationQueue
from zentry.operations.runner import OperationRunner
from zentry.operations.types import Claim, Failure, Kind, Step
from zentry.platform.clock import SystemClock
from zentry.platform.db import Transaction
from zentry.platform.settings import Settings
from zentry.platform.signals import OPERATIONS_DUE
from zentry.platform.tasks import Stop
from zentry.schema.operations import is_active, operations
from zentry.schema.vms import vms
from zentry.wiring import Platform, open_platform

_ROOT: Final = Path(__file__).parent.parent
_ENVIRONMENT: Final = _ROOT / ".venv-dbos"
_KIND: Final = "benchmark.cycle"
_ENQUEUERS: Final = 8
_ACCOUNTS: Final = 20
_LOOK_SECONDS: Final = 0.02
_ACTIVE: Final = sa.select(sa.func.count()).select_from(operations).where(is_active)


def main(count: int = 500, rounds: int = 5) -> None:
    python = _dbos_python()
    with directory() as place, postgres() as url, postgres() as dbos_url:
        settings = settings_for(
            place / "data",
            database={"url": url},
            simulator={"hosts": 1000, "boot_seconds": 0.0, "action_seconds": 0.0},
            operations={"concurrency": AT_ONCE},
        )
        asyncio.run(seed(settings, accounts=_ACCOUNTS, machines=count // _ACCOUNTS))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            ours, theirs = runner.run(_measure(settings, python, dbos_url, place, rounds))
    show(
        f"{len(ours.vm_ids)} operations of three durable steps, {AT_ONCE} at once",
        [
            Figure("the platform", ours.rates, "/s", digits=0),
            Figure("DBOS", theirs, "/s", digits=0),
            Figure(
                "platform / DBOS",
                [one / other for one, other in zip(ours.rates, theirs, strict=True)],
                "×",
                goal="≥ 3 ×",
            ),
        ],
    )


class Ours:
    """The platform's side."""

    def __init__(self, platform: Platform, machines: Sequence[sa.Row[tuple[UUID, UUID, UUID]]]) -> None:
        self._platform = platform
        self._machines = machines
        self.vm_ids = [machine.id for machine in machines]
        self.rates: list[float] = []

    async def run(self, *, keep: bool) -> None:
        """Enqueue an operation for every machine and wait until all have ended."""
        started = time.perf_counter()
        waiting = iter(self._machines)
        await asyncio.gather(*(self._enqueue(waiting) for _ in range(_ENQUEUERS)))
        while await self._active():  # noqa: ASYNC110 - one cheap look among hundreds of operations
            await asyncio.sleep(_LOOK_SECONDS)
        if keep:
            self.rates.append(len(self._machines) / (time.perf_counter() - started))

    async def _enqueue(self, waiting: Iterator[sa.Row[tuple[UUID, UUID, UUID]]]) -> None:
        for machine in waiting:
            async with self._platform.database.work() as tx:
                await OperationQueue(tx).enqueue(
                    _KIND,
                    vm_id=machine.id,
                    project_id=machine.project_id,
                    user_id=machine.user_id,
                    deadline=timedelta(minutes=5),
                )
                tx.after_commit(OPERATIONS_DUE)

    async def _active(self) -> int:
        async with self._platform.database.read() as tx:
            return int((await tx.execute(_ACTIVE)).scalar_one())


async def _measure(
    settings: Settings, python: Path, dbos_url: str, place: Path, rounds: int
) -> tuple[Ours, list[float]]:
    async with open_platform(settings) as platform:
        async with platform.database.read() as tx:
            machines = (await tx.execute(sa.select(vms.c.id, vms.c.project_id, vms.c.user_id))).all()
        ours = Ours(platform, machines)
        worker, stop = _worker(platform), Stop()
        working = asyncio.create_task(worker.run(stop))
        rates: list[float] = []
        with _dbos(python, dbos_url, place / "dbos.db", ours.vm_ids) as theirs:
            tune_garbage_collection()
            for number in range(rounds + 1):  # The first one warms up.
                await ours.run(keep=number > 0)
                seconds = float(await asyncio.to_thread(theirs.tell, "go"))
                if number > 0:
                    rates.append(len(machines) / seconds)
        stop.set()
        await working
    return ours, rates


def _worker(platform: Platform) -> OperationRunner:
    steps = Steps(platform.driver)

    async def stop(claim: Claim) -> None:
        await steps.stop(claim.vm_id, claim.fence)

    async def start(claim: Claim) -> None:
        await steps.start(claim.vm_id, claim.fence)

    async def reboot(claim: Claim) -> None:
        await steps.reboot(claim.vm_id, claim.fence)

    acts = (Step("stop", act=stop), Step("start", act=start), Step("reboot", act=reboot))
    return OperationRunner(
        database=platform.database,
        kinds={_KIND: Kind(_KIND, acts, release=_nothing, abandon=_nothing)},
        settings=platform.settings.operations,
        clock=SystemClock(),
        random=SystemRandom(),
        signals=platform.signals,
        owner="benchmark",
    )


class Theirs:
    """DBOS's side, in its own process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._to, self._from = process.stdin, process.stdout

    def tell(self, line: str) -> str:
        """Send a line; return the answer."""
        self._to.write(f"{line}\n")
        self._to.flush()
        return self._from.readline().strip()


@contextlib.contextmanager
def _dbos(python: Path, url: str, world: Path, vm_ids: Sequence[UUID]) -> Iterator[Theirs]:
    process = subprocess.Popen(
        [python, "-m", "benchmarks.dbos_steps"],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": f"{_ROOT / 'src'}{os.pathsep}{_ROOT}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            theirs = Theirs(process)
            plan = msgspec.json.encode({"database_url": url, "world": str(world), "vm_ids": vm_ids}).decode()
            assert theirs.tell(plan) == "ready"
            yield theirs
        finally:
            process.kill()


def _dbos_python() -> Path:
    """Return the interpreter of an environment with DBOS; it is made at the first call."""
    python = _ENVIRONMENT / "bin" / "python"
    lock = _ROOT / "requirements" / "dbos.txt"
    mark = _ENVIRONMENT / ".installed"
    if not mark.exists() or mark.read_bytes() != lock.read_bytes():
        subprocess.run([sys.executable, "-m", "venv", "--clear", _ENVIRONMENT], check=True)
        options = ("--disable-pip-version-check", "--quiet", "--require-hashes")
        subprocess.run([python, "-m", "pip", "install", *options, "-r", lock], check=True)
        mark.write_bytes(lock.read_bytes())
    return python


async def _nothing(_tx: Transaction, _claim: Claim, _failure: Failure) -> None:
    """Leave the books alone."""


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
