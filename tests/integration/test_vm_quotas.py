"""Quotas of what machines are made of: exact under concurrency, readable, and without drift."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.support.platform import Account, PlatformUnderTest
from zentry.projects.quotas import Drift, recount
from zentry.schema.accounts import users
from zentry.schema.projects import quotas


async def _usage(platform: PlatformUnderTest, account: Account, path: str = "/quotas") -> dict[str, tuple[int, int]]:
    answer = await platform.client.get(path, headers=account.headers)
    assert answer.status_code == 200, answer.text
    return {one["resource"]: (one["used"], one["maximum"]) for one in answer.json()["quotas"]}


async def _drift(platform: PlatformUnderTest) -> list[Drift]:
    async with platform.database.read() as tx:
        return list(await recount(tx))


def _body(project_id: str, **wishes: Any) -> dict[str, Any]:
    return {"name": "web", "instance_type": "small", "image": "debian-12", "project_id": project_id, **wishes}


async def test_a_machine_counts_with_its_account_and_its_project_until_it_is_removed(
    platform: PlatformUnderTest,
) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    vm = await platform.given_vm(account, project_id=project_id, instance_type="medium")
    other = await platform.given_vm(account)

    of_account = await _usage(platform, account)
    of_project = await _usage(platform, account, f"/projects/{project_id}/quotas")
    await platform.client.delete(f"/vms/{vm['id']}", headers=account.headers)
    await platform.settle()
    afterwards = await _usage(platform, account)

    assert other["status"] == "running"
    assert of_account == {
        "projects": (2, 10),
        "vms": (2, 50),
        "vcpus": (3, 200),
        "memory_mib": (5120, 409_600),
        "disk_gib": (60, 4000),
        "snapshots": (0, 100),
    }
    assert of_project == {
        "vms": (1, 20),
        "vcpus": (2, 80),
        "memory_mib": (4096, 163_840),
        "disk_gib": (40, 1600),
        "snapshots": (0, 40),
    }
    assert {name: used for name, (used, _) in afterwards.items()} == {
        "projects": 2,
        "vms": 1,
        "vcpus": 1,
        "memory_mib": 1024,
        "disk_gib": 20,
        "snapshots": 0,
    }
    assert await _drift(platform) == []


@pytest.mark.parametrize(
    ("overrides", "resource"),
    [
        ({"quotas": {"vcpus_per_user": 7}}, "vcpus"),
        ({"quotas": {"memory_mib_per_project": 12_287}}, "memory_mib"),
        ({"quotas": {"disk_gib_per_user": 100}}, "disk_gib"),
    ],
)
async def test_each_counter_stops_a_crowd_at_its_limit(platform: PlatformUnderTest, resource: str) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    # The welcome credit pays for all of them.
    bodies = [_body(project_id, name=f"vm-{n}", instance_type="medium") for n in range(10)]

    answers = await asyncio.gather(
        *(platform.client.post("/vms", json=body, headers=account.headers) for body in bodies)
    )
    await platform.settle()

    refused = [answer.json() for answer in answers if answer.status_code == 409]
    fitting = {"vcpus": 3, "memory_mib": 2, "disk_gib": 2}[resource]
    assert len(refused) == 10 - fitting
    assert {one["error_code"] for one in refused} == {"QUOTA_EXCEEDED"}
    assert {one["details"]["resource"] for one in refused} == {resource}
    assert await _drift(platform) == []


@pytest.mark.parametrize("overrides", [{"quotas": {"disk_gib_per_project": 50}}])
async def test_a_refused_machine_takes_no_counter_and_no_credit(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    before, money = await _usage(platform, account), await platform.credits(account)

    answer = await platform.client.post("/vms", json=_body(project_id, instance_type="large"), headers=account.headers)

    assert answer.json()["details"] == {"resource": "disk_gib", "maximum": 50, "used": 0}
    assert await _usage(platform, account) == before
    assert (await platform.credits(account))["held_credits"] == money["held_credits"]


async def test_creations_and_removals_at_once_leave_no_drift(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    projects = [await platform.given_project(account, name) for name in ("one", "two")]
    there = [await platform.given_vm(account, project_id=projects[n % 2]) for n in range(6)]

    async def remove(vm: dict[str, Any]) -> None:
        await platform.client.delete(f"/vms/{vm['id']}", headers=account.headers)

    async def create(number: int) -> None:
        body = _body(projects[number % 2], name=f"new-{number}", instance_type=["small", "large"][number % 2])
        await platform.client.post("/vms", json=body, headers=account.headers)

    async def work() -> None:
        for _ in range(6):
            for claim in await platform.inner.runner.claim():
                await platform.inner.runner.drive(claim)
            await asyncio.sleep(0)

    await asyncio.gather(*map(remove, there), *map(create, range(8)), work(), work(), work())
    await platform.settle()

    assert (await _usage(platform, account))["vms"][0] == 8
    assert await _drift(platform) == []


async def test_a_counter_that_lies_is_found_and_shown_to_administrators(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    async with platform.database.work() as tx:
        await tx.execute(sa.update(users).where(users.c.id == UUID(account.id)).values(role="admin"))
    await platform.advance(seconds=2)  # A verified token is trusted for a second.
    row = (quotas.c.owner_id == UUID(account.id), quotas.c.resource == "vcpus")
    right = await platform.client.get("/quotas/drift", headers=account.headers)
    async with platform.database.work() as tx:
        await tx.execute(sa.update(quotas).where(*row).values(used=5))

    wrong = await platform.client.get("/quotas/drift", headers=account.headers)
    async with platform.database.work() as tx:
        await tx.execute(sa.update(quotas).where(*row).values(used=1))

    assert vm["vcpus"] == 1
    assert right.json() == {"drift": 0, "items": []}
    assert wrong.json()["items"] == [{"owner_id": account.id, "resource": "vcpus", "used": 5, "counted": 1}]


async def test_quotas_are_shown_to_their_owner_alone(platform: PlatformUnderTest) -> None:
    owner, stranger = await platform.signup(), await platform.signup()
    project_id = await platform.given_project(owner)

    foreign = await platform.client.get(f"/projects/{project_id}/quotas", headers=stranger.headers)
    drift = await platform.client.get("/quotas/drift", headers=stranger.headers)
    nobody = await platform.client.get("/quotas")

    assert [foreign.status_code, drift.status_code, nobody.status_code] == [404, 403, 401]


@pytest.mark.parametrize("overrides", [{"quotas": {"vms_per_user": 3, "vcpus_per_user": 5, "vms_per_project": 2}}])
async def test_sizes_follow_the_number_of_machines_unless_they_are_set(platform: PlatformUnderTest) -> None:
    account = await platform.signup()

    usage = await _usage(platform, account)

    assert {name: maximum for name, (_, maximum) in usage.items()} == {
        "projects": 10,
        "vms": 3,
        "vcpus": 5,
        "memory_mib": 24_576,
        "disk_gib": 240,
        "snapshots": 100,
    }
