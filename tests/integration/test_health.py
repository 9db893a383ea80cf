"""Health through the front door: what is lost is seen, by its component, and so is its coming back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from tests.support.platform import Account, PlatformUnderTest, open_under_test, settings_for_tests
from tests.support.wire import Line, wire_to
from zentry.platform.clock import SystemClock
from zentry.schema.accounts import users
from zentry.schema.mail import mails
from zentry.worker.invariant_watch import InvariantWatch

HEALTH = "/monitoring/system/health"


async def health_of(platform: PlatformUnderTest, account: Account) -> dict[str, Any]:
    answer = await platform.client.get(HEALTH, headers=account.headers)
    assert answer.status_code == httpx.codes.OK, answer.text
    return dict(answer.json())


def ill(health: dict[str, Any]) -> dict[str, str]:
    return {name: part["status"] for name, part in health["components"].items() if part["status"] != "healthy"}


async def becomes(status: int, ask: Callable[[], Any]) -> httpx.Response:
    """Ask until it is answered so; how long that may take is the test's timeout."""
    async with asyncio.timeout(30):
        while (answer := await ask()).status_code != status:  # noqa: ASYNC110 - it is a server's, not ours
            await asyncio.sleep(0.05)
    return answer  # type: ignore[no-any-return]  # an answer of httpx


async def test_what_waits_is_seen_in_its_component_and_does_not_take_the_platform_down(
    platform: PlatformUnderTest,
) -> None:
    account, admin = await platform.signup(), await platform.given_admin()
    await platform.inner.collector.tick()
    vm = await platform.given_vm(account, status="creating")
    await platform.client.post(
        "/alerts/policies",
        json={"name": "a", "source": "billing", "subject": "hourly_cost", "threshold": 1.0},
        headers=account.headers,
    )
    await platform.client.post("/auth/password/forgot", json={"email": account.email})
    platform.clock.advance(timedelta(seconds=20))
    early = await health_of(platform, account)
    platform.clock.advance(timedelta(seconds=160))
    late = await health_of(platform, admin)
    page = (await platform.client.get("/metrics")).text
    platform.clock.advance(timedelta(minutes=30))
    later = await health_of(platform, account)

    assert early["overall_status"] == "healthy", ill(early)
    assert early["performance"]["oldest_transition"] == {
        "kind": "vms.create",
        "status": "pending",
        "seconds": 20.0,
        "vm_id": None,
    }
    assert ill(late) == {"vm_manager": "degraded", "alerts": "degraded", "events": "degraded", "mail": "degraded"}
    assert (late["overall_status"], late["performance"]["oldest_transition"]["vm_id"]) == ("degraded", vm["id"])
    assert late["components"]["mail"]["details"] == {
        "transport": "file",
        "given_up_last_hour": 0,
        "lag_seconds": 180.0,
    }
    assert 'zentry_backlog_seconds{queue="mails"} 180.0' in page
    assert ill(later) == {"vm_manager": "unhealthy", "alerts": "unhealthy", "events": "unhealthy", "mail": "unhealthy"}
    assert later["overall_status"] == "unhealthy", "operations that nobody does are more than trouble"

    await platform.settle()
    await platform.inner.alerts.tick()
    async with platform.database.work() as tx:
        await tx.execute(sa.update(mails).values(status="dead", content=None, ended_at=tx.now))
    given_up = await health_of(platform, account)

    assert (ill(given_up), given_up["overall_status"]) == ({"mail": "degraded"}, "degraded")
    assert given_up["components"]["mail"]["reason"] == "1 mails were given up within the last hour."


@pytest.mark.parametrize("overrides", [{"monitoring": {"invariants_hours": 1}}])
async def test_books_that_do_not_add_up_make_the_platform_unhealthy_until_they_do(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    await platform.given_vm(account)
    before = await health_of(platform, account)
    checked = [await platform.inner.invariant_watch.tick() for _ in range(2)]
    well = await health_of(platform, account)

    async def give(micros: int) -> None:
        async with platform.database.work() as tx:
            changed = {"credits": users.c.credits + micros}
            await tx.execute(sa.update(users).where(users.c.id == UUID(account.id)).values(**changed))

    await give(1)
    await platform.advance(hours=1)
    await platform.inner.invariant_watch.tick()
    broken = await health_of(platform, account)
    followed = InvariantWatch(database=platform.database, clock=platform.clock, hours=1, little=0)
    await platform.advance(minutes=3)
    assert await followed.tick(), "what is broken is looked at again soon"
    by_account = await health_of(platform, account)
    await give(-1)
    await platform.advance(minutes=3)
    await followed.tick()
    mended = await health_of(platform, account)

    assert checked == [True, False], "one check in its time"
    assert before["components"]["invariants"]["reason"] == "The books have not been recomputed yet."
    assert well["components"]["invariants"]["status"] == mended["components"]["invariants"]["status"] == "healthy"
    for found in (broken, by_account):
        assert found["components"]["invariants"]["status"] == found["overall_status"] == "unhealthy"
        assert found["components"]["invariants"]["details"]["violations"] >= 1
    assert by_account["components"]["invariants"]["details"]["looked_at"].startswith("the books of 1 accounts")


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_readiness_flips_while_the_database_is_lost_and_comes_back(database_url: str, tmp_path: Path) -> None:
    server = httpx.URL(database_url.replace("postgresql://", "http://"))
    async with wire_to(server.host, server.port or 5432) as wire:
        url = database_url.replace(f":{server.port}/", f":{wire.port}/")
        settings = settings_for_tests(tmp_path, database={"url": url, "connect_timeout_seconds": 1})
        async with open_under_test(settings, clock=SystemClock()) as platform:
            account = await platform.signup()

            def ready() -> Any:
                return platform.client.get("/health/ready")

            seen = [(await ready()).status_code]
            for line in (Line.CUT, Line.SILENT):
                wire.turn(line)
                lost = await becomes(503, ready)
                health = (await platform.client.get("/health")).json()
                live = await platform.client.get("/health/live")
                await asyncio.sleep(1.1)  # A verified token is remembered for as long.
                refused = await platform.client.get(HEALTH, headers=account.headers)
                wire.turn(Line.OPEN)
                back = await becomes(200, ready)
                seen += [lost.status_code, back.status_code]

                assert (health["status"], health["database"]["status"]) == ("unhealthy", "unhealthy")
                assert health["database"]["error"]
                assert live.status_code == httpx.codes.OK, "a restart would not bring the database back"
                assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
            after = await health_of(platform, account)
            created = await platform.client.post("/projects", json={"name": "after"}, headers=account.headers)

    assert seen == [200, 503, 200, 503, 200]
    assert after["components"]["database"]["status"] == "healthy"
    assert created.status_code == httpx.codes.CREATED
