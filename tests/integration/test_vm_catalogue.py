"""Dates of the catalogue: shown, and refused once they have passed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.support.platform import PlatformUnderTest
from zentry.schema.vms import images, instance_types


async def _end(platform: PlatformUnderTest, table: sa.Table, name: str, *, in_seconds: int) -> None:
    at = platform.clock.now() + timedelta(seconds=in_seconds)
    async with platform.database.work() as tx:
        await tx.execute(sa.update(table).where(table.c.name == name).values(deprecated_at=at, unavailable_after=at))


async def _shown(platform: PlatformUnderTest, path: str, name: str) -> dict[str, Any]:
    answer = await platform.client.get(path)
    return next(dict(one) for one in answer.json() if one["name"] == name)


async def test_dates_are_shown_and_null_where_there_are_none(platform: PlatformUnderTest) -> None:
    await _end(platform, instance_types, "xlarge", in_seconds=60)

    old = await _shown(platform, "/images", "centos-8")
    new = await _shown(platform, "/images", "debian-12")
    size = await _shown(platform, "/instance-types", "xlarge")

    assert (old["deprecated_at"], old["unavailable_after"]) == ("2021-12-31T00:00:00Z", None)
    assert (new["deprecated_at"], new["unavailable_after"]) == (None, None)
    assert size["unavailable_after"] == "2026-03-02T12:01:00Z"


@pytest.mark.parametrize(
    ("table", "name", "field"), [(images, "debian-12", "image"), (instance_types, "medium", "instance_type")]
)
async def test_what_is_over_is_refused_from_its_instant_on_and_the_rest_is_named(
    platform: PlatformUnderTest, table: sa.Table, name: str, field: str
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, instance_type="medium")
    await _end(platform, table, name, in_seconds=10)
    before = await platform.given_vm(account, instance_type="medium")
    await platform.advance(seconds=10)
    body = {"name": "late", "instance_type": "medium", "image": "debian-12", "project_id": vm["project_id"]}

    late = await platform.client.post("/vms", json=body, headers=account.headers)
    restarted = await platform.client.post(f"/vms/{vm['id']}/restart", headers=account.headers)
    await platform.settle()

    assert before["status"] == "running"
    assert late.status_code == 400
    assert late.json()["details"]["validation_errors"][0]["field"] == field
    assert f"{name!r} has not been available since 2026-03-02; choose one of" in late.json()["message"]
    assert name not in late.json()["message"].partition("choose one of")[2]
    assert restarted.status_code == 200


async def test_what_is_over_is_no_goal_of_a_resize_or_a_rebuild(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    await _end(platform, images, "fedora-38", in_seconds=0)
    await _end(platform, instance_types, "large", in_seconds=0)

    rebuilt = await platform.client.post(
        f"/vms/{vm['id']}/rebuild", json={"image": "fedora-38"}, headers=account.headers
    )
    resized = await platform.client.post(
        f"/vms/{vm['id']}/resize", json={"instance_type": "large"}, headers=account.headers
    )

    assert (rebuilt.status_code, resized.status_code) == (400, 400)
    assert (await platform.get_vm(vm["id"], account))["active_operation"] is None
