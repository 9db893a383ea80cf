"""Projects through the API, on both databases."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.platform import Account, PlatformUnderTest

FIELDS = {
    "id", "name", "description", "role",
    "user_id", "vm_count", "active_vm_count", "total_cost", "created_at", "updated_at",
}  # fmt: skip


async def create(platform: PlatformUnderTest, account: Account, **body: Any) -> httpx.Response:
    return await platform.client.post("/projects", json=body, headers=account.headers)


async def test_a_project_is_created_and_shown_at_once(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()

    created = await create(platform, ada, name="  Web shop ", description="everything")
    listed = await platform.client.get("/projects", headers=ada.headers)
    shown = await platform.client.get(f"/projects/{created.json()['id']}", headers=ada.headers)

    assert created.status_code == 201
    project = created.json()
    assert set(project) == FIELDS
    assert (project["name"], project["description"], project["user_id"]) == ("Web shop", "everything", ada.id)
    assert (project["vm_count"], project["active_vm_count"], project["total_cost"]) == (0, 0, 0)
    assert project["created_at"].endswith("Z")
    assert project["updated_at"] is None
    assert listed.json() == [project]
    assert shown.json() == {**project, "vms": []}


@pytest.mark.parametrize("description", [{}, {"description": ""}, {"description": None}])
async def test_a_project_without_a_description_has_an_empty_one(
    platform: PlatformUnderTest, description: dict[str, Any]
) -> None:
    ada = await platform.signup()

    created = await create(platform, ada, name="lab", **description)

    assert created.status_code == 201
    assert created.json()["description"] == ""


async def test_projects_are_listed_newest_first(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    for name in ("first", "second", "third"):
        await create(platform, ada, name=name)
        platform.clock.advance(timedelta(seconds=1))

    listed = await platform.client.get("/projects", headers=ada.headers)

    assert [project["name"] for project in listed.json()] == ["third", "second", "first"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 101},
        {"name": "a/b"},
        {"name": "Admin"},
        {"name": 12},
        {"name": None},
        {"name": "lab", "description": "x" * 501},
        {"name": "lab", "description": "a\x00b"},
        {"name": "lab", "user_id": "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"},
        {"name": "lab", "id": "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"},
        [],
    ],
)
async def test_a_bad_body_is_refused_and_changes_nothing(platform: PlatformUnderTest, body: Any) -> None:
    ada = await platform.signup()

    answer = await platform.client.post("/projects", json=body, headers=ada.headers)

    assert answer.status_code == 400
    assert answer.json()["error_code"] == "VALIDATION_ERROR"
    assert isinstance(answer.json()["detail"], str)
    assert (await platform.client.get("/projects", headers=ada.headers)).json() == []


async def test_names_are_unique_per_account_in_any_case(platform: PlatformUnderTest) -> None:
    ada, bob = await platform.signup(), await platform.signup()
    await create(platform, ada, name="Lab")

    again = await create(platform, ada, name="LAB")
    elsewhere = await create(platform, bob, name="lab")

    assert again.status_code == 409
    assert again.json()["error_code"] == "CONFLICT"
    assert elsewhere.status_code == 201


async def test_twenty_creates_at_once_make_exactly_ten_projects(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()

    answers = await asyncio.gather(*(create(platform, ada, name=f"lab {number}") for number in range(20)))

    assert Counter(answer.status_code for answer in answers) == {201: 10, 409: 10}
    refused = next(answer.json() for answer in answers if answer.status_code == 409)
    assert refused["error_code"] == "QUOTA_EXCEEDED"
    assert refused["details"] == {"resource": "projects", "maximum": 10, "used": 10}
    assert len((await platform.client.get("/projects", headers=ada.headers)).json()) == 10


async def test_the_same_name_at_once_is_given_once(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()

    answers = await asyncio.gather(*(create(platform, ada, name=name) for name in ("lab", "LAB", "Lab", "lAB") * 2))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 7}
    # The refused ones do not count.
    for number in range(9):
        assert (await create(platform, ada, name=f"other {number}")).status_code == 201


async def test_renames_at_once_to_one_name_let_one_through(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    ids = [await platform.given_project(ada, f"lab {number}") for number in range(8)]

    answers = await asyncio.gather(
        *(
            platform.client.put(f"/projects/{project_id}", json={"name": "Prize"}, headers=ada.headers)
            for project_id in ids
        )
    )

    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 7}
    names = [project["name"] for project in (await platform.client.get("/projects", headers=ada.headers)).json()]
    assert names.count("Prize") == 1
    assert len(names) == 8


async def test_an_update_changes_what_it_names(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    project_id = await platform.given_project(ada, "lab")
    platform.clock.advance(timedelta(minutes=1))

    async def put(**body: str) -> dict[str, Any]:
        answer = await platform.client.put(f"/projects/{project_id}", json=body, headers=ada.headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    described = await put(description="new")
    renamed = await put(name="LAB")

    assert (described["name"], described["description"]) == ("lab", "new")
    assert (renamed["name"], renamed["description"]) == ("LAB", "new")
    assert renamed["updated_at"] > renamed["created_at"]
    assert set(renamed) == FIELDS


async def test_foreign_unknown_and_misspelt_ids_are_answered_alike(platform: PlatformUnderTest) -> None:
    ada, eve = await platform.signup(), await platform.signup()
    foreign = await platform.given_project(ada)
    paths = [foreign, str(uuid4()), foreign.replace("-", ""), "1", "'; DROP TABLE projects; --"]

    for method, suffix in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/statistics")):
        bodies = set()
        for path in paths:
            json = {"name": "mine"} if method == "PUT" else None
            answer = await platform.client.request(method, f"/projects/{path}{suffix}", json=json, headers=eve.headers)
            assert answer.status_code == 404, (method, path, answer.text)
            body = answer.json()
            bodies.add((body["error_code"], body["message"], body["detail"], str(body["details"])))
        assert len(bodies) == 1

    kept = await platform.client.get(f"/projects/{foreign}", headers=ada.headers)
    assert kept.json()["name"] == "lab"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/projects"),
        ("POST", "/projects"),
        ("GET", "/projects/0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"),
        ("PUT", "/projects/0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"),
        ("DELETE", "/projects/0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"),
        ("GET", "/projects/0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b/statistics"),
    ],
)
async def test_without_a_token_nothing_is_told(platform: PlatformUnderTest, method: str, path: str) -> None:
    answer = await platform.client.request(method, path)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_figures_follow_the_machines_and_their_cost(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    project_id = await platform.given_project(ada)
    vm = await platform.given_vm(ada, project_id=project_id, instance_type="medium")
    await platform.given_vm(ada, project_id=project_id, status="stopped")
    await platform.given_vm(ada, project_id=project_id, status="terminated")
    await platform.advance(hours=1)
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=ada.headers)
    await platform.settle()
    await platform.client.post(f"/vms/{vm['id']}/start", headers=ada.headers)
    await platform.settle()

    listed = (await platform.client.get("/projects", headers=ada.headers)).json()
    answer = await platform.client.get(f"/projects/{project_id}/statistics", headers=ada.headers)
    spent = (await platform.credits(ada))["total_spent"]

    assert [(project["vm_count"], project["active_vm_count"]) for project in listed] == [(2, 1)]
    assert listed[0]["total_cost"] == spent == 0.25
    assert answer.json() == {
        "project_id": project_id,
        "total_vms": 2,
        "active_vms": 1,
        "vms_by_status": {"creating": 0, "running": 1, "stopped": 1, "error": 0, "terminated": 1},
        "running_cost_per_hour": 0.1,
        "total_cost": 0.25,
    }


async def test_deleting_a_project_terminates_its_machines_and_keeps_them_readable(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    project_id, other_id = await platform.given_project(ada, "lab"), await platform.given_project(ada, "other")
    doomed = [await platform.given_vm(ada, project_id=project_id) for _ in range(2)]
    spared = await platform.given_vm(ada, project_id=other_id)

    answer = await platform.client.delete(f"/projects/{project_id}", headers=ada.headers)
    await platform.settle()

    assert answer.status_code == 200
    assert answer.json()["success"] is True
    assert "2 VMs were terminated" in answer.json()["message"]
    assert [(await platform.get_vm(vm["id"], ada))["status"] for vm in doomed] == ["terminated", "terminated"]
    assert (await platform.get_vm(spared["id"], ada))["status"] == "running"
    for method in ("GET", "PUT", "DELETE"):
        gone = await platform.client.request(
            method, f"/projects/{project_id}", json={} if method == "PUT" else None, headers=ada.headers
        )
        assert gone.status_code == 404
    assert (await create(platform, ada, name="lab")).status_code == 201


async def test_a_machine_cannot_slip_into_a_project_that_is_being_deleted(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    project_id = await platform.given_project(ada)

    def ask_for_vm(number: int) -> Any:
        body = {"name": f"vm-{number}", "instance_type": "small", "image": "debian-12", "project_id": project_id}
        return platform.client.post("/vms", json=body, headers=ada.headers)

    answers = await asyncio.gather(
        *(ask_for_vm(number) for number in range(3)),
        platform.client.delete(f"/projects/{project_id}", headers=ada.headers),
        *(ask_for_vm(number) for number in range(3, 6)),
    )
    await platform.settle()

    assert {answer.status_code for answer in answers} <= {200, 201, 404, 409}
    assert answers[3].status_code == 200
    made = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    assert {(await platform.get_vm(vm_id, ada))["status"] for vm_id in made} <= {"terminated"}


async def test_deletes_at_once_give_the_place_back_once(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    ids = [await platform.given_project(ada, f"lab {number}") for number in range(10)]

    answers = await asyncio.gather(
        *(platform.client.delete(f"/projects/{ids[0]}", headers=ada.headers) for _ in range(5))
    )

    assert Counter(answer.status_code for answer in answers) == {200: 1, 404: 4}
    assert (await create(platform, ada, name="new")).status_code == 201
    assert (await create(platform, ada, name="one too many")).status_code == 409
