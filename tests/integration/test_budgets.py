"""Budgets: told of once, decided at the instant of the request, and stopped within a tick."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from tests.support.platform import PASSWORD, Account, PlatformUnderTest
from zentry.schema.events import events
from zentry.schema.mail import mails


async def _budget(platform: PlatformUnderTest, account: Account, **wishes: Any) -> dict[str, Any]:
    body = {"name": "Lab", "amount": 1, "thresholds": [{"percent": 100}], **wishes}
    answer = await platform.client.post("/billing/budgets", json=body, headers=account.headers)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return dict(answer.json())


async def _create(platform: PlatformUnderTest, account: Account, project_id: str, **wishes: Any) -> httpx.Response:
    body = {"name": f"vm-{wishes.pop('number', 0)}", "instance_type": "small", "image": "debian-12", **wishes}
    return await platform.client.post("/vms", json={**body, "project_id": project_id}, headers=account.headers)


async def _told(platform: PlatformUnderTest) -> list[dict[str, Any]]:
    async with platform.database.read() as tx:
        query = sa.select(events.c.data).where(events.c.kind == "budget.threshold_reached").order_by(events.c.id)
        return [dict(row.data) for row in (await tx.execute(query)).all()]


async def test_a_spent_budget_forbids_new_machines_in_its_scope_only(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project, other = await platform.given_project(account), await platform.given_project(account, "other")
    await platform.given_vm(account, project_id=project, labels={"team": "a"})
    await platform.given_vm(account, project_id=other, labels={"team": "b"})
    block = [{"amount": 0.1, "action": "block_creation"}]
    await _budget(platform, account, name="project", project_id=project, thresholds=block)
    await _budget(platform, account, name="label", label_key="team", label_value="b", thresholds=block)
    before = await _create(platform, account, project, number=1)
    await platform.settle()
    platform.clock.advance(datetime(2026, 3, 2, 13, 30, tzinfo=UTC) - platform.clock.now())

    # No meter and no watch has looked: what has accrued counts at the instant of the request.
    in_project = await _create(platform, account, project, number=2)
    with_label = await _create(platform, account, other, number=3, labels={"team": "b"})
    outside = await _create(platform, account, other, number=4)
    await platform.advance()

    assert [answer.status_code for answer in (before, in_project, with_label, outside)] == [201, 409, 409, 201]
    told = in_project.json()
    assert (told["error_code"], told["details"]["limit"]) == ("BUDGET_EXCEEDED", 0.1)
    assert told["details"]["reached"] >= 0.1
    listed = (await platform.client.get("/billing/budgets", headers=account.headers)).json()
    assert [(one["name"], one["thresholds"][0]["is_reached"]) for one in listed] == [("label", True), ("project", True)]
    changed = await platform.client.put(
        f"/billing/budgets/{listed[1]['id']}",
        json={"name": "project", "amount": 5, "thresholds": [{"percent": 100, "action": "block_creation"}]},
        headers=account.headers,
    )
    assert (changed.status_code, (await _create(platform, account, project, number=5)).status_code) == (200, 201)


async def test_thresholds_are_told_of_once_and_what_may_not_run_is_stopped(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    await _budget(
        platform,
        account,
        amount=10,
        thresholds=[
            {"percent": 100, "basis": "forecast"},
            {"amount": 0.1},
            {"amount": 0.2, "action": "suspend"},
        ],
    )
    watch = platform.inner.budget_watch

    await asyncio.gather(watch.tick(), watch.tick())
    at_once = await _told(platform)
    await platform.advance(minutes=58)
    await platform.advance(minutes=58)
    await watch.tick()
    later = await _told(platform)
    await platform.advance(minutes=58)
    await platform.advance(minutes=58)
    await asyncio.gather(watch.tick(), watch.tick())
    await platform.settle()

    assert [one["basis"] for one in at_once] == ["forecast"]  # Until the end of March it makes about 35 credits.
    assert [(one["basis"], one["threshold_micros"]) for one in later[1:]] == [("actual", 100_000)]
    assert [one["action"] for one in await _told(platform)] == ["notify", "notify", "suspend"]
    async with platform.database.read() as tx:
        letters = (await tx.execute(sa.select(mails.c.key).where(mails.c.key.like("budget:%")))).all()
    assert len(letters) == 3
    stopped = await platform.get_vm(vm["id"], account)
    assert (stopped["status"], stopped["stop_reason"]) == ("stopped", "budget")
    started = await platform.client.post(f"/vms/{vm['id']}/start", headers=account.headers)
    assert (started.status_code, started.json()["error_code"]) == (409, "BUDGET_EXCEEDED")
    await platform.inner.resumption.tick()
    assert (await platform.get_vm(vm["id"], account))["active_operation"] is None  # Credit is not what is missing.


async def test_a_new_month_begins_anew(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project = await platform.given_project(account)
    vm = await platform.given_vm(account, project_id=project)
    await platform.advance(hours=1)
    budget = await _budget(platform, account, thresholds=[{"amount": 0.05, "action": "block_creation"}])
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()
    refused = await _create(platform, account, project, number=1)

    platform.clock.advance(datetime(2026, 4, 1, tzinfo=UTC) - platform.clock.now())
    login = await platform.client.post("/auth/login", json={"email": account.email, "password": PASSWORD})
    account.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
    created = await _create(platform, account, project, number=1)
    await platform.settle()
    shown = (await platform.client.get(f"/billing/budgets/{budget['id']}", headers=account.headers)).json()

    assert budget["actual"] == 0.1  # What was charged before the budget was made counts: the fee and an hour.
    assert (refused.status_code, created.status_code) == (409, 201)
    assert shown["actual"] == 0.05


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_budget_that_is_none_is_refused(platform: PlatformUnderTest) -> None:
    account, eve = await platform.signup(), await platform.signup()
    foreign = await platform.given_project(eve)
    await _budget(platform, account)
    wrong: list[tuple[dict[str, Any], int]] = [
        ({"amount": "5"}, 400),
        ({"amount": 0}, 400),
        ({"amount": 1e-7}, 400),
        ({"amount": 1_000_001}, 400),
        ({"thresholds": []}, 400),
        ({"thresholds": [{}]}, 400),
        ({"thresholds": [{"percent": 50, "amount": 1}]}, 400),
        ({"thresholds": [{"percent": 0}]}, 400),
        ({"thresholds": [{"percent": 50, "action": "explode"}]}, 400),
        ({"thresholds": [{"percent": 50}] * 21}, 400),
        ({"label_key": "team"}, 400),
        ({"project_id": foreign}, 404),
        ({"project_id": "7"}, 404),
        ({"name": "Lab"}, 409),
    ]

    for body, status in wrong:
        answer = await platform.client.post(
            "/billing/budgets",
            json={"name": "other", "amount": 1, "thresholds": [{"percent": 1}], **body},
            headers=account.headers,
        )
        assert answer.status_code == status, (body, answer.text)
    full = [
        (
            await platform.client.post(
                "/billing/budgets",
                json={"name": f"n{number}", "amount": 1, "thresholds": [{"percent": 1}]},
                headers=account.headers,
            )
        ).json()
        for number in range(50)
    ]

    assert full[-1]["error_code"] == "TOO_MANY_BUDGETS"
    gone = await platform.client.delete(f"/billing/budgets/{full[0]['id']}", headers=account.headers)
    assert gone.status_code == 200
    assert (await platform.client.get(f"/billing/budgets/{full[0]['id']}", headers=account.headers)).status_code == 404
