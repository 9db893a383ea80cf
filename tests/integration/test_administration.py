"""What administrators do: with accounts, limits, operations and drivers."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import sqlalchemy as sa

from tests.support.platform import PASSWORD, Account, PlatformUnderTest
from zentry.schema.accounts import second_factors


async def ask(
    platform: PlatformUnderTest, account: Account, method: str, path: str, body: dict[str, Any] | None = None
) -> httpx.Response:
    return await platform.client.request(method, path, json=body, headers=account.headers)


async def test_a_suspended_account_is_signed_out_everywhere_and_its_machines_go_on(
    platform: PlatformUnderTest,
) -> None:
    admin = await platform.given_admin()
    ada = await platform.signup("Ada@example.com")
    vm = await platform.given_vm(ada)
    credentials = {"email": ada.email, "password": PASSWORD}
    elsewhere = (await platform.client.post("/auth/login", json=credentials)).json()
    path = f"/admin/users/{ada.id}"

    found = (await ask(platform, admin, "GET", "/admin/users?email=ADA@example.com")).json()["users"]
    assert [one["id"] for one in found] == [ada.id]
    suspended = await ask(platform, admin, "POST", f"{path}/suspend", {"reason": "Reported"})
    assert (suspended.status_code, suspended.json()["is_active"]) == (200, False)
    assert suspended.json()["suspended_for"] == "Reported"

    assert (await ask(platform, ada, "GET", "/vms")).status_code in {401, 403}
    other = {"Authorization": f"Bearer {elsewhere['access_token']}"}
    assert (await platform.client.get("/vms", headers=other)).status_code in {401, 403}
    refreshed = await platform.client.post("/auth/refresh", json={"refresh_token": elsewhere["refresh_token"]})
    assert refreshed.status_code in {401, 403}
    assert (await platform.client.post("/auth/login", json=credentials)).status_code == 403
    await platform.advance(minutes=30)
    shown = (await ask(platform, admin, "GET", "/admin/users?suspended=true")).json()["users"]
    assert [one["id"] for one in shown] == [ada.id]
    assert shown[0]["held"] > 0  # What runs goes on and is paid for.

    assert (await ask(platform, admin, "POST", f"{path}/resume")).json()["suspended_at"] is None
    again = (await platform.client.post("/auth/login", json=credentials)).json()
    back = Account(ada.id, ada.email, {"Authorization": f"Bearer {again['access_token']}"}, again)
    assert (await platform.get_vm(str(vm["id"]), back))["status"] == "running"
    await ask(platform, admin, "POST", f"{path}/suspend", {"reason": "Once more", "stop_vms": True})
    await platform.settle()
    await ask(platform, admin, "POST", f"{path}/resume")
    again = (await platform.client.post("/auth/login", json=credentials)).json()
    back = Account(ada.id, ada.email, {"Authorization": f"Bearer {again['access_token']}"}, again)
    stopped = await platform.get_vm(str(vm["id"]), back)
    assert (stopped["status"], stopped["stop_reason"]) == ("stopped", "administrator")
    assert (await ask(platform, admin, "POST", f"{path}/sign-out")).status_code == 200
    assert (await ask(platform, back, "GET", "/vms")).status_code == 401


async def test_one_administrator_always_stays(platform: PlatformUnderTest) -> None:
    first, second = await platform.given_admin(), await platform.given_admin()
    user = await platform.signup()

    def demote(who: Account, whom: Account) -> Any:
        return ask(platform, who, "PUT", f"/admin/users/{whom.id}/role", {"role": "user"})

    both = await asyncio.gather(demote(first, second), demote(second, first))
    left = (await ask(platform, first, "GET", "/admin/users?role=admin")).status_code == 200
    last = first if left else second
    assert sorted(answer.status_code for answer in both) in ([200, 403], [200, 409])
    alone = await demote(last, last)
    assert (alone.status_code, alone.json()["error_code"]) == (409, "LAST_ADMINISTRATOR")
    refused = await ask(platform, last, "POST", f"/admin/users/{last.id}/suspend", {"reason": "me"})
    assert refused.status_code == 409
    assert (await ask(platform, last, "PUT", f"/admin/users/{user.id}/role", {"role": "admin"})).status_code == 200
    assert (await demote(last, last)).status_code == 200
    assert (await ask(platform, last, "GET", "/admin/users")).status_code == 403
    pages = await ask(platform, user, "GET", "/admin/users?limit=2")
    rest = await ask(platform, user, "GET", f"/admin/users?limit=2&cursor={pages.json()['next_cursor']}")
    assert len({one["id"] for one in [*pages.json()["users"], *rest.json()["users"]]}) == 3


async def test_limits_are_set_for_an_account_and_for_a_project(platform: PlatformUnderTest) -> None:
    admin = await platform.given_admin()
    ada = await platform.signup()
    project_id = await platform.given_project(ada)
    await platform.given_vm(ada, project_id=project_id)

    project = await ask(platform, admin, "PATCH", f"/admin/projects/{project_id}/quotas", {"vms": 1})
    account = await ask(platform, admin, "PATCH", f"/admin/users/{ada.id}/quotas", {"projects": 0})

    assert {one["resource"]: one["maximum"] for one in project.json()["quotas"]}["vms"] == 1
    assert {one["resource"]: one["available"] for one in account.json()["quotas"]}["projects"] == 0
    for path, changed in (
        (f"/admin/projects/{project_id}/quotas", project),
        (f"/admin/users/{ada.id}/quotas", account),
    ):
        assert (await ask(platform, admin, "GET", path)).json() == changed.json()
    wish = {"name": "more", "instance_type": "small", "image": "debian-12", "project_id": project_id}
    assert (await ask(platform, ada, "POST", "/vms", wish)).json()["error_code"] == "QUOTA_EXCEEDED"
    assert (await ask(platform, ada, "POST", "/projects", {"name": "more"})).json()["error_code"] == "QUOTA_EXCEEDED"
    unknown = await ask(platform, admin, "PATCH", f"/admin/projects/{ada.id}/quotas", {"vms": 1})
    assert unknown.status_code == 404
    negative = await ask(platform, admin, "PATCH", f"/admin/users/{ada.id}/quotas", {"vms": -1})
    assert negative.status_code == 400


async def test_operations_of_everybody_are_seen_cancelled_and_tried_again(platform: PlatformUnderTest) -> None:
    admin = await platform.given_admin()
    ada = await platform.signup()
    vm = await platform.given_vm(ada, status="stopped")
    path = f"/admin/operations?user_id={ada.id}"

    async def strike(kind: str) -> None:
        fault = {"action": "ensure_running", "kind": kind, "count": 1}
        assert (await ask(platform, admin, "POST", "/admin/simulator/faults", fault)).status_code == 201
        await ask(platform, ada, "POST", f"/vms/{vm['id']}/start")
        await platform.settle()

    await ask(platform, ada, "POST", f"/vms/{vm['id']}/start")
    (due,) = (await ask(platform, admin, "GET", f"{path}&status=pending")).json()["operations"]
    refused = await ask(platform, admin, "POST", f"/admin/operations/{due['id']}/retry")
    assert refused.json()["error_code"] == "OPERATION_NOT_RETRYABLE"  # It is due as it is.
    cancelled = await ask(platform, admin, "POST", f"/admin/operations/{due['id']}/cancel")
    await platform.settle()
    ended = (await ask(platform, ada, "GET", f"/operations/{due['id']}")).json()
    assert (cancelled.status_code, ended["status"]) == (200, "cancelled")

    await strike("unavailable")
    (waits,) = (await ask(platform, admin, "GET", f"{path}&status=pending")).json()["operations"]
    assert (await ask(platform, admin, "POST", f"/admin/operations/{waits['id']}/retry")).status_code == 200
    await platform.settle()
    assert (await platform.get_vm(str(vm["id"]), ada))["status"] == "running"

    await ask(platform, ada, "POST", f"/vms/{vm['id']}/stop")
    await platform.settle()
    await strike("rejected")
    (failed,) = (await ask(platform, admin, "GET", f"{path}&status=failed")).json()["operations"]
    again = await ask(platform, admin, "POST", f"/admin/operations/{failed['id']}/retry")
    assert (again.status_code, again.json()["id"] != failed["id"]) == (200, True)
    await platform.settle()
    assert (await platform.get_vm(str(vm["id"]), ada))["status"] == "running"
    assert (await ask(platform, admin, "POST", f"/admin/operations/{ada.id}/cancel")).status_code == 404
    pages = (await ask(platform, admin, "GET", "/admin/operations?limit=1")).json()
    assert pages["next_cursor"] is not None


async def test_drivers_show_what_they_can_do_and_what_they_have(platform: PlatformUnderTest) -> None:
    admin = await platform.given_admin()
    await platform.given_vm(await platform.signup())

    (driver,) = (await ask(platform, admin, "GET", "/admin/drivers")).json()

    assert (driver["name"], driver["state"], driver["machines"]) == ("simulator", "available", 1)
    assert driver["capabilities"]["snapshots"] is True
    assert sum(host["vcpus_used"] for host in driver["hosts"]) > 0


async def test_a_lost_second_factor_is_taken_away(platform: PlatformUnderTest) -> None:
    admin, ada = await platform.given_admin(), await platform.signup()
    begun = await ask(platform, ada, "POST", "/auth/second-factor", {"password": PASSWORD})
    assert begun.is_success, begun.text
    async with platform.database.work() as tx:
        await tx.execute(sa.update(second_factors).values(confirmed_at=tx.now))
    credentials = {"email": ada.email, "password": PASSWORD}
    held = await platform.client.post("/auth/login", json=credentials)
    assert "access_token" not in held.json() or held.json()["access_token"] is None

    reset = await ask(platform, admin, "POST", f"/admin/users/{ada.id}/second-factor/reset")

    assert reset.status_code == 200
    assert (await ask(platform, ada, "GET", "/vms")).status_code == 401
    assert (await platform.client.post("/auth/login", json=credentials)).json()["access_token"]
