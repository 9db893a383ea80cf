"""Events are read page by page and followed as a stream: in order, without a gap, without a repetition."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.support.platform import Account, PlatformUnderTest
from tests.support.sse import listening
from zentry.events.recorder import EventRecorder
from zentry.events.retention import EventRetention
from zentry.platform.ids import parse_id
from zentry.platform.tasks import Stop

PATIENT: dict[str, Any] = {"stream_seconds": 3600, "heartbeat_seconds": 300}


@pytest.fixture
def overrides() -> dict[str, Any]:
    return {"events": PATIENT}


async def tell(platform: PlatformUnderTest, account: Account, *kinds: str, project: str | None = None) -> None:
    """Let something happen to an account, and be logged."""
    async with platform.database.work() as tx:
        for kind in kinds:
            await EventRecorder(tx).record(
                kind,
                resource_type="test",
                resource_id=UUID(int=7),
                user_id=UUID(account.id),
                project_id=None if project is None else parse_id(project),
            )
    await platform.inner.sequencer.tick()


async def get(platform: PlatformUnderTest, account: Account, path: str, status: int = httpx.codes.OK) -> Any:
    answer = await platform.client.get(path, headers=account.headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def has(number: int) -> Any:
    return lambda listener: len(listener.events) >= number


async def test_events_are_paged_in_both_directions_and_filtered(platform: PlatformUnderTest) -> None:
    ada, eve = await platform.signup(), await platform.signup()
    vm = await platform.given_vm(ada)
    await platform.advance(hours=1)
    later = platform.clock.now().isoformat().replace("+00:00", "Z")
    await tell(platform, eve, "test.foreign")
    await tell(platform, ada, "test.one", "test.two", "test.three")

    newest = await get(platform, ada, "/events?limit=500")
    page = await get(platform, ada, "/events?order=oldest&limit=3")
    pages = page["events"]
    while page["next_cursor"] is not None:
        page = await get(platform, ada, f"/events?order=oldest&limit=3&cursor={page['next_cursor']}")
        pages += page["events"]

    assert newest["next_cursor"] is None
    assert pages == newest["events"][::-1]
    assert [event["position"] for event in pages] == sorted({event["position"] for event in pages})
    assert {event["user_id"] for event in pages} == {ada.id}
    kinds = [event["kind"] for event in pages]
    assert kinds[-3:] == ["test.one", "test.two", "test.three"]
    of_vm = await get(platform, ada, f"/events?resource_id={vm['id']}&kind=vm.")
    assert [event["kind"] for event in of_vm["events"]] == ["vm.running", "vm.create_requested"]
    since = await get(platform, ada, f"/events?since={later}&kind=test.&order=oldest")
    assert [event["kind"] for event in since["events"]] == ["test.one", "test.two", "test.three"]
    until = await get(platform, ada, f"/events?until={later}")
    assert len(until["events"]) == len(pages) - 3
    by_ada = await get(platform, ada, f"/events?actor_id={ada.id}&kind=vm.&kind=account.&resource_id={vm['id']}")
    assert [event["kind"] for event in by_ada["events"]] == ["vm.create_requested"]
    in_project = await get(platform, ada, f"/events?project_id={vm['project_id']}")
    assert {event["project_id"] for event in in_project["events"]} == {vm["project_id"]}
    assert (await get(platform, ada, "/events?actor_id=nobody"))["events"] == []
    await get(platform, eve, f"/events?project_id={vm['project_id']}", httpx.codes.NOT_FOUND)
    await get(platform, ada, "/events?project_id=none", httpx.codes.NOT_FOUND)


async def test_a_vm_tells_how_it_came_to_its_state_and_why(platform: PlatformUnderTest) -> None:
    ada, eve = await platform.signup(), await platform.signup()
    vm = await platform.given_vm(ada, status="stopped")

    found = (await get(platform, ada, f"/vms/{vm['id']}/transitions"))["transitions"]

    assert [(one["from"], one["to"]) for one in found] == [
        ("running", "stopped"),
        ("creating", "running"),
        (None, "creating"),
    ]
    assert {one["cause"] for one in found} == {"user"}
    assert {one["actor_id"] for one in found} == {ada.id}
    assert [one["operation_kind"] for one in found] == ["vms.stop", "vms.create", None]
    assert found[0]["reason"] == "user"
    page = await get(platform, ada, f"/vms/{vm['id']}/transitions?limit=1&cursor={found[0]['position']}")
    assert page["transitions"] == found[1:2]
    await get(platform, eve, f"/vms/{vm['id']}/transitions", httpx.codes.NOT_FOUND)


async def test_a_stream_brings_what_happens_and_goes_on_where_it_was_broken(platform: PlatformUnderTest) -> None:
    ada, eve = await platform.signup(), await platform.signup()
    app = platform.inner.app
    await tell(platform, ada, "test.before")

    async with listening(app, ada.headers) as listener:
        await tell(platform, eve, "test.foreign")
        await tell(platform, ada, "test.one", "test.two")
        await listener.until(has(2))
        last = listener.last_id
    await tell(platform, ada, "test.three", "other.four")
    async with listening(app, {**ada.headers, "Last-Event-ID": str(last)}, "/events/stream?kind=test.") as resumed:
        await resumed.until(has(1))
        await tell(platform, ada, "other.five", "test.six")
        await resumed.until(has(2))
    async with listening(app, {**ada.headers, "Last-Event-ID": "0"}) as replayed:
        total = (await get(platform, ada, "/events?limit=500&order=oldest"))["events"]
        await replayed.until(has(len(total)))

    assert listener.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "content-encoding" not in listener.headers
    assert [event["kind"] for event in listener.events] == ["test.one", "test.two"]
    assert [event["kind"] for event in resumed.events] == ["test.three", "test.six"]
    assert replayed.events == total
    assert [int(frame["id"]) for frame in replayed.frames if "data" in frame] == [one["position"] for one in total]
    ahead = await platform.client.get("/events/stream", headers={**ada.headers, "Last-Event-ID": "999999"})
    assert (ahead.status_code, ahead.json()["error_code"]) == (409, "POSITION_UNKNOWN")


async def test_a_stream_of_a_project_is_for_those_who_may_see_it(platform: PlatformUnderTest) -> None:
    ada, eve = await platform.signup(), await platform.signup()
    project = await platform.given_project(ada)
    await platform.inner.sequencer.tick()

    async with listening(platform.inner.app, ada.headers, f"/events/stream?project_id={project}") as listener:
        await tell(platform, ada, "test.elsewhere")
        await tell(platform, eve, "test.in_it", project=project)
        await listener.until(has(1))
    foreign = await platform.client.get(f"/events/stream?project_id={project}", headers=eve.headers)

    assert [event["kind"] for event in listener.events] == ["test.in_it"]
    assert foreign.status_code == httpx.codes.NOT_FOUND


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize("overrides", [{"events": {**PATIENT, "stream_backlog": 5, "streams_per_account": 2}}])
async def test_a_slow_client_is_cut_off_and_misses_nothing_and_none_opens_too_many(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    app = platform.inner.app
    await platform.inner.sequencer.tick()
    numbered = [f"test.number_{'x' * number}" for number in range(30)]

    async with listening(app, ada.headers) as slow, listening(app, ada.headers) as quick:
        await tell(platform, ada, "test.first")
        await slow.until(has(1))
        refused = await platform.client.get("/events/stream", headers=ada.headers)
        slow.takes.clear()
        for kind in numbered:
            await tell(platform, ada, kind)
            await quick.until(lambda one, kind=kind: one.events[-1]["kind"] == kind)
        slow.takes.set()
        await slow.until(lambda one: one.is_over)
        last = slow.last_id
    async with listening(app, {**ada.headers, "Last-Event-ID": str(last)}) as resumed:
        await resumed.until(lambda one: one.events and one.events[-1]["kind"] == numbered[-1])

    assert (refused.status_code, refused.json()["error_code"]) == (429, "TOO_MANY_STREAMS")
    assert len(slow.events) < len(numbered)
    assert [event["kind"] for event in [*slow.events, *resumed.events]] == ["test.first", *numbered]


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize(
    "overrides", [{"events": {**PATIENT, "heartbeat_seconds": 0.05}, "security": {"token_cache_seconds": 0}}]
)
async def test_a_stream_lives_by_heartbeats_and_ends_with_its_session(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()

    async with listening(platform.inner.app, ada.headers) as listener:
        await listener.until(lambda one: len(one.frames) >= 4)
        answer = await platform.client.post("/auth/logout", headers=ada.headers)
        assert answer.is_success
        await listener.until(lambda one: one.is_over)
    with_revoked = await platform.client.get("/events/stream", headers=ada.headers)

    assert all(frame.keys() <= {"id", "retry"} for frame in listener.frames)
    assert with_revoked.status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize("overrides", [{"events": PATIENT, "security": {"token_cache_seconds": 0}}])
async def test_a_logout_ends_the_streams_of_its_session_before_the_next_heartbeat(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    await platform.inner.sequencer.tick()

    async with listening(platform.inner.app, ada.headers) as listener:
        await platform.client.post("/auth/logout", headers=ada.headers)
        await platform.inner.sequencer.tick()
        await listener.until(lambda one: one.is_over)

    assert [event["kind"] for event in listener.events] == ["account.logged_out"]


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_what_is_no_longer_kept_is_told_as_a_gap_and_a_shutdown_ends_streams(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    await tell(platform, ada, "test.one", "test.two", "test.old")
    await platform.advance(days=401, meter=False)
    again = await platform.client.post("/auth/login", json={"email": ada.email, "password": "correct-horse-battery-7"})
    headers = {"Authorization": f"Bearer {again.json()['access_token']}"}
    await platform.inner.sequencer.tick()
    async with platform.database.work() as tx:
        await EventRetention(platform.settings.events)(tx)

    async with listening(platform.inner.app, {**headers, "Last-Event-ID": "2"}) as listener:
        await listener.until(has(1))
        await platform.inner.hub.close()
        await listener.until(lambda one: one.is_over)

    gaps = [frame for frame in listener.frames if frame.get("event") == "gap"]
    assert len(gaps) == 1
    assert f'"kept_from":{listener.events[0]["position"]}' in gaps[0]["data"]
    assert [event["kind"] for event in listener.events] == ["account.logged_in"]


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_many_streams_that_break_again_and_again_lose_and_repeat_nothing(platform: PlatformUnderTest) -> None:
    accounts = [await platform.signup() for _ in range(4)]
    app = platform.inner.app
    stop = Stop()
    sequencing = asyncio.create_task(platform.inner.sequencer.run(stop))
    total = 60

    async def write(account: Account) -> None:
        for number in range(total):
            async with platform.database.work() as tx:
                await EventRecorder(tx).record(
                    "test.news",
                    resource_type="test",
                    resource_id=UUID(int=1),
                    user_id=UUID(account.id),
                    data={"number": number},
                )

    async def follow(account: Account, each: int) -> list[dict[str, Any]]:
        """Take a few events, hang up, go on behind them, until all are there."""
        seen: list[dict[str, Any]] = []
        position = 0
        while len(seen) < total:
            headers = {**account.headers, "Last-Event-ID": str(position)}
            async with listening(app, headers, "/events/stream?kind=test.") as listener:
                want = min(each, total - len(seen))
                await listener.until(has(want))
                seen += listener.events
                position = listener.last_id
        return seen

    followers = [asyncio.create_task(follow(account, each)) for account in accounts for each in (5, 7, 60)]
    await asyncio.gather(*(write(account) for account in accounts))
    followed = await asyncio.gather(*followers)
    stop.set()
    await sequencing

    for seen in followed:
        assert [event["data"]["number"] for event in seen] == list(range(total))
