"""Alert policies through the front door: judged by a worker, told once, silenced, tried and kept."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from tests.support.platform import Account, PlatformUnderTest
from zentry.compute.types import Sample
from zentry.monitoring.alerts.letters import MOST_IN_AN_HOUR
from zentry.monitoring.alerts.repository import AlertRepository
from zentry.schema.events import events

BUSY: dict[str, Any] = {
    "name": "CPU is busy",
    "source": "metric",
    "subject": "cpu_usage",
    "threshold": 90,
    "clear_threshold": 80,
    "window_seconds": 60,
    "fire_after_seconds": 120,
}


async def add(platform: PlatformUnderTest, account: Account, **policy: Any) -> dict[str, Any]:
    answer = await platform.client.post("/alerts/policies", json={**BUSY, **policy}, headers=account.headers)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return dict(answer.json())


async def minutes(platform: PlatformUnderTest, *loads: float | None, vms: tuple[str, ...] = ()) -> None:
    """Let a minute pass for each load, with samples of it, and have policies judged after each."""
    for load in loads:
        platform.clock.advance(timedelta(minutes=1))
        now = platform.clock.now()
        samples = [Sample(UUID(vm), now, load, 10.0, 10.0, 1.0, 1.0) for vm in vms if load is not None]
        await platform.inner.app.state.metrics.record_vm_metrics(samples)
        await platform.inner.alerts.tick()


async def told(platform: PlatformUnderTest) -> list[tuple[str, str]]:
    async with platform.database.read() as tx:
        query = sa.select(events.c.kind, events.c.data).where(events.c.kind.like("alert.%"))
        return [(row.kind, row.data["target_id"]) for row in await tx.execute(query.order_by(events.c.id))]


async def get(platform: PlatformUnderTest, account: Account, path: str) -> Any:
    answer = await platform.client.get(path, headers=account.headers)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()


async def test_a_policy_fires_after_its_time_and_is_resolved_below_its_clear_threshold(
    platform: PlatformUnderTest,
) -> None:
    ada, eve = await platform.signup(), await platform.signup()
    vm = (await platform.given_vm(ada))["id"]
    policy = await add(platform, ada)
    states = []

    for load in (95.0, 95.0, 95.0, 95.0, 85.0, None, 79.0):
        await minutes(platform, load, vms=(vm,))
        states.append([(alert["state"], alert["value"]) for alert in await get(platform, ada, "/alerts")])

    assert states == [
        [("pending", 95.0)],
        [("pending", 95.0)],
        [("firing", 95.0)],
        [("firing", 95.0)],
        [("firing", 85.0)],  # Between the thresholds it stays.
        [("firing", 85.0)],  # A gap changes nothing.
        [],
    ]
    assert await told(platform) == [("alert.firing", vm), ("alert.resolved", vm)]
    history = await get(platform, ada, "/alerts/history?limit=2")
    rest = await get(platform, ada, f"/alerts/history?limit=2&cursor={history['next_cursor']}")
    assert [change["state"] for change in history["changes"] + rest["changes"]] == ["resolved", "firing", "pending"]
    assert rest["next_cursor"] is None
    assert await get(platform, eve, "/alerts/history") == {"changes": [], "next_cursor": None}
    for path in ("", "/test"):
        method = platform.client.post if path else platform.client.get
        answer = await method(f"/alerts/policies/{policy['id']}{path}", headers=eve.headers)
        assert answer.status_code == httpx.codes.NOT_FOUND


async def test_a_worker_that_dies_or_comes_late_neither_loses_nor_repeats_what_is_told(
    platform: PlatformUnderTest,
) -> None:
    ada = await platform.signup()
    vm = (await platform.given_vm(ada))["id"]
    await add(platform, ada, fire_after_seconds=0)
    await minutes(platform, 95.0)
    platform.clock.advance(timedelta(minutes=1))
    await platform.inner.app.state.metrics.record_vm_metrics(
        [Sample(UUID(vm), platform.clock.now(), 95.0, 10.0, 10.0, 1.0, 1.0)]
    )
    # It leases the policy and is heard of no more; until its lease runs out nobody else judges.
    async with platform.database.work() as tx:
        (leased,) = await AlertRepository(tx).claim(limit=5, lease=timedelta(seconds=50))
    await platform.inner.alerts.tick()
    before = await told(platform)
    platform.clock.advance(timedelta(seconds=51))

    await platform.inner.alerts.tick()
    async with platform.database.work() as tx:
        is_late_accepted = await AlertRepository(tx).release(leased, due_in=timedelta(0))
    await minutes(platform, 95.0, 95.0, vms=(vm,))

    assert before == []
    assert not is_late_accepted
    assert await told(platform) == [("alert.firing", vm)]


async def test_what_fires_is_mailed_once_for_all_machines_and_stands_on_the_dashboard(
    platform: PlatformUnderTest,
) -> None:
    ada, eve = await platform.signup(), await platform.signup()
    first, second = (await platform.given_vm(ada)), (await platform.given_vm(ada))
    vms = (first["id"], second["id"])
    policy = await add(platform, ada, fire_after_seconds=0, notify_mail=True, severity="critical")
    await add(platform, ada, name="Nobody is mailed of this", fire_after_seconds=0)
    await add(platform, eve, fire_after_seconds=0, notify_mail=True)
    path = f"/alerts/policies/{policy['id']}"

    await platform.client.post(f"{path}/test", headers=ada.headers)
    await minutes(platform, 95.0, 95.0, vms=vms)
    dashboard = await get(platform, ada, "/monitoring/dashboard")
    silence = {"vm_id": vms[0], "ends_at": (platform.clock.now() + timedelta(hours=1)).isoformat()}
    await platform.client.post("/alerts/silences", json=silence, headers=ada.headers)
    silenced = await get(platform, ada, "/monitoring/dashboard")
    await minutes(platform, 10.0, vms=vms)
    after = await get(platform, ada, "/monitoring/dashboard")
    mails = [mail for mail in await platform.mails() if "alert" in mail["Subject"]]

    assert {mail["To"] for mail in mails} == {ada.email}
    assert sorted(mail["Subject"] for mail in mails) == ["A test of an alert", "An alert fires", "An alert is resolved"]
    fired = next(mail.get_content() for mail in mails if mail["Subject"] == "An alert fires")
    assert all(f"VM {vm['name']}: 95" in fired for vm in (first, second))
    shown = [alert for alert in dashboard["alerts"] if alert["type"] == "policy"]
    assert {(alert["vm_id"], alert["severity"]) for alert in shown} == {
        (vm, severity) for vm in vms for severity in ("critical", "warning")
    }
    assert f"CPU is busy fires for VM {first['name']}, at 95." in {alert["message"] for alert in shown}
    assert {alert["vm_id"] for alert in silenced["alerts"] if alert["type"] == "policy"} == {vms[1]}
    assert [alert for alert in after["alerts"] if alert["type"] == "policy"] == []

    quiet = await platform.client.patch(path, json={"notify_mail": False}, headers=ada.headers)
    await minutes(platform, 95.0, vms=vms)
    assert quiet.json()["notify_mail"] is False
    assert len([mail for mail in await platform.mails() if "alert" in mail["Subject"]]) == 3


async def test_no_more_than_so_many_mails_go_out_in_an_hour(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    policy = await add(platform, ada, notify_mail=True)
    for _ in range(MOST_IN_AN_HOUR + 2):
        await platform.client.post(f"/alerts/policies/{policy['id']}/test", headers=ada.headers)
    within = len(await platform.mails())
    await platform.advance(hours=1)
    await platform.client.post(f"/alerts/policies/{policy['id']}/test", headers=ada.headers)

    assert within == MOST_IN_AN_HOUR
    assert len(await platform.mails()) == MOST_IN_AN_HOUR + 1


async def test_silences_hold_back_what_is_told_and_what_still_fires_is_told_at_their_end(
    platform: PlatformUnderTest,
) -> None:
    ada = await platform.signup()
    loud, quiet = (await platform.given_vm(ada))["id"], (await platform.given_vm(ada))["id"]
    policy = await add(platform, ada, fire_after_seconds=0)
    ends_at = (platform.clock.now() + timedelta(minutes=3, seconds=30)).isoformat()
    silence = {"policy_id": policy["id"], "vm_id": quiet, "ends_at": ends_at, "comment": "planned"}
    answer = await platform.client.post("/alerts/silences", json=silence, headers=ada.headers)
    assert answer.status_code == httpx.codes.CREATED, answer.text

    await minutes(platform, 95.0, 95.0, vms=(loud, quiet))
    during = await get(platform, ada, "/alerts")
    silenced = await told(platform)
    await minutes(platform, 95.0, 95.0, 10.0, vms=(loud, quiet))

    assert {alert["target_id"]: alert["is_silenced"] for alert in during} == {loud: False, quiet: True}
    assert silenced == [("alert.firing", loud)]
    assert sorted(await told(platform)) == sorted(
        [(kind, vm) for kind in ("alert.firing", "alert.resolved") for vm in (loud, quiet)]
    )
    assert await get(platform, ada, "/alerts/silences") == []
    gone = await platform.client.delete(f"/alerts/silences/{answer.json()['id']}", headers=ada.headers)
    assert gone.status_code == httpx.codes.OK
    again = await platform.client.delete(f"/alerts/silences/{answer.json()['id']}", headers=ada.headers)
    assert again.status_code == httpx.codes.NOT_FOUND


async def test_events_figures_absence_rates_and_labels_are_judged_too(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    vm = (await platform.given_vm(ada, labels={"env": "prod"}))["id"]
    other = (await platform.given_vm(ada))["id"]
    now = {"fire_after_seconds": 0, "clear_threshold": None}
    event = {"source": "event", "subject": "vm.stopped", "threshold": 0, "window_seconds": 600}
    await add(platform, ada, name="stopped", **{**now, **event})
    cost = {"source": "billing", "subject": "hourly_cost", "threshold": 0.09}
    await add(platform, ada, name="dear", **{**now, **cost})
    await add(platform, ada, name="silent", condition="absence", label_selector="env=prod", **now)
    await add(platform, ada, name="climbing", condition="rate", **{**now, "threshold": 20})

    async def firing() -> set[tuple[str, str]]:
        return {
            (alert["policy_name"], alert["target_id"])
            for alert in await get(platform, ada, "/alerts")
            if alert["state"] == "firing"
        }

    await minutes(platform, 10.0, 20.0, vms=(vm, other))
    calm = await firing()
    await minutes(platform, 50.0, vms=(vm, other))
    climbing = await firing()
    await minutes(platform, None, None, vms=(vm,))
    absent = await firing()
    await platform.client.post(f"/vms/{vm}/stop", headers=ada.headers)
    await platform.settle()
    await minutes(platform, None)
    stopped = await firing()

    assert calm == {("dear", ada.id)}
    assert climbing == {("dear", ada.id), ("climbing", vm), ("climbing", other)}
    assert ("silent", vm) in absent
    assert ("silent", other) not in absent
    # A machine that does not run is not judged, and what fired for it is resolved.
    assert {name for name, target in stopped if target in {vm, ada.id}} == {"stopped"}


async def test_events_and_costs_are_judged_of_a_label_a_project_and_a_machine(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    project = await platform.given_project(ada)
    labelled = (await platform.given_vm(ada, labels={"env": "prod"}, instance_type="medium"))["id"]
    plain = (await platform.given_vm(ada, project_id=project))["id"]
    now: dict[str, Any] = {"fire_after_seconds": 0, "clear_threshold": None, "window_seconds": 3600}
    parts = {"label": {"label_selector": "env=prod"}, "project": {"project_id": project}, "vm": {"vm_id": plain}}
    wanted = {  # Medium costs 0.1 and small 0.05 an hour, and a create 0.05.
        "stopped": {"source": "event", "subject": "vm.stopped", "threshold": 0},
        "dear": {"source": "billing", "subject": "hourly_cost", "threshold": 0.07},
        "spent": {"source": "billing", "subject": "spent_today", "threshold": 0.12},
    }
    for (name, policy), (part, scope) in itertools.product(wanted.items(), parts.items()):
        await add(platform, ada, name=f"{name} {part}", **{**now, **policy, **scope})

    async def firing() -> set[str]:
        return {alert["policy_name"] for alert in await get(platform, ada, "/alerts") if alert["state"] == "firing"}

    await minutes(platform, None)
    begins = await firing()
    await platform.advance(hours=1)
    await minutes(platform, None)
    hour = await firing()
    for vm in (plain, labelled):
        await platform.client.post(f"/vms/{vm}/stop", headers=ada.headers)
        await platform.settle()
        await minutes(platform, None)
        if vm == plain:
            stopped = await firing()
    rest = await firing()

    assert begins == {"dear label"}
    assert hour == {"dear label", "spent label"}
    assert stopped == {"dear label", "spent label", "stopped project", "stopped vm"}
    assert rest == {"spent label", "stopped label", "stopped project", "stopped vm"}


async def test_policies_are_tried_changed_and_deleted(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    vm = (await platform.given_vm(ada))["id"]
    policy = await add(platform, ada, fire_after_seconds=0, vm_id=vm)
    path = f"/alerts/policies/{policy['id']}"

    tried = await platform.client.post(f"{path}/test", headers=ada.headers)
    await minutes(platform, 95.0, vms=(vm,))
    platform.clock.advance(timedelta(seconds=1))
    changed = await platform.client.patch(path, json={"threshold": 99}, headers=ada.headers)
    await minutes(platform, 95.0, vms=(vm,))
    twice = await platform.client.post("/alerts/policies", json=BUSY, headers=ada.headers)
    gone = await platform.client.delete(path, headers=ada.headers)

    assert tried.status_code == changed.status_code == gone.status_code == httpx.codes.OK
    assert (changed.json()["threshold"], changed.json()["clear_threshold"]) == (99, 99)
    assert await told(platform) == [("alert.test", vm), ("alert.firing", vm), ("alert.resolved", vm)]
    history = (await get(platform, ada, "/alerts/history"))["changes"]
    assert [(change["state"], change["is_test"]) for change in history] == [
        ("resolved", False),
        ("firing", False),
        ("firing", True),
    ]
    assert (twice.status_code, await get(platform, ada, "/alerts/policies")) == (httpx.codes.CONFLICT, [])
    assert (await platform.client.get(path, headers=ada.headers)).status_code == httpx.codes.NOT_FOUND


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_policy_or_silence_that_could_never_be_is_refused(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    project = await platform.given_project(ada)
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"subject": "heat"}, "subject"),
        ({"source": "billing", "subject": "debt"}, "subject"),
        ({"source": "billing", "subject": "hourly_cost", "condition": "rate"}, "condition"),
        ({"source": "billing", "subject": "spent_this_month", "project_id": project}, "subject"),
        ({"source": "billing", "subject": "hours_left", "label_selector": "env=prod"}, "subject"),
        ({"source": "event", "subject": "stopped"}, "subject"),
        ({"source": "event", "subject": "vm.stopped", "label_selector": "env==="}, "label_selector"),
        ({"window_seconds": 59}, "window_seconds"),
        ({"name": " "}, "name"),
        ({"severity": "mild"}, "severity"),
    )

    for change, field in wrong:
        answer = await platform.client.post("/alerts/policies", json={**BUSY, **change}, headers=ada.headers)
        assert answer.status_code == httpx.codes.BAD_REQUEST, change
        found = [error["field"] for error in answer.json()["details"]["validation_errors"]]
        assert found == [field], change
    unknown = await platform.client.post("/alerts/policies", json={**BUSY, "vm_id": project}, headers=ada.headers)
    past = await platform.client.post("/alerts/silences", json={"ends_at": "2026-01-01T00:00:00Z"}, headers=ada.headers)
    naive = await platform.client.post("/alerts/silences", json={"ends_at": "2026-06-01T00:00:00"}, headers=ada.headers)

    assert unknown.status_code == httpx.codes.NOT_FOUND
    assert (past.status_code, past.json()["error_code"]) == (httpx.codes.CONFLICT, "SILENCE_PERIOD")
    assert naive.status_code == httpx.codes.BAD_REQUEST


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_policy_is_well_again_on_the_good_side_of_its_threshold(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    sent: tuple[dict[str, Any], ...] = (
        {},
        {"clear_threshold": 95},
        {"clear_threshold": 85},
        {"comparison": "below", "clear_threshold": 80},
    )

    kept = [
        await platform.client.post("/alerts/policies", json={**BUSY, "name": f"p{n}", **one}, headers=ada.headers)
        for n, one in enumerate(sent)
    ]
    path = f"/alerts/policies/{kept[0].json()['id']}"
    changed = await platform.client.patch(path, json={"threshold": 70}, headers=ada.headers)

    assert [one.json()["clear_threshold"] for one in kept] == [80, 90, 85, 90]
    assert changed.json()["clear_threshold"] == 70
