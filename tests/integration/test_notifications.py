"""Two processes on one PostgreSQL wake each other; without a connection they still look by themselves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.support.platform import Account, PlatformUnderTest, open_under_test, settings_for_tests
from zentry.platform.clock import SystemClock
from zentry.platform.db.notifications import _payloads
from zentry.platform.signals import Signals
from zentry.platform.tasks import Stop

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"])

_NEVER_SECONDS = 60
"""Far longer than any test: what happens before that was woken, not found by looking."""


@contextlib.asynccontextmanager
async def _two(
    database_url: str, tmp_path: Path, **operations: Any
) -> AsyncIterator[tuple[PlatformUnderTest, PlatformUnderTest]]:
    """Open two platforms on one database and one world, as two processes would."""
    settings = settings_for_tests(
        tmp_path,
        database={"url": database_url},
        operations={"poll_seconds": _NEVER_SECONDS, "lease_seconds": 600, "wait_seconds": 0, **operations},
    )
    async with (
        open_under_test(settings, clock=SystemClock()) as first,
        open_under_test(settings, clock=SystemClock()) as second,
    ):
        await _until(lambda: first.inner.signals.complete and second.inner.signals.complete)
        yield first, second


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what is waited for is in no event of ours
            await asyncio.sleep(0.01)


async def _create(platform: PlatformUnderTest, account: Account, project_id: str, name: str, prefer: str) -> Any:
    body = {"name": name, "instance_type": "small", "image": "debian-12", "project_id": project_id}
    answer = await platform.client.post("/vms", json=body, headers={**account.headers, "Prefer": prefer})
    assert answer.status_code in {201, 202}, answer.text
    return answer.json()


async def test_an_operation_of_one_process_is_driven_by_another_and_its_waiter_wakes(
    database_url: str, tmp_path: Path
) -> None:
    async with _two(database_url, tmp_path) as (api, other):
        stop = Stop()
        worker = asyncio.create_task(other.inner.runner.run(stop))
        account = await api.signup()
        project_id = await api.given_project(account)
        loop = asyncio.get_running_loop()
        took = []
        for number in range(5):
            started = loop.time()
            vm = await _create(api, account, project_id, f"vm-{number}", "wait=20")
            took.append(loop.time() - started)
            assert vm["status"] == "running"
        stop.set()
        await asyncio.wait_for(worker, 10)

    assert sorted(took)[len(took) // 2] < 0.9, "woken, not found by the look after a second"


async def test_a_lost_connection_is_made_again_and_whoever_waits_looks_at_once(
    database_url: str, tmp_path: Path
) -> None:
    async with _two(database_url, tmp_path) as (api, other):
        async with api.database.work() as tx:
            killed = await tx.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'zentry-notifications' AND datname = current_database()"
                )
            )
        await _until(lambda: not (api.inner.signals.complete and other.inner.signals.complete))
        with other.inner.signals.listen("anything") as listening:
            woken = await listening.wait(20)
        await _until(lambda: api.inner.signals.complete and other.inner.signals.complete)
        with other.inner.signals.listen("after") as after:
            async with api.database.work() as tx:
                tx.after_commit("after")
            reached = await after.wait(20)

    assert len(killed.all()) == 2
    assert (woken, reached) == (True, True)


async def test_nothing_is_sent_for_work_that_rolled_back_and_nothing_comes_back_to_its_sender(
    database_url: str, tmp_path: Path
) -> None:
    async with _two(database_url, tmp_path) as (first, second):
        with second.inner.signals.listen("lost") as lost, first.inner.signals.listen("kept") as own:
            with contextlib.suppress(LookupError):
                async with first.database.work() as tx:
                    tx.after_commit("lost")
                    raise LookupError
            async with first.database.work() as tx:
                tx.after_commit("kept")
            once, again, nothing = await own.wait(5), await own.wait(0.3), await lost.wait(0.3)

    assert (once, again, nothing) == (True, False, False)


async def test_a_process_that_cannot_listen_still_finds_the_end_by_looking(database_url: str, tmp_path: Path) -> None:
    settings = settings_for_tests(
        tmp_path,
        database={"url": database_url, "direct_url": "postgresql://nobody@127.0.0.1:1/nothing"},
        operations={"wait_seconds": 0},
    )
    async with open_under_test(settings, clock=SystemClock()) as platform:
        account = await platform.signup()
        vm = await platform.given_vm(account, status="creating")
        path = f"/operations/{vm['active_operation']['id']}?wait=20"
        poll = asyncio.create_task(platform.client.get(path, headers=account.headers))

        await platform.settle()
        answer = await asyncio.wait_for(poll, 10)

    assert platform.inner.signals.complete is False
    assert answer.json()["status"] == "succeeded"


def test_topics_travel_together_as_far_as_a_message_holds_them(dialect: str) -> None:
    topics = [f"operations.ended:{number:036d}" for number in range(1000)]

    payloads = list(_payloads(topics))

    assert [topic for payload in payloads for topic in payload.split("\n")] == topics
    assert len(payloads) < 10
    assert max(len(payload) for payload in payloads) < 8000


async def test_an_announcement_wakes_here_and_is_carried_on(dialect: str) -> None:
    signals, carried = Signals(), list[str]()
    signals.carrier = carried.extend

    with signals.listen("one") as listening:
        signals.announce(["one", "two"])
        woken = await listening.wait(1)

    assert (woken, carried) == (True, ["one", "two"])
