"""Writes that may be repeated, and writes that are meant for one version only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from tests.support.platform import Account, PlatformUnderTest
from zentry.schema.billing import billing_records
from zentry.schema.operations import idempotency_keys
from zentry.schema.projects import projects

_SECOND: Final = timedelta(seconds=1)
KEY: Final = {"Idempotency-Key": "one-and-the-same"}

# No key, and why: there is no account to keep it under, or the answer is a secret that is not kept, or the body is a
# secret of which not even a fingerprint is kept; ending a
# session twice is ending it; upkeep and notices have no effect that a second could double; faults of the simulated
# world are there to be trouble.
WITHOUT_KEY: Final = {
    "signup",
    "login",
    "refresh",
    "logout",
    "complete_login",
    "request_verification",
    "verify_email",
    "change_email",
    "confirm_email_change",
    "request_password_reset",
    "reset_password",
    "change_password",
    "reauthenticate",
    "enrol_second_factor",
    "confirm_second_factor",
    "disable_second_factor",
    "deactivate_account",
    "delete_account",
    "optimize_database",
    "run_database_migrations",
    "clean_up",
    "record_deprecation_notice",
    "change_host",
    "add_fault",
    "remove_fault",
    "remove_faults",
    "quote_machines",
    "forecast_plan",
}


def _writes(platform: PlatformUnderTest) -> Iterator[APIRoute]:
    for route in platform.inner.app.routes:
        if isinstance(route, APIRoute) and (route.methods or set()) - {"GET", "HEAD"}:
            yield route


def _takes_a_key(dependant: Dependant) -> bool:
    named = any(header.alias == "Idempotency-Key" for header in dependant.header_params)
    return named or any(_takes_a_key(inner) for inner in dependant.dependencies)


async def _send(
    platform: PlatformUnderTest, account: Account, method: str, path: str, body: Any = None, **headers: str
) -> httpx.Response:
    content = {} if body is None else {"json": body}
    return await platform.client.request(method, path, headers={**account.headers, **headers}, **content)


async def _count(platform: PlatformUnderTest, table: sa.Table) -> int:
    async with platform.database.read() as tx:
        return int((await tx.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_every_write_takes_a_key_but_those_that_are_listed(platform: PlatformUnderTest) -> None:
    without = {route.name for route in _writes(platform) if not _takes_a_key(route.dependant)}

    assert without == WITHOUT_KEY


async def test_a_project_is_created_once_and_shown_as_it_is_now(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    first = await _send(platform, account, "POST", "/projects", {"name": "lab"}, **KEY)
    project_id = first.json()["id"]
    await _send(platform, account, "PUT", f"/projects/{project_id}", {"name": "renamed"})

    again = await _send(platform, account, "POST", "/projects", {"name": "lab"}, **KEY)

    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.json()["id"], again.json()["name"]) == (project_id, "renamed")
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await _count(platform, projects) == 1


async def test_a_project_is_changed_once(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    await _send(platform, account, "PUT", f"/projects/{project_id}", {"name": "first"}, **KEY)
    await _send(platform, account, "PUT", f"/projects/{project_id}", {"name": "second"})

    again = await _send(platform, account, "PUT", f"/projects/{project_id}", {"name": "first"}, **KEY)

    assert (again.status_code, again.json()["name"]) == (200, "second")
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_a_project_is_deleted_once_and_the_repeat_tells_the_same(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    await platform.given_vm(account, project_id=project_id)

    first, again = [await _send(platform, account, "DELETE", f"/projects/{project_id}", **KEY) for _ in range(2)]
    other = await _send(platform, account, "DELETE", f"/projects/{project_id}", **{"Idempotency-Key": "another"})
    await platform.settle()

    assert (first.status_code, again.status_code, other.status_code) == (200, 200, 404)
    assert first.json()["data"] == again.json()["data"] == {"project_id": project_id, "terminated_vms": 1}


async def test_credit_is_added_once_however_often_and_at_once(platform: PlatformUnderTest) -> None:
    account = await platform.signup()

    answers = await asyncio.gather(
        *(_send(platform, account, "POST", "/billing/credits/add", {"amount": 7}, **KEY) for _ in range(6))
    )
    fresh = await _send(platform, account, "POST", "/billing/credits/add", {"amount": 7})

    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({answer.json()["data"]["transaction_id"] for answer in answers}) == 1
    assert [answer.headers.get("Idempotency-Replayed") for answer in answers].count("true") == 5
    assert {answer.json()["data"]["new_balance"] for answer in answers} == {57}
    assert {answer.json()["data"]["previous_balance"] for answer in answers} == {50}
    assert fresh.json()["data"]["new_balance"] == 64
    assert await _count(platform, billing_records) == 3


async def test_a_profile_is_changed_once(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    await _send(platform, account, "PUT", "/auth/profile", {"name": "First"}, **KEY)
    await _send(platform, account, "PUT", "/auth/profile", {"name": "Second"})

    again = await _send(platform, account, "PUT", "/auth/profile", {"name": "First"}, **KEY)

    assert (again.status_code, again.json()["name"]) == (200, "Second")
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_an_operation_is_cancelled_once(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="creating")
    path = f"/operations/{vm['active_operation']['id']}/cancel"

    first = await _send(platform, account, "POST", path, **KEY)
    await platform.settle()
    again = await _send(platform, account, "POST", path, **KEY)

    assert (first.json()["status"], again.json()["status"]) == ("pending", "cancelled")
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_the_same_key_with_another_request_is_refused_and_changes_nothing(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    await _send(platform, account, "POST", "/projects", {"name": "lab"}, **KEY)

    other = await _send(platform, account, "POST", "/projects", {"name": "another"}, **KEY)

    assert (other.status_code, other.json()["error_code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert await _count(platform, projects) == 1


async def test_a_refusal_uses_up_no_key(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    taken = await platform.given_project(account, "lab")

    refused = await _send(platform, account, "POST", "/projects", {"name": "lab"}, **KEY)
    kept = await _count(platform, idempotency_keys)
    await _send(platform, account, "DELETE", f"/projects/{taken}")
    accepted = await _send(platform, account, "POST", "/projects", {"name": "lab"}, **KEY)

    assert (refused.status_code, kept, accepted.status_code) == (409, 0, 201)
    assert "Idempotency-Replayed" not in accepted.headers


async def test_a_key_belongs_to_one_account_and_one_route(platform: PlatformUnderTest) -> None:
    ada, bob = await platform.signup(), await platform.signup()

    answers = [
        await _send(platform, ada, "POST", "/projects", {"name": "lab"}, **KEY),
        await _send(platform, bob, "POST", "/projects", {"name": "lab"}, **KEY),
        await _send(platform, ada, "POST", "/billing/credits/add", {"amount": 1}, **KEY),
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 200]
    assert not any("Idempotency-Replayed" in answer.headers for answer in answers)


# Versions


async def _etag(platform: PlatformUnderTest, account: Account, path: str) -> str:
    answer = await _send(platform, account, "GET", path)
    assert answer.status_code == 200, answer.text
    return answer.headers["ETag"]


async def _given(platform: PlatformUnderTest, account: Account, what: str) -> tuple[str, str, Any]:
    """Make a resource; return its path, and a change of it."""
    if what == "profile":
        return "/auth/me", "/auth/profile", {"name": "Another Name"}
    project_id = await platform.given_project(account)
    return f"/projects/{project_id}", f"/projects/{project_id}", {"description": "another"}


@pytest.mark.parametrize("what", ["profile", "project"])
async def test_an_update_is_made_for_the_version_that_was_seen_only(platform: PlatformUnderTest, what: str) -> None:
    account = await platform.signup()
    shown_at, changed_at, change = await _given(platform, account, what)
    seen = await _etag(platform, account, shown_at)
    platform.clock.advance(_SECOND)

    first = await _send(platform, account, "PUT", changed_at, change, **{"If-Match": seen})
    platform.clock.advance(_SECOND)
    late = await _send(platform, account, "PUT", changed_at, {"name": "Too late"}, **{"If-Match": seen})
    current = await _send(platform, account, "PUT", changed_at, change, **{"If-Match": first.headers["ETag"]})
    any_version = await _send(platform, account, "PUT", changed_at, change, **{"If-Match": "*"})

    assert (first.status_code, late.status_code, current.status_code, any_version.status_code) == (200, 412, 200, 200)
    assert late.json()["error_code"] == "PRECONDITION_FAILED"
    assert first.headers["ETag"] != seen
    assert any_version.json()["name"] != "Too late"


async def test_a_tag_is_compared_by_its_version_in_every_spelling(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    path, _, change = await _given(platform, account, "project")
    other = f"/projects/{await platform.given_project(account, 'other')}"
    seen, of_other = await _etag(platform, account, path), await _etag(platform, account, other)
    tries = {
        seen.removeprefix("W/"): 200,
        f'"nothing", {seen}': 200,
        of_other: 412,
        '"nothing"': 412,
        "not a tag": 412,
    }

    answers = {
        tag: (await _send(platform, account, "PUT", path, change, **{"If-Match": tag})).status_code for tag in tries
    }

    assert answers == tries


async def test_many_who_saw_the_same_version_make_one_change(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    path, _, _ = await _given(platform, account, "project")
    seen = await _etag(platform, account, path)
    platform.clock.advance(_SECOND)

    answers = await asyncio.gather(
        *(_send(platform, account, "PUT", path, {"name": f"n{n}"}, **{"If-Match": seen}) for n in range(6))
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 5


async def test_a_project_is_deleted_in_the_version_that_was_seen_only(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    path, _, change = await _given(platform, account, "project")
    seen = await _etag(platform, account, path)
    platform.clock.advance(_SECOND)
    changed = await _send(platform, account, "PUT", path, change)

    late = await _send(platform, account, "DELETE", path, **{"If-Match": seen})
    gone = await _send(platform, account, "DELETE", path, **{"If-Match": changed.headers["ETag"]})

    assert (late.status_code, gone.status_code) == (412, 200)


@pytest.mark.parametrize(
    ("status", "method", "action"),
    [
        ("running", "POST", "/stop"),
        ("running", "POST", "/restart"),
        ("stopped", "POST", "/start"),
        ("running", "DELETE", ""),
    ],
)
async def test_a_power_call_is_made_for_the_version_that_was_seen_only(
    platform: PlatformUnderTest, status: str, method: str, action: str
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status=status)
    path = f"/vms/{vm['id']}"
    stale = await _etag(platform, account, path)
    platform.clock.advance(_SECOND)
    await _send(platform, account, "POST", f"{path}/restart")
    await platform.settle()
    if status == "stopped":
        platform.clock.advance(_SECOND)
        await _send(platform, account, "POST", f"{path}/stop")
        await platform.settle()
    before = await platform.get_vm(vm["id"], account)
    money = await platform.credits(account)

    late = await _send(platform, account, method, f"{path}{action}", **{"If-Match": stale})
    untouched = await platform.get_vm(vm["id"], account)
    unspent = await platform.credits(account)
    fresh = await _etag(platform, account, path)
    done = await _send(platform, account, method, f"{path}{action}", **{"If-Match": fresh})
    await platform.settle()

    assert (late.status_code, late.json()["error_code"]) == (412, "PRECONDITION_FAILED")
    assert (untouched, unspent["held_credits"]) == (before, money["held_credits"])
    assert done.status_code == 200


async def test_a_repeat_is_a_repeat_although_the_version_has_moved_on(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    path = f"/vms/{vm['id']}"
    seen = await _etag(platform, account, path)
    platform.clock.advance(_SECOND)

    first, again = [
        await _send(platform, account, "POST", f"{path}/stop", **KEY, **{"If-Match": seen}) for _ in range(2)
    ]
    await platform.settle()

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["data"]["operation_id"] == again.json()["data"]["operation_id"]


async def test_the_end_of_an_operation_is_another_version(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="creating")
    path = f"/vms/{vm['id']}"
    creating = await _etag(platform, account, path)

    await platform.advance(seconds=1)

    assert await _etag(platform, account, path) != creating
    assert UUID(vm["id"]).hex[-12:] in creating
