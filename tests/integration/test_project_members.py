"""People who work in one project: what each role sees and may do, and who pays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from tests.support.platform import Account, PlatformUnderTest
from zentry.platform.caller import ProjectRole
from zentry.projects.access import RIGHTS, Right
from zentry.schema.projects import project_members

VM = {"name": "theirs", "instance_type": "small", "image": "debian-12"}


async def ask(
    platform: PlatformUnderTest, account: Account, method: str, path: str, body: dict[str, Any] | None = None
) -> httpx.Response:
    return await platform.client.request(method, path, json=body, headers=account.headers)


async def invite(
    platform: PlatformUnderTest, account: Account, project_id: str, email: str, role: str = "member"
) -> httpx.Response:
    return await ask(platform, account, "POST", f"/projects/{project_id}/invitations", {"email": email, "role": role})


async def accept(platform: PlatformUnderTest, account: Account, token: str) -> httpx.Response:
    return await ask(platform, account, "POST", "/invitations/accept", {"token": token})


async def test_a_member_works_in_the_project_and_its_owner_pays(platform: PlatformUnderTest) -> None:
    ada = await platform.signup("ada@example.com")
    project_id = await platform.given_project(ada)
    bob = await platform.given_member(ada, project_id, role="member")
    before = (await platform.credits(bob))["current_credits"]

    made = await ask(
        platform,
        bob,
        "POST",
        "/vms",
        {**VM, "project_id": project_id, "user_data": "#!/bin/sh\n", "labels": {"a": "b"}},
    )
    await platform.settle()
    vm_id = made.json()["id"]
    await platform.advance(minutes=30)
    taken = await ask(platform, bob, "POST", f"/vms/{vm_id}/snapshots", {"name": "one"})
    await platform.settle()

    vm = await platform.get_vm(vm_id, bob)
    assert (vm["status"], vm["user_id"], vm["project_id"]) == ("running", ada.id, project_id)
    assert vm["total_cost"] > 0
    assert (await platform.credits(bob))["current_credits"] == before
    assert {line["vm_id"] for line in await platform.history(ada)} >= {vm_id}
    assert not [line for line in await platform.history(bob) if line["vm_id"]]
    project = (await ask(platform, bob, "GET", f"/projects/{project_id}")).json()
    assert (project["role"], project["user_id"], project["vm_count"]) == ("member", ada.id, 1)
    statistics = (await ask(platform, bob, "GET", f"/projects/{project_id}/statistics")).json()
    assert (statistics["active_vms"], statistics["running_cost_per_hour"]) == (1, vm["cost_per_hour"])
    for path, key in (
        ("/vms", "vms"),
        ("/vms?label_selector=a%3Db,!c", "vms"),
        (f"/vms?project_id={project_id}&status=running", "vms"),
        ("/operations", "operations"),
        (f"/operations?vm_id={vm_id}", "operations"),
        (f"/vms/{vm_id}/operations", "operations"),
        ("/snapshots", "snapshots"),
        (f"/vms/{vm_id}/snapshots", "snapshots"),
    ):
        seen = (await ask(platform, bob, "GET", path)).json()[key]
        assert seen, path
        assert seen == (await ask(platform, ada, "GET", path)).json()[key], path
    assert (await ask(platform, bob, "GET", "/health/audit")).json()[0]["user_id"] == ada.id
    assert (await ask(platform, bob, "GET", "/monitoring/dashboard")).status_code == 200
    copy = {**VM, "name": "copy", "project_id": project_id, "snapshot_id": taken.json()["id"]}
    del copy["image"]
    assert (await ask(platform, bob, "POST", "/vms", copy)).status_code == 201
    await platform.settle()
    assert (await ask(platform, bob, "DELETE", f"/snapshots/{taken.json()['id']}")).status_code == 200
    quotas = {one["resource"]: one["used"] for one in (await ask(platform, ada, "GET", "/quotas")).json()["quotas"]}
    assert (quotas["projects"], quotas["vms"]) == (1, 2)


async def test_each_role_may_do_what_the_table_says(platform: PlatformUnderTest) -> None:
    ada = await platform.signup("ada@example.com")
    project_id = await platform.given_project(ada)
    vm = await platform.given_vm(ada, project_id=project_id)
    people = {role: await platform.given_member(ada, project_id, role=role) for role in ("admin", "member", "viewer")}
    asked: dict[Right, tuple[str, str, dict[str, Any] | None]] = {
        Right.READ: ("GET", f"/vms/{vm['id']}", None),
        Right.OPERATE: ("PATCH", f"/vms/{vm['id']}", {"labels": {}}),
        Right.MANAGE: ("PUT", f"/projects/{project_id}", {"description": "new"}),
        Right.OWN: ("DELETE", f"/projects/{project_id}", None),
    }

    for role, account in [*people.items(), ("owner", ada)]:
        for right, (method, path, body) in asked.items():
            answer = await ask(platform, account, method, path, body)
            allowed = ProjectRole(role)
            assert answer.is_success == (right in RIGHTS[allowed]), (role, right, answer.text)
            if not answer.is_success:
                told = answer.json()
                assert (answer.status_code, told["error_code"]) == (403, "PROJECT_ROLE_TOO_LOW")
                assert told["details"]["role"] == role
                assert told["message"].startswith(f"You are {role} of this project. To ")

    await platform.advance(seconds=platform.settings.security.token_cache_seconds)
    gone = await ask(platform, people["admin"], "GET", f"/vms/{vm['id']}")
    assert gone.status_code == 404  # With the project ends what its members see; the owner keeps the history.
    assert (await ask(platform, ada, "GET", f"/vms/{vm['id']}")).status_code == 200


async def test_roles_change_and_members_go_at_once(platform: PlatformUnderTest) -> None:
    ada = await platform.signup("ada@example.com")
    project_id = await platform.given_project(ada)
    vm = await platform.given_vm(ada, project_id=project_id)
    admin = await platform.given_member(ada, project_id, role="admin")
    bob = await platform.given_member(ada, project_id, role="member")
    members = f"/projects/{project_id}/members"

    listed = (await ask(platform, bob, "GET", members)).json()
    assert listed[0]["user_id"] == ada.id
    assert {one["user_id"]: one["role"] for one in listed} == {ada.id: "owner", admin.id: "admin", bob.id: "member"}
    refused = await ask(platform, bob, "PATCH", f"{members}/{bob.id}", {"role": "admin"})
    assert refused.status_code == 403
    changed = await ask(platform, admin, "PATCH", f"{members}/{bob.id}", {"role": "viewer"})
    assert (changed.status_code, changed.json()["role"]) == (200, "viewer")
    assert (await ask(platform, bob, "POST", f"/vms/{vm['id']}/stop")).status_code == 403
    for method, body in (("PATCH", {"role": "viewer"}), ("DELETE", None)):
        stays = await ask(platform, admin, method, f"{members}/{ada.id}", body)
        assert (stays.status_code, stays.json()["error_code"]) == (409, "PROJECT_NEEDS_OWNER")
    assert (await ask(platform, ada, "DELETE", f"{members}/{ada.id}")).status_code == 409
    stranger = await platform.signup()
    assert (await ask(platform, admin, "DELETE", f"{members}/{stranger.id}")).status_code == 404

    assert (await ask(platform, admin, "DELETE", f"{members}/{bob.id}")).status_code == 200
    assert (await ask(platform, admin, "DELETE", f"{members}/{bob.id}")).status_code == 404
    assert (await ask(platform, bob, "GET", f"/vms/{vm['id']}")).status_code == 404
    assert (await ask(platform, bob, "GET", "/vms")).json()["total_count"] == 0
    assert (await ask(platform, admin, "DELETE", f"{members}/{admin.id}")).status_code == 200  # Leaves.
    assert (await ask(platform, admin, "GET", f"/projects/{project_id}")).status_code == 404
    kinds = {entry["action"] for entry in (await ask(platform, ada, "GET", "/health/audit?limit=200")).json()}
    assert kinds >= {"project.role_changed", "project.member_removed", "project.member_left", "project.member_joined"}


async def test_a_change_of_membership_that_is_not_signalled_is_seen_within_a_second(
    platform: PlatformUnderTest,
) -> None:
    ada = await platform.signup("ada@example.com")
    project_id = await platform.given_project(ada)
    bob = await platform.given_member(ada, project_id, role="member")
    assert (await ask(platform, bob, "GET", f"/projects/{project_id}")).status_code == 200

    async with platform.inner.edge.work() as tx:  # As by a process that this one does not hear.
        await tx.execute(sa.delete(project_members).where(project_members.c.user_id == UUID(bob.id)))
    platform.clock.advance(timedelta(seconds=platform.settings.security.token_cache_seconds))

    assert (await ask(platform, bob, "GET", f"/projects/{project_id}")).status_code == 404


@pytest.mark.parametrize("overrides", [{"quotas": {"invitation_hours": 2}}])
async def test_an_invitation_is_good_once_for_one_address_and_for_a_time(platform: PlatformUnderTest) -> None:
    ada = await platform.signup("ada@example.com")
    project_id = await platform.given_project(ada)
    bob, eve = await platform.signup("Bob@example.com"), await platform.signup("eve@example.com")
    path = f"/projects/{project_id}/invitations"

    known = await invite(platform, ada, project_id, "bob@EXAMPLE.com")
    unknown = await invite(platform, ada, project_id, "nobody@example.com")
    assert known.status_code == unknown.status_code == 201
    assert known.json().keys() == unknown.json().keys()
    assert "token" not in known.text
    token = await platform.invitation_token("bob@example.com")
    again = await invite(platform, ada, project_id, "bob@example.com")
    assert (again.status_code, again.json()["error_code"]) == (409, "ALREADY_INVITED")
    assert (await invite(platform, ada, project_id, "ada@example.com")).json()["error_code"] == "ALREADY_MEMBER"

    foreign = await accept(platform, eve, token)
    made_up = await accept(platform, eve, "zi_" + "A" * 43)
    assert foreign.status_code == made_up.status_code == 404
    assert foreign.json()["message"] == made_up.json()["message"]
    sent_too_soon = await ask(platform, ada, "POST", f"{path}/{known.json()['id']}/resend")
    assert (sent_too_soon.status_code, sent_too_soon.headers["retry-after"]) == (429, "60")
    await platform.advance(minutes=1)
    assert (await ask(platform, ada, "POST", f"{path}/{known.json()['id']}/resend")).status_code == 200
    newer = await platform.invitation_token("bob@example.com")
    assert (await accept(platform, bob, token)).status_code == 404  # The one before is worth nothing.
    await platform.advance(hours=2)
    assert (await accept(platform, bob, newer)).status_code == 404  # It has expired.
    assert (await ask(platform, ada, "POST", f"{path}/{known.json()['id']}/resend")).status_code == 200
    newest = await platform.invitation_token("bob@example.com")
    assert newest not in str((await ask(platform, ada, "GET", path)).json())

    joined = await accept(platform, bob, newest)
    assert (joined.status_code, joined.json()["role"]) == (200, "member")
    assert (await ask(platform, bob, "GET", f"/projects/{project_id}")).status_code == 200
    assert (await accept(platform, bob, newest)).status_code == 404  # A replay.
    assert (await invite(platform, ada, project_id, "bob@example.com")).json()["error_code"] == "ALREADY_MEMBER"
    revoked = await ask(platform, ada, "DELETE", f"{path}/{unknown.json()['id']}")
    assert revoked.status_code == 200
    nobody = await platform.signup("nobody@example.com")
    late = await accept(platform, nobody, await platform.invitation_token("nobody@example.com"))
    assert late.status_code == 404
    assert (await ask(platform, ada, "GET", path)).json() == []
    assert (await ask(platform, bob, "GET", path)).status_code == 403


@pytest.mark.parametrize(
    "overrides", [{"quotas": {"members_per_project": 1, "shared_projects_per_user": 1, "invitations_per_day": 4}}]
)
@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_memberships_and_invitations_have_limits(platform: PlatformUnderTest) -> None:
    ada = await platform.signup("ada@example.com")
    first, second = await platform.given_project(ada, "one"), await platform.given_project(ada, "two")
    await platform.given_member(ada, first, role="viewer")
    eve = await platform.given_member(ada, second, role="viewer")

    await platform.advance(seconds=1)
    await invite(platform, ada, first, eve.email)
    full = await accept(platform, eve, await platform.invitation_token(eve.email))
    assert (full.status_code, full.json()["error_code"]) == (409, "MEMBERSHIP_LIMIT")
    assert (await invite(platform, ada, first, "x@example.com")).status_code == 201
    over = await invite(platform, ada, first, "y@example.com")
    assert (over.status_code, over.json()["error_code"]) == (429, "RATE_LIMIT_EXCEEDED")
