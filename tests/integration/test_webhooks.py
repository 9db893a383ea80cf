"""Events are posted to who subscribed: signed, at least once, in the order of each resource, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from tests.support.platform import PASSWORD, Account, PlatformUnderTest
from tests.support.receiver import Receiver, receiving
from zentry.events.recorder import EventRecorder
from zentry.schema.events import event_details, events

LOOPBACK: dict[str, Any] = {"allow_http": True, "allowed_networks": ["127.0.0.0/8"], "timeout_seconds": 5}


@pytest.fixture
def overrides() -> dict[str, Any]:
    return {"webhooks": LOOPBACK}


async def ask(
    platform: PlatformUnderTest,
    account: Account,
    method: str,
    path: str,
    body: Any = None,
    status: int = httpx.codes.OK,
) -> Any:
    answer = await platform.client.request(method, path, json=body, headers=account.headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def given_webhook(
    platform: PlatformUnderTest, account: Account, receiver: Receiver, *kinds: str, **more: Any
) -> dict[str, Any]:
    body = {"url": receiver.url, "kinds": list(kinds), **more}
    return dict(await ask(platform, account, "POST", "/webhooks", body, httpx.codes.CREATED))


async def back(platform: PlatformUnderTest, account: Account) -> Account:
    """Sign in again, after tokens are over."""
    answer = await platform.client.post("/auth/login", json={"email": account.email, "password": PASSWORD})
    assert answer.status_code == httpx.codes.OK, answer.text
    tokens = answer.json()
    return replace(account, headers={"Authorization": f"Bearer {tokens['access_token']}"}, tokens=tokens)


async def tell(platform: PlatformUnderTest, account: Account, *numbers: int, resource: int = 1) -> None:
    async with platform.database.work() as tx:
        for number in numbers:
            await EventRecorder(tx).record(
                "test.told",
                resource_type="test",
                resource_id=UUID(int=resource),
                user_id=UUID(account.id),
                data={"number": number},
            )


async def deliver(platform: PlatformUnderTest, *, hours: float = 0) -> None:
    """Post all that is due, and what comes due in so many hours."""
    await platform.inner.sequencer.tick()
    while await platform.inner.deliverer.run_once():
        pass
    if hours:
        await platform.advance(hours=hours, meter=False)
        await deliver(platform)


async def test_a_webhook_gets_what_it_wants_signed_and_shows_what_was_posted(platform: PlatformUnderTest) -> None:
    ada, eve = await platform.signup(), await platform.signup()
    project = await platform.given_project(ada)
    async with receiving() as receiver, receiving() as of_project:
        webhook = await given_webhook(platform, ada, receiver, "vm.", "test.")
        own = await given_webhook(platform, ada, of_project, "vm.running", project_id=project)
        vm = await platform.given_vm(ada, project_id=project)
        await tell(platform, eve, 1)

        await deliver(platform)

        log = await ask(platform, ada, "GET", f"/webhooks/{webhook['id']}/deliveries")
        assert [message.content["type"] for message in receiver.messages] == ["vm.create_requested", "vm.running"]
        assert [message.content["type"] for message in of_project.messages] == ["vm.running"]
    message = receiver.messages[-1]
    event = (await ask(platform, ada, "GET", f"/events?resource_id={vm['id']}&limit=1"))["events"][0]
    assert message.content["data"] == event
    assert message.is_signed_with(webhook["secret"])
    assert not message.is_signed_with(own["secret"])
    assert message.headers["content-type"] == "application/json"
    delivery = next(one for one in log["deliveries"] if one["id"] == message.id)
    assert (delivery["status"], delivery["attempts"]) == ("delivered", 1)
    shown = await ask(platform, ada, "GET", f"/webhooks/{webhook['id']}/deliveries/{delivery['id']}")
    assert [attempt["response_status"] for attempt in shown["log"]] == [200]
    assert "secret" not in await ask(platform, ada, "GET", f"/webhooks/{webhook['id']}")
    await ask(platform, eve, "GET", f"/webhooks/{webhook['id']}/deliveries", status=httpx.codes.NOT_FOUND)
    foreign = {"url": receiver.url, "project_id": project}
    await ask(platform, eve, "POST", "/webhooks", foreign, status=httpx.codes.NOT_FOUND)
    page = await ask(platform, ada, "GET", f"/webhooks/{webhook['id']}/deliveries?limit=1")
    rest = await ask(platform, ada, "GET", f"/webhooks/{webhook['id']}/deliveries?cursor={page['next_cursor']}")
    assert [*page["deliveries"], *rest["deliveries"]] == log["deliveries"]


@pytest.mark.parametrize(("events", "resources"), [(12, 4), pytest.param(2_000, 100, marks=pytest.mark.long)])
async def test_a_receiver_that_fails_gets_all_in_the_order_of_each_resource(
    platform: PlatformUnderTest, events: int, resources: int
) -> None:
    ada = await platform.signup()
    chance = Random(11)
    async with receiving() as receiver:
        await given_webhook(platform, ada, receiver, "test.")
        receiver.answer = lambda: 500 if chance.random() < 0.3 else 200
        for number in range(events):
            await tell(platform, ada, number, resource=1 + number % resources)
        await deliver(platform)
        # A resource moves on by one event a turn at least, unless the receiver fails; it fails for days.
        for _ in range(12 * events // resources):
            if len(receiver.taken) == events:
                break
            await deliver(platform, hours=24)

    arrived = defaultdict(list)
    for message in receiver.taken:
        arrived[message.content["data"]["resource_id"]].append(message.content["data"]["data"]["number"])
    assert sorted(number for numbers in arrived.values() for number in numbers) == list(range(events))
    assert all(numbers == sorted(numbers) for numbers in arrived.values())
    assert len(receiver.messages) > len(receiver.taken)
    assert len({message.id for message in receiver.messages}) == events


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_what_fails_for_good_is_dead_and_can_be_posted_again(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    async with receiving() as receiver:
        webhook = await given_webhook(platform, ada, receiver, "test.")
        path = f"/webhooks/{webhook['id']}"
        receiver.answer = lambda: 503
        await tell(platform, ada, 1, 2)
        for _ in range(30):
            await deliver(platform, hours=5)
        ada = await back(platform, ada)
        failing = await ask(platform, ada, "GET", path)
        first = receiver.messages[0].id
        assert (failing["status"], failing["disabled_reason"]) == ("disabled", "failing")
        refused = await platform.client.post(f"{path}/ping", headers=ada.headers)
        assert refused.json()["error_code"] == "WEBHOOK_DISABLED"

        await ask(platform, ada, "PATCH", path, {"status": "enabled"})
        receiver.answer = lambda: 200
        await deliver(platform, hours=30)
        ada = await back(platform, ada)
        again = f"{path}/deliveries/{first}/redeliver"
        await ask(platform, ada, "POST", again, status=httpx.codes.ACCEPTED)
        await deliver(platform)
        log = await ask(platform, ada, "GET", f"{path}/deliveries")

    assert [delivery["status"] for delivery in log["deliveries"]] == ["delivered", "delivered"]
    assert {message.content["data"]["data"]["number"] for message in receiver.taken} == {1, 2}
    assert receiver.messages[0].id == receiver.messages[-1].id == first


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize("overrides", [{"webhooks": {**LOOPBACK, "retry_seconds": [10, 20]}}])
async def test_a_delivery_is_dead_after_its_last_attempt_and_lets_the_next_pass(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    async with receiving() as receiver:
        webhook = await given_webhook(platform, ada, receiver, "test.")
        await tell(platform, ada, 1, 2)
        receiver.answer = lambda: 200 if len(receiver.messages) >= 3 else 500
        for _ in range(4):
            await deliver(platform, hours=0.01)
        dead = await ask(platform, ada, "GET", f"/webhooks/{webhook['id']}/deliveries?status=dead")

    assert [message.content["data"]["data"]["number"] for message in receiver.messages] == [1, 1, 1, 2]
    assert [delivery["attempts"] for delivery in dead["deliveries"]] == [3]
    assert dead["deliveries"][0]["last_error"] == "The answer was 500."


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_deleted_account_leaves_neither_webhooks_nor_addresses(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    async with receiving() as receiver:
        await given_webhook(platform, ada, receiver)
        await tell(platform, ada, 1)
        await ask(platform, ada, "POST", "/auth/account/delete", {"password": PASSWORD})
        await deliver(platform)

    assert receiver.messages == []
    async with platform.database.read() as tx:
        kept = (await tx.execute(sa.select(events.c.kind).join(event_details))).scalars().all()
    assert list(kept) == ["account.deleted"]


async def test_a_worker_that_dies_loses_nothing(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    async with receiving() as receiver:
        await given_webhook(platform, ada, receiver, "test.")
        await tell(platform, ada, 1)
        await platform.inner.sequencer.tick()
        await platform.inner.deliverer.match()
        assert len(await platform.inner.deliverer.claim()) == 1
        await deliver(platform)
        assert receiver.messages == []

        await deliver(platform, hours=1)

    assert len(receiver.taken) == 1


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_secret_is_replaced_without_a_message_that_is_refused(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    async with receiving() as receiver:
        webhook = await given_webhook(platform, ada, receiver, "test.")
        path = f"/webhooks/{webhook['id']}"
        rotated = await ask(platform, ada, "POST", f"{path}/rotate-secret")
        await ask(platform, ada, "POST", f"{path}/ping", status=httpx.codes.ACCEPTED)
        await deliver(platform, hours=25)
        ada = await back(platform, ada)
        await ask(platform, ada, "POST", f"{path}/ping", status=httpx.codes.ACCEPTED)
        await deliver(platform)

    during, afterwards = receiver.messages
    assert during.content["type"] == "webhook.ping"
    assert during.is_signed_with(webhook["secret"])
    assert during.is_signed_with(rotated["secret"])
    assert not afterwards.is_signed_with(webhook["secret"])
    assert afterwards.is_signed_with(rotated["secret"])


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize("overrides", [{"webhooks": {**LOOPBACK, "timeout_seconds": 0.3, "webhooks_per_account": 3}}])
async def test_redirects_silence_and_forbidden_addresses_are_failures(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    async with receiving() as elsewhere, receiving() as receiver:
        webhook = await given_webhook(platform, ada, receiver)
        path = f"/webhooks/{webhook['id']}"

        async def ping() -> dict[str, Any]:
            made = await ask(platform, ada, "POST", f"{path}/ping", status=httpx.codes.ACCEPTED)
            await platform.inner.deliverer.run_once()
            return dict(await ask(platform, ada, "GET", f"{path}/deliveries/{made['id']}"))

        await deliver(platform)
        receiver.answer, receiver.extra = (lambda: 302), f"Location: {elsewhere.url}\r\n"
        redirected = await ping()
        receiver.silent = True
        silent = await ping()
        refused = await platform.client.post("/webhooks", json={"url": "https://169.254.169.254/"}, headers=ada.headers)
        receiver.silent, receiver.answer = False, lambda: 410
        gone = await ping()
        disabled = await ask(platform, ada, "GET", path)
        for _ in range(2):
            await given_webhook(platform, ada, receiver)
        too_many = await platform.client.post("/webhooks", json={"url": receiver.url}, headers=ada.headers)

    assert (redirected["status"], redirected["last_status"], elsewhere.messages) == ("pending", 302, [])
    assert silent["last_error"] == "No answer within 0.3 seconds."
    assert (refused.status_code, refused.json()["error_code"]) == (400, "WEBHOOK_TARGET_REFUSED")
    assert gone["last_status"] == 410
    assert (disabled["status"], disabled["disabled_reason"]) == ("disabled", "gone")
    assert too_many.json()["error_code"] == "TOO_MANY_WEBHOOKS"
